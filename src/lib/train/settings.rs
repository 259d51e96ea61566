//! Every setting of a run with its unit and default, in one place: [`Settings::default`] and
//! [`TrainConfig::new`]; the command line starts from them.
//!
//! [`Settings`] holds what can change a result; it is what `settings.json` and every table's
//! provenance record. [`TrainConfig`] adds what cannot: paths, device, workers, threads, what is
//! printed and written beside.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use super::choices::{
    ApproachName, CriterionName, FeatureDistance, FisherEstimate, LogIds, OnTainted, OptimizerName,
    PlateauCheck, SamplerName, SchedulerName, UnlearnName,
};
pub use super::compat::Compat;
use super::device::DeviceChoice;
use super::world::{Launch, Timeouts};
use crate::data::{LoaderConfig, OnBadClip};
use crate::lock::Wait;
use crate::model::{Geometry, Instructions, ModelConfig, ModelPath, Precision, Variant};
use crate::run_record::Extension;
use crate::shard::ShardSource;

/// Everything that can change a run's result, apart from the bytes of its inputs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[allow(clippy::struct_excessive_bools)] // Yes-or-no settings of the experiment, each a flag of its own.
pub struct Settings {
    /// How the model is updated.
    pub approach: ApproachName,
    /// The model's size, A0 to A5.
    pub variant: Variant,
    /// Padding geometry: `seed` (explicit) or `tf` (of the published weights).
    pub geometry: Geometry,
    /// How the convolutions run: `fast`, `frames` or `reference`. Equal up to rounding.
    pub model_path: ModelPath,
    /// In which floats the network computes: `f32` or `bf16`. Weights and statistics are 32-bit in
    /// both.
    pub precision: Precision,
    /// Whether a block's inside is computed again in the backward pass instead of kept: less
    /// memory, more time.
    pub checkpoint_blocks: bool,
    /// Frames a clip enters the model with; shorter clips are repeated, longer ones cut.
    pub frames: usize,
    /// Side to which frames are resized before cropping, in pixels.
    pub resize: u32,
    /// Side of the crop that the model sees, in pixels.
    pub size: u32,
    /// Most epochs of a task.
    pub epochs: u32,
    /// Clips of a batch.
    pub batch_size: usize,
    /// Batches whose gradients are summed before a step; 0 and 1 step after each.
    pub accumulation: u32,
    /// How an epoch draws clips.
    pub sampler: SamplerName,
    /// The classification loss.
    pub criterion: CriterionName,
    /// How rates change within a task.
    pub scheduler: SchedulerName,
    /// What reduce-on-plateau watches.
    pub plateau_check: PlateauCheck,
    /// Epochs in a row without improvement that reduce-on-plateau waits for.
    pub patience: u32,
    /// Epochs in a row without a better mAP after which a task ends (`fixed` only).
    pub early_stop: u32,
    /// Learning rate of the backbone in task 0.
    pub lr_first_task: f64,
    /// Learning rate of the head in task 0.
    pub lr_first_task_head: f64,
    /// Learning rate of the backbone in later tasks.
    pub lr_backbone: f64,
    /// Learning rate of the head in later tasks.
    pub lr_head: f64,
    /// Weight decay of every trainable parameter.
    pub weight_decay: f64,
    /// The update rule.
    pub optimizer: OptimizerName,
    /// Probability of dropping a feature before the head.
    pub dropout: f64,
    /// Batch norm stays as it is from task 1 on.
    pub freeze_bn: bool,
    /// The backbone stays as it is from task 1 on.
    pub freeze_backbone: bool,
    /// Weight of EWC's penalty.
    pub ewc_lambda: f64,
    /// Share of the old Fisher information when a new one is merged in, 0..1.
    pub ewc_alpha: f64,
    /// How the Fisher information is estimated.
    pub fisher: FisherEstimate,
    /// Weight of LwF's penalty.
    pub lwf_lambda: f64,
    /// Temperature of LwF's softened probabilities (multiclass only).
    pub lwf_temperature: f64,
    /// Weight of feature distillation's penalty.
    pub fd_lambda: f64,
    /// How feature distillation measures distance.
    pub fd_distance: FeatureDistance,
    /// Clips that the buffer of a replay approach holds; default [`BUFFER_CLIPS`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub buffer: Option<usize>,
    /// How the model is made to forget what a task withdraws, before that task.
    #[serde(skip_serializing_if = "nothing_is_unlearned")]
    pub unlearn: UnlearnName,
    /// Seed of what unlearning draws; default that of everything else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unlearn_seed: Option<u64>,
    /// The task at whose start the clips of [`TrainConfig::forget`] leave; default the first that the
    /// run trains itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forget_at: Option<usize>,
    /// Whether the run ends after task 0.
    pub stop_after_first_task: bool,
    /// Whether each task starts from new weights and is trained as task 0 is, whatever the approach (the reference that
    /// unlearning is compared with).
    pub from_scratch: bool,
    /// Seed of every random choice.
    pub seed: u64,
    /// The quirks of the seed that are on.
    pub compat: Compat,
}

