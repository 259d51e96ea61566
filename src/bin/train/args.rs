//! What was typed, and what it means.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};
use incdec::data::OnBadClip;
use incdec::model::{Geometry, Instructions, ModelPath, Precision, Variant};
use incdec::run_record::Extension;
use incdec::train::settings::{
    ApproachName, CriterionName, FeatureDistance, FisherEstimate, LogIds, OnTainted, OptimizerName,
    PlateauCheck, SamplerName, SchedulerName, UnlearnName,
};
use incdec::train::world::Timeouts;
use incdec::train::{Compat, DeviceChoice, Settings, TrainConfig};
use incdec::weights::{self, ModelChoice, PUBLISHED};

use crate::cli;

/// Trains a MoViNet task after task while its data arrives and is withdrawn.
///
/// Reads the clips of each task from availability.parquet, their frames from the shards, and writes a run directory:
/// history, metrics and predictions as Parquet, the best weights of each task as safetensors, TensorBoard events. A run
/// that was interrupted goes on where the same command is given again; a complete one is left as it is. SIGINT, SIGTERM and SIGUSR1
/// finish the step, keep a checkpoint and end; a second SIGINT ends at once.
#[derive(Parser)]
#[command(
    name = "incdec-train",
    version,
    after_help = cli::after_help(EXAMPLE),
    args_override_self = true,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