/// Whether a settings file need not name a method: those of before there were any do not.
// serde hands a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn nothing_is_unlearned(method: &UnlearnName) -> bool {
    *method == UnlearnName::None
}

impl Default for Settings {
    fn default() -> Self {
        // How clips are loaded and how the network is built have their defaults there.
        let (loader, model) = (LoaderConfig::default(), ModelConfig::default());
        let pixels = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        Self {
            approach: ApproachName::Finetune,
            variant: model.variant,
            geometry: model.geometry,
            model_path: model.path,
            precision: model.precision,
            checkpoint_blocks: model.checkpoint_blocks,
            frames: loader.frames,
            resize: pixels(loader.resize),
            size: pixels(loader.crop),
            epochs: 100,
            batch_size: loader.batch_size,
            accumulation: 0,
            sampler: SamplerName::Balanced,
            criterion: CriterionName::Multilabel,
            scheduler: SchedulerName::Fixed,
            plateau_check: PlateauCheck::Map,
            patience: 10,
            early_stop: 1000,
            lr_first_task: 1e-4,
            lr_first_task_head: 1e-4,
            lr_backbone: 1e-4,
            lr_head: 1e-4,
            weight_decay: 5e-4,
            optimizer: OptimizerName::Adam,
            dropout: model.dropout,
            freeze_bn: false,
            freeze_backbone: false,
            ewc_lambda: 500.0,
            ewc_alpha: 0.5,
            fisher: FisherEstimate::Batch,
            lwf_lambda: 1.0,
            lwf_temperature: 1.0,
            fd_lambda: 0.1,
            fd_distance: FeatureDistance::L2,
            buffer: None,
            unlearn: UnlearnName::default(),
            unlearn_seed: None,
            forget_at: None,
            stop_after_first_task: false,
            from_scratch: false,
            seed: model.seed,
            compat: Compat::default(),
        }
    }
}

impl Settings {
    /// Whether `task` is trained as the first one is: with its rates, with nothing frozen, and with nothing to hold on to. From
    /// scratch every task is.
    #[must_use]
    pub fn is_first(&self, task: usize) -> bool {
        task == 0 || self.from_scratch || self.approach == ApproachName::Gdumb
    }

    /// The network of so many classes that the settings ask for, its weights drawn from `seed`.
    #[must_use]
    pub fn model(&self, classes: usize, seed: u64) -> ModelConfig {
        ModelConfig {
            variant: self.variant,
            geometry: self.geometry,
            classes: i64::try_from(classes).unwrap_or(i64::MAX),
            dropout: self.dropout,
            path: self.model_path,
            precision: self.precision,
            seed,
            checkpoint_blocks: self.checkpoint_blocks,
        }
    }

    /// Clips that the buffer of a replay approach holds.
    #[must_use]
    pub fn buffer_clips(&self) -> usize {
        self.buffer.unwrap_or(BUFFER_CLIPS)
    }

    /// The same settings with nothing unlearned.
    #[must_use]
    pub fn without_unlearning(&self) -> Self {
        Self {
            unlearn: UnlearnName::None,
            unlearn_seed: None,
            forget_at: None,
            ..self.clone()
        }
    }

    /// Batches whose gradients make one step, at least 1.
    #[must_use]
    pub fn micro_batches(&self) -> usize {
        usize::try_from(self.accumulation.max(1)).unwrap_or(usize::MAX)
    }

    /// Whether the backbone takes no gradient in `task`.
    #[must_use]
    pub fn backbone_is_frozen(&self, task: usize) -> bool {
        let honoured =
            self.approach == ApproachName::Finetune || !self.compat.freeze_backbone_only_finetune;
        self.freeze_backbone && !self.is_first(task) && honoured
    }

    /// Whether batch norm's weights and biases take no gradient in `task`.
    #[must_use]
    pub fn batch_norm_is_frozen(&self, task: usize) -> bool {
        self.freeze_bn && !self.is_first(task)
    }

    /// The learning rates (backbone, head) that `task` starts with.
    #[must_use]
    pub fn rates(&self, task: usize) -> (f64, f64) {
        if self.is_first(task) {
            (self.lr_first_task, self.lr_first_task_head)
        } else {
            (self.lr_backbone, self.lr_head)
        }
    }
}

/// Clips that a buffer holds by default.
pub const BUFFER_CLIPS: usize = 200;

/// Seconds between two checkpoints inside a task.
const CHECKPOINT_EVERY_SECONDS: u64 = 300;