// Each is a switch of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Args {
    /// Folder of availability.parquet and schedule.parquet, as incdec-tasks writes them; it decides the scenario.
    #[arg(long, value_name = "DIR")]
    availability: PathBuf,
    /// Folder of the frame shards and their index.parquet, as incdec-decode writes them, or the address of both (s3://, gs://, az://, https://).
    #[arg(long, value_name = "DIR|URL")]
    shards: PathBuf,
    /// The run directory: made if it is missing, taken up if it holds the same run.
    #[arg(long, value_name = "RUN")]
    out: PathBuf,
    /// Weights to start from (.safetensors, .pt, .pth): the backbone is taken, the head is new.
    #[arg(long, value_name = "FILE")]
    pretrained: Option<PathBuf>,
    /// The feature table (incdec-features) of --approach ridge, ranpac, sisa and head-finetune.
    #[arg(long, value_name = "FILE")]
    features: Option<PathBuf>,
    /// The list of withdrawn clips, where there is one: training begins on no shard that still holds one of them.
    #[arg(long, value_name = "FILE")]
    withdrawn: Option<PathBuf>,
    /// The ledger of withdrawals, where there is one: checkpoints carry the newest value of its chain.
    #[arg(long, value_name = "LEDGER")]
    withdrawals: Option<PathBuf>,
    /// Let messages and the log name withdrawn clips; else they are counted.
    #[arg(long)]
    log_ids: bool,
    /// What becomes of a run that saw a withdrawn clip: refuse, warn, or rollback (with --from-run).
    #[arg(long, value_parser = cli::one_of::<OnTainted>(), default_value_t)]
    on_tainted: OnTainted,
    /// With --on-tainted rollback: the run whose tasks are taken over as far as they never knew a withdrawn clip; with --unlearn:
    /// the run of another method whose tasks before the first that withdraws something are taken over. It stays as it is.
    #[arg(long, value_name = "RUN")]
    from_run: Option<PathBuf>,
    /// With --unlearn and --from-run: clips that are about to be withdrawn (one id a line, or a column clip_id). The tasks of
    /// --from-run are taken over; at the start of the next one, or of its last where it has done all, the clips are read once
    /// more to be unlearned, and no list has them from there on. Then `incdec-erase apply` may take them. Of clips that have
    /// been withdrawn already nothing is read: retrain, rollback, finetune, l1-sparse and ct do without.
    #[arg(long, value_name = "FILE")]
    forget: Option<PathBuf>,
    /// Take what fits of --pretrained where not all of it does; the rest of the backbone is new, and every record says so.
    #[arg(long, requires = "pretrained")]
    allow_partial: bool,
    /// Where to compute: auto, cpu or cuda:N.
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// Threads that decode and augment clips. Any number gives the same result.
    #[arg(long, default_value_t = defaults().workers, value_name = "N")]
    workers: usize,
    /// Threads of a tensor operation. A run that goes on takes as many as it began with, a new one all cores. The same seed
    /// gives the same bytes on the same number of threads and instruction set.
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
    /// Instructions to compute with: native (the best that the processor has) or avx2 (which every x86-64-v3 processor has:
    /// the same bytes on all of them).
    #[arg(long, value_parser = cli::one_of::<Instructions>(), default_value_t)]
    instructions: Instructions,
    /// What to do about a clip whose stored frames cannot be read.
    #[arg(long, value_parser = cli::one_of::<OnBadClip>(), default_value_t)]
    on_bad_clip: OnBadClip,
    /// Share of a list's clips, 0..1, that --on-bad-clip skip may pass over before the run ends.
    #[arg(long, default_value_t = defaults().max_bad, value_name = "SHARE")]
    max_bad: f64,
    /// Seconds between two checkpoints inside a task, beside those at every end of an epoch; 0: never inside a task. A run that
    /// is killed loses at most that.
    #[arg(long, default_value_t = defaults().checkpoint_every, value_name = "SECONDS")]
    checkpoint_every: u64,
    /// Train the last task of the run in --out for at most N epochs instead of --epochs. Every task before it must have ended
    /// early; where it is done itself, it is trained anew.
    #[arg(long, value_name = "N", conflicts_with = "extend_tasks")]
    extend_epochs: Option<u32>,
    /// Go on with the tasks that --stop-after-first-task left out of the run in --out.
    #[arg(long)]
    extend_tasks: bool,
    /// Of several processes that train one run (torchrun, srun): seconds in which all of them must come together.
    #[arg(long, default_value_t = defaults().timeouts.start.as_secs(), value_name = "SECONDS")]
    start_timeout: u64,
    /// Of several processes: seconds without a sign of life after which one is lost, and all end.
    #[arg(long, default_value_t = defaults().timeouts.rank.as_secs(), value_name = "SECONDS")]
    rank_timeout: u64,
    /// Where another program works in the run directory, wait until it has ended.
    #[arg(long)]
    wait: bool,
    /// Write the seed's output files (logger/, confusion_matrices/, error_analysis/, ...) into the run directory too.
    #[arg(long)]
    seed_outputs: bool,
    /// What the seed's parameters.csv is to say of one of its arguments, where this command cannot know it (repeatable).
    #[arg(long, value_name = "NAME=VALUE", value_parser = named_value, requires = "seed_outputs")]
    seed_argument: Vec<(String, String)>,
    /// Print at the end of each task, and of the run, where each second went and what bounds the run.
    #[arg(long)]
    profile: bool,
    /// Print what it came to as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    training: TrainingArgs,
    #[command(flatten)]
    approach: ApproachArgs,
    #[command(flatten)]
    store: cli::ShardArgs,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// Look at a run directory, also while a run works in it: task, epoch, best so far, time left.
    Status(StatusArgs),
}

#[derive(clap::Args)]
pub(crate) struct StatusArgs {
    /// The run directory.
    #[arg(value_name = "RUN")]
    pub(crate) run: PathBuf,
    /// Print one JSON object instead of lines.
    #[arg(long)]
    pub(crate) json: bool,
}

const EXAMPLE: &str = "\
Examples: a look at a run, and learning without forgetting on the toy data, small enough for a laptop
  incdec-train status demo/runs/lwf
  incdec-train --availability demo/tasks/decremental/seed-0 --shards demo/shards \\
    --out demo/runs/lwf --approach lwf --frames 8 --resize 72 --size 64 --epochs 7 --batch-size 8 \\
    --lr-first-task 1e-3 --lr-first-task-head 1e-3";

#[derive(clap::Args)]
#[command(next_help_heading = "Model and input")]
struct ModelArgs {
    /// MoViNet size: A0, A1, A2, A3, A4 or A5 [default: that of published weights in --pretrained, else A0].
    #[arg(long, value_parser = cli::one_of::<Variant>())]
    variant: Option<Variant>,
    /// Padding: seed (the seed's) or tf (of the public Kinetics-600 weights) [default: that of published weights in --pretrained,
    /// else seed].
    #[arg(long, value_parser = cli::one_of::<Geometry>())]
    geometry: Option<Geometry>,
    /// How convolutions run: fast (fused operators where they apply), frames (stock ones on frames as pictures: what fast is
    /// on a GPU), or reference (plain ones, for comparison).
    #[arg(long, value_parser = cli::one_of::<ModelPath>(), default_value_t = Settings::default().model_path)]
    model_path: ModelPath,
    /// In which floats the model computes: f32 or bf16. Weights and statistics are 32-bit floats in both; bf16 needs a GPU or
    /// a processor with avx512_bf16 or amx_bf16.
    #[arg(long, value_parser = cli::one_of::<Precision>(), default_value_t = Settings::default().precision)]
    precision: Precision,
    /// Compute a block's inside again in the backward pass instead of keeping it: less memory, more time.
    #[arg(long)]
    checkpoint_blocks: bool,
    /// Frames of a clip; shorter clips are repeated, longer ones cut.
    #[arg(long, default_value_t = Settings::default().frames, value_name = "N")]
    frames: usize,
    /// Side that frames are resized to before cropping, in pixels.
    #[arg(long, default_value_t = Settings::default().resize, value_name = "PX")]
    resize: u32,
    /// Side of the crop that the model sees, in pixels.
    #[arg(long, default_value_t = Settings::default().size, value_name = "PX")]
    size: u32,
    /// Share of the features dropped in training, 0..1.
    #[arg(long, default_value_t = Settings::default().dropout, value_name = "P")]
    dropout: f64,
}