/// What a run is started with.
#[derive(Clone, Debug)]
pub struct TrainConfig {
    /// Folder of `availability.parquet` and `schedule.parquet`.
    pub availability: PathBuf,
    /// The frame shards and their `index.parquet`.
    pub shards: ShardSource,
    /// The run directory.
    pub out: PathBuf,
    /// Weights to start from; the backbone is taken, the head is new.
    pub pretrained: Option<PathBuf>,
    /// The feature table of an approach on cached features; default none.
    pub features: Option<PathBuf>,
    /// The list of withdrawn clips; default none.
    pub withdrawn: Option<PathBuf>,
    /// The ledger of withdrawals, whose newest chain value checkpoints carry; default none.
    pub withdrawals: Option<PathBuf>,
    /// Whether messages, and so the log, may name withdrawn clips. Default no: they are counted.
    pub log_ids: LogIds,
    /// What becomes of a run that saw one of them. Default it is refused.
    pub on_tainted: OnTainted,
    /// The run directory whose tasks are taken over as far as they never knew a withdrawn clip;
    /// belongs to [`OnTainted::Rollback`], or to a method of unlearning.
    pub from_run: Option<PathBuf>,
    /// The clips that are about to be withdrawn, by id; default none. Belongs to `from_run` and to a
    /// method of unlearning.
    pub forget: Option<PathBuf>,
    /// Whether weights to start from may fit the backbone in part; the rest of it is then new.
    pub allow_partial: bool,
    /// Where the model computes.
    pub device: DeviceChoice,
    /// Threads that decode and augment clips.
    pub workers: usize,
    /// Threads of a tensor operation; `None` takes those that the run began with, or libtorch's own
    /// choice for a new run.
    pub threads: Option<usize>,
    /// The instructions to compute with. The program that runs this has set
    /// [`Instructions::environment`] before.
    pub instructions: Instructions,
    /// What happens to a clip whose stored frames cannot be read.
    pub on_bad_clip: OnBadClip,
    /// The share of a list's clips, 0..1, that [`OnBadClip::Skip`] may pass over.
    pub max_bad: f64,
    /// Seconds after which a checkpoint is kept inside a task, beside those at every end of an
    /// epoch; 0: never inside a task.
    pub checkpoint_every: u64,
    /// By what the run that is there is to go beyond its settings.
    pub extend: Extension,
    /// Whether to wait where another program works in the run directory.
    pub wait: Wait,
    /// Whether the seed's output files are written beside the tables.
    pub seed_outputs: bool,
    /// What `parameters.csv` and `summary.csv` say of arguments of the seed's command line, where
    /// that is not what this run would say (a GPU's number on a machine without one, a path as it
    /// was spelt).
    pub seed_arguments: BTreeMap<String, String>,
    /// Whether the end tells where each second went.
    pub profile: bool,
    /// Which of several processes this one is; none: it trains alone.
    pub launch: Option<Launch>,
    /// How long the other processes are waited for.
    pub timeouts: Timeouts,
    /// What can change the result.
    pub settings: Settings,
}

impl TrainConfig {
    /// The defaults with the three paths that have none.
    #[must_use]
    pub fn new(availability: PathBuf, shards: impl Into<ShardSource>, out: PathBuf) -> Self {
        Self {
            availability,
            shards: shards.into(),
            out,
            pretrained: None,
            features: None,
            withdrawn: None,
            withdrawals: None,
            log_ids: LogIds::default(),
            on_tainted: OnTainted::default(),
            from_run: None,
            forget: None,
            allow_partial: false,
            device: DeviceChoice::default(),
            workers: LoaderConfig::default().workers,
            threads: None,
            instructions: Instructions::default(),
            on_bad_clip: OnBadClip::default(),
            max_bad: 0.0,
            checkpoint_every: CHECKPOINT_EVERY_SECONDS,
            extend: Extension::default(),
            wait: Wait::No,
            seed_outputs: false,
            seed_arguments: BTreeMap::new(),
            profile: false,
            launch: None,
            timeouts: Timeouts::default(),
            settings: Settings::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_survive_json() {
        let settings = Settings {
            approach: ApproachName::Ewc,
            compat: Compat::TWYN2024,
            ..Settings::default()
        };
        let text = serde_json::to_string(&settings).unwrap();
        assert!(text.contains(r#""variant":"A0""#), "{text}");
        assert_eq!(serde_json::from_str::<Settings>(&text).unwrap(), settings);
    }

    #[test]
    fn the_frozen_backbone_is_every_approachs_unless_the_seeds_quirk_is_on() {
        let mut settings = Settings {
            freeze_backbone: true,
            approach: ApproachName::Fd,
            ..Settings::default()
        };
        assert!(!settings.backbone_is_frozen(0));
        assert!(settings.backbone_is_frozen(1));
        settings.compat.freeze_backbone_only_finetune = true;
        assert!(!settings.backbone_is_frozen(1));
    }
}