// Each is a switch of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
#[derive(clap::Args)]
#[command(next_help_heading = "Training")]
struct TrainingArgs {
    /// Most epochs of a task.
    #[arg(long, default_value_t = Settings::default().epochs, value_name = "N")]
    epochs: u32,
    /// Clips of a batch.
    #[arg(long, default_value_t = Settings::default().batch_size, value_name = "N")]
    batch_size: usize,
    /// Batches whose gradients are summed before a step; 0 steps after each.
    #[arg(long, default_value_t = Settings::default().accumulation, value_name = "N")]
    accumulation: u32,
    /// Balanced: every clip once an epoch; imbalanced: drawn with replacement, rare classes as often as common ones.
    #[arg(long, value_parser = cli::one_of::<SamplerName>(), default_value_t = Settings::default().sampler)]
    sampler: SamplerName,
    /// Multilabel: a sigmoid for each class; multiclass: a softmax over all.
    #[arg(long, value_parser = cli::one_of::<CriterionName>(), default_value_t = Settings::default().criterion)]
    criterion: CriterionName,
    /// How the learning rates change within a task.
    #[arg(long, value_parser = cli::one_of::<SchedulerName>(), default_value_t = Settings::default().scheduler)]
    scheduler: SchedulerName,
    /// Which figure of the validation set reduce-on-plateau watches.
    #[arg(long, value_parser = cli::one_of::<PlateauCheck>(), default_value_t = Settings::default().plateau_check)]
    plateau_check: PlateauCheck,
    /// Epochs in a row without improvement that reduce-on-plateau waits for.
    #[arg(long, default_value_t = Settings::default().patience, value_name = "EPOCHS")]
    patience: u32,
    /// Epochs in a row without a better validation mAP that end a task (scheduler fixed only).
    #[arg(long, default_value_t = Settings::default().early_stop, value_name = "EPOCHS")]
    early_stop: u32,
    /// Learning rate of the backbone in task 0.
    #[arg(long, default_value_t = Settings::default().lr_first_task, value_name = "RATE")]
    lr_first_task: f64,
    /// Learning rate of the head in task 0.
    #[arg(long, default_value_t = Settings::default().lr_first_task_head, value_name = "RATE")]
    lr_first_task_head: f64,
    /// Learning rate of the backbone in later tasks.
    #[arg(long, default_value_t = Settings::default().lr_backbone, value_name = "RATE")]
    lr_backbone: f64,
    /// Learning rate of the head in later tasks.
    #[arg(long, default_value_t = Settings::default().lr_head, value_name = "RATE")]
    lr_head: f64,
    /// Weight decay of every trained parameter.
    #[arg(long, default_value_t = Settings::default().weight_decay)]
    weight_decay: f64,
    /// Adam adds the weight decay to the gradient, adamw shrinks the weights apart from it.
    #[arg(long, value_parser = cli::one_of::<OptimizerName>(), default_value_t = Settings::default().optimizer)]
    optimizer: OptimizerName,
    /// Keep batch norm as it is from task 1 on.
    #[arg(long)]
    freeze_bn: bool,
    /// Keep the backbone as it is from task 1 on.
    #[arg(long)]
    freeze_backbone: bool,
    /// A named set of settings: feature-extraction is --freeze-bn --freeze-backbone.
    #[arg(long, value_parser = ["feature-extraction"])]
    preset: Option<String>,
    /// End after task 0.
    #[arg(long)]
    stop_after_first_task: bool,
    /// Start each task from new weights and train it as task 0, with no penalty, teacher or Fisher: the reference that
    /// unlearning is compared with.
    #[arg(long)]
    from_scratch: bool,
    /// Seed of every random choice of the training.
    #[arg(long, default_value_t = Settings::default().seed)]
    seed: u64,
    /// Behave as the seed's code where it differs from what it says: twyn2024 (all quirks), none, or names of single quirks
    /// separated by commas.
    #[arg(long, default_value = "none", value_name = "NAMES")]
    compat: Compat,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Approach")]
struct ApproachArgs {
    /// How the model is updated from task to task (also incdec, incdec_lwf, incdec_fd, incdec_ewc).
    #[arg(long, value_parser = cli::one_of::<ApproachName>(), default_value_t = Settings::default().approach)]
    approach: ApproachName,
    /// Weight of EWC's penalty.
    #[arg(long, default_value_t = Settings::default().ewc_lambda, value_name = "WEIGHT")]
    ewc_lambda: f64,
    /// Share of the old Fisher information when EWC merges a new one in, 0..1.
    #[arg(long, default_value_t = Settings::default().ewc_alpha, value_name = "SHARE")]
    ewc_alpha: f64,
    /// How EWC's Fisher information is estimated.
    #[arg(long, value_parser = cli::one_of::<FisherEstimate>(), default_value_t = Settings::default().fisher)]
    fisher: FisherEstimate,
    /// Weight of LwF's penalty.
    #[arg(long, default_value_t = Settings::default().lwf_lambda, value_name = "WEIGHT")]
    lwf_lambda: f64,
    /// Temperature of LwF's probabilities (multiclass only).
    #[arg(long, default_value_t = Settings::default().lwf_temperature, value_name = "T")]
    lwf_temperature: f64,
    /// Weight of feature distillation's penalty.
    #[arg(long, default_value_t = Settings::default().fd_lambda, value_name = "WEIGHT")]
    fd_lambda: f64,
    /// How feature distillation measures distance.
    #[arg(long, value_parser = cli::one_of::<FeatureDistance>(), default_value_t = Settings::default().fd_distance)]
    fd_distance: FeatureDistance,
    /// Clips that the buffer of er, der++ and gdumb holds [default: 200].
    #[arg(long, value_name = "CLIPS")]
    buffer: Option<usize>,
    /// How the model is made to forget what a task withdraws, before that task.
    #[arg(long, value_parser = cli::one_of::<UnlearnName>(), default_value_t = Settings::default().unlearn)]
    unlearn: UnlearnName,
    /// Seed of what unlearning draws [default: that of --seed].
    #[arg(long, value_name = "SEED")]
    unlearn_seed: Option<u64>,
    /// The task, from 0, at whose start the clips of --forget leave [default: the first that is not taken over].
    #[arg(long, value_name = "TASK")]
    forget_at: Option<usize>,
}

/// What is not said on the command line; the paths must be.
fn defaults() -> TrainConfig {
    TrainConfig::new(PathBuf::new(), PathBuf::new(), PathBuf::new())
}

fn named_value(text: &str) -> Result<(String, String), String> {
    let pair = text.split_once('=');
    pair.map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "expected NAME=VALUE".to_owned())
}

impl Args {
    /// The model to build. Published weights are known by their content, which is read for that.
    pub(crate) fn model(&self) -> ModelChoice {
        let weights = self.pretrained.as_deref();
        let weights = weights.and_then(|path| weights::held_in(path, &PUBLISHED));
        ModelChoice::new(self.model.variant, self.model.geometry, weights)
    }

    /// The configuration of a run with this model.
    pub(crate) fn config(self, built: &ModelChoice) -> TrainConfig {
        let args = self;
        let (model, training, approach) = (args.model, args.training, args.approach);
        let extraction = training.preset.is_some();
        let settings = Settings {
            approach: approach.approach,
            variant: built.variant,
            geometry: built.geometry,
            model_path: model.model_path,
            precision: model.precision,
            checkpoint_blocks: model.checkpoint_blocks,
            frames: model.frames,
            resize: model.resize,
            size: model.size,
            dropout: model.dropout,
            epochs: training.epochs,
            batch_size: training.batch_size,
            accumulation: training.accumulation,
            sampler: training.sampler,
            criterion: training.criterion,
            scheduler: training.scheduler,
            plateau_check: training.plateau_check,
            patience: training.patience,
            early_stop: training.early_stop,
            lr_first_task: training.lr_first_task,
            lr_first_task_head: training.lr_first_task_head,
            lr_backbone: training.lr_backbone,
            lr_head: training.lr_head,
            weight_decay: training.weight_decay,
            optimizer: training.optimizer,
            freeze_bn: training.freeze_bn || extraction,
            freeze_backbone: training.freeze_backbone || extraction,
            ewc_lambda: approach.ewc_lambda,
            ewc_alpha: approach.ewc_alpha,
            fisher: approach.fisher,
            lwf_lambda: approach.lwf_lambda,
            lwf_temperature: approach.lwf_temperature,
            fd_lambda: approach.fd_lambda,
            fd_distance: approach.fd_distance,
            buffer: approach.buffer,
            unlearn: approach.unlearn,
            unlearn_seed: approach.unlearn_seed,
            forget_at: approach.forget_at,
            // The run was begun under it.
            stop_after_first_task: training.stop_after_first_task || args.extend_tasks,
            from_scratch: training.from_scratch,
            seed: training.seed,
            compat: training.compat,
        };
        TrainConfig {
            availability: args.availability,
            shards: args.store.source(args.shards),
            out: args.out,
            pretrained: args.pretrained,
            features: args.features,
            withdrawn: args.withdrawn,
            withdrawals: args.withdrawals,
            log_ids: if args.log_ids {
                LogIds::Yes
            } else {
                LogIds::No
            },
            on_tainted: args.on_tainted,
            from_run: args.from_run,
            forget: args.forget,
            allow_partial: args.allow_partial,
            device: args.device,
            workers: args.workers,
            threads: args.threads,
            instructions: args.instructions,
            on_bad_clip: args.on_bad_clip,
            max_bad: args.max_bad,
            checkpoint_every: args.checkpoint_every,
            extend: Extension {
                epochs: args.extend_epochs,
                tasks: args.extend_tasks,
            },
            wait: args.wait.into(),
            seed_outputs: args.seed_outputs,
            seed_arguments: args.seed_argument.into_iter().collect(),
            profile: args.profile,
            launch: None,
            timeouts: Timeouts {
                start: Duration::from_secs(args.start_timeout),
                rank: Duration::from_secs(args.rank_timeout),
            },
            settings,
        }
    }
}
