//! `incdec-experiment`: takes the command line of the seed's `main.py` and runs `incdec-tasks` and `incdec-train` for it.

mod cli;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, bail};
use clap::{Parser, ValueEnum};

const EXAMPLE: &str = "\
Example: a line of the seed's script, with `python -u .../main.py` replaced
  incdec-experiment --approach incdec_lwf --pipeline decremental --seed 1 -op runs --data_path Kinetics --epochs 100 \\
    --batch_size 4 --n_accumulation 4 --sampler imbalanced --freeze_bn no --stop_first_task no --early_stopping_val 10

Clips are read from <data_path>/shards (make decode), labels from <data_path>/Info, the manifest from
<data_path>/manifests/clips.parquet where there is one. What follows `--` is passed on to incdec-train.";

/// Run one experiment as the seed's main.py would: the same flags, with the same names and values.
///
/// Prints the two commands that it runs, incdec-tasks and incdec-train. The run directory is <outpath>/<approach>_<8
/// letters or digits>; the same flags give the same folder, so an interrupted experiment goes on. The seed's quirks are on
/// (--compat twyn2024) and its output files are written.
#[derive(Parser)]
#[command(name = "incdec-experiment", version, after_help = EXAMPLE, rename_all = "snake_case")]
struct Args {
    /// How the model is updated.
    #[arg(long, value_parser = ["incdec", "incdec_lwf", "incdec_fd", "incdec_ewc"], default_value = "incdec")]
    approach: String,
    /// How availability changes.
    #[arg(long, value_parser = ["baseline", "decremental", "incremental_decremental", "joint_incremental"], default_value = "baseline")]
    pipeline: String,
    /// Batches whose gradients are summed before a step; 0 steps after each.
    #[arg(long, default_value_t = 0)]
    n_accumulation: u32,
    /// Folder of the run directories (also -op).
    #[arg(long, default_value = "./")]
    outpath: PathBuf,
    /// Seed of the tasks and of the training.
    #[arg(long, default_value_t = 0)]
    seed: u32,
    /// Loader threads.
    #[arg(long, default_value_t = 4)]
    nw: usize,
    /// Keep batch norm's weights from task 1 on.
    #[arg(long, value_enum, default_value = "no")]
    freeze_bn: YesNo,
    /// Keep the backbone from task 1 on.
    #[arg(long, value_enum, default_value = "no")]
    freeze_backbone: YesNo,
    /// Epochs without a better mAP that end a task (fixd only).
    #[arg(long, default_value_t = 1000)]
    early_stopping_val: u32,
    /// Weight decay.
    #[arg(long, default_value_t = 5e-4)]
    weight_decay: f64,
    /// Weight of EWC's penalty.
    #[arg(long, default_value_t = 500.0)]
    ewc_lambda: f64,
    /// Weight of LwF's penalty.
    #[arg(long, default_value_t = 1.0)]
    lwf_lamb: f64,
    /// Temperature of LwF.
    #[arg(long = "lwf_T", default_value_t = 1.0)]
    lwf_temperature: f64,
    /// Weight of feature distillation's penalty.
    #[arg(long, default_value_t = 0.1)]
    fd_lamb: f64,
    /// End after task 0.
    #[arg(long, value_enum, default_value = "no")]
    stop_first_task: YesNo,
    /// Most epochs of a task.
    #[arg(long, short, default_value_t = 100)]
    epochs: u32,
    /// Clips of a batch. (The seed's README; its code says 2.)
    #[arg(long, default_value_t = 4)]
    batch_size: usize,
    /// Learning rate of the backbone in task 0.
    #[arg(long, default_value_t = 1e-4)]
    lr_first_task: f64,
    /// Learning rate of the head in task 0.
    #[arg(long, default_value_t = 1e-4)]
    lr_first_task_head: f64,
    /// Learning rate of the backbone in later tasks.
    #[arg(long, default_value_t = 1e-4)]
    backbone_lr: f64,
    /// Learning rate of the head in later tasks.
    #[arg(long, default_value_t = 1e-4)]
    head_lr: f64,
    /// How rates change within a task.
    #[arg(long, value_parser = ["fixd", "multi_step", "reduce_plateau"], default_value = "fixd")]
    scheduler_type: String,
    /// What reduce_plateau watches.
    #[arg(long, value_parser = ["map", "class_loss"], default_value = "map")]
    plateau_check: String,
    /// Epochs that reduce_plateau bears.
    #[arg(long, default_value_t = 10)]
    patience: u32,
    /// Index of the GPU; without one, the processor, with a warning.
    #[arg(long, default_value_t = 0)]
    device: usize,
    /// The classification loss.
    #[arg(long, value_parser = ["multiclass", "multilabel"], default_value = "multilabel")]
    criterion_type: String,
    /// The data set; there is one.
    #[arg(long, value_parser = ["kinetics"], default_value = "kinetics")]
    dataset: String,
    /// Folder of Info/, shards/ and manifests/.
    #[arg(long, default_value = "./Kinetics")]
    data_path: PathBuf,
    /// Schedule of subcategories to remove or exchange.
    #[arg(long, default_value = "./Kinetics/Info/subcategories_to_remove.csv")]
    subcategories_csv_path: PathBuf,
    /// Permute the schedule's columns.
    #[arg(long, value_enum, default_value = "yes")]
    subcategories_randomize: YesNo,
    /// Number of tasks.
    #[arg(long, default_value_t = 6)]
    n_task: usize,
    /// How an epoch draws clips. (The seed's README; its code says imbalanced.)
    #[arg(long, value_parser = ["imbalanced", "balanced"], default_value = "balanced")]
    sampler: String,
    /// The network.
    #[arg(long, value_parser = ["movinetA0", "movinetA1", "movinetA2"], default_value = "movinetA0")]
    backbone: String,
    /// Weights to start from, or None.
    #[arg(long, default_value = "None")]
    pretrained_path: String,
    /// Flags passed on to incdec-train as they are.
    #[arg(last = true, value_name = "FLAGS FOR incdec-train")]
    passed_on: Vec<String>,
}

#[derive(Clone, Copy, PartialEq, ValueEnum)]
enum YesNo {
    Yes,
    No,
}

/// The two commands of an experiment: arguments without the program.
struct Commands {
    tasks: Vec<String>,
    train: Vec<String>,
}

impl Args {
    fn scenario(&self) -> String {
        match self.pipeline.as_str() {
            "baseline" => "substitution".to_owned(),
            other => other.replace('_', "-"),
        }
    }

    /// The commands, with the GPU or the processor to compute on. `given` is the whole command line, which names the run.
    fn commands(&self, device: &str, given: &str) -> Commands {
        let scenario = self.scenario();
        let seed = self.seed.to_string();
        let tasks_out = self.outpath.join("tasks").join(format!(
            "{scenario}-seed-{seed}-{}",
            short_hash(&self.tasks_settings())
        ));
        let mut tasks = flags(&[
            ("scenario", &scenario),
            ("seed", &seed),
            ("tasks", &self.n_task),
            ("out", &tasks_out.display()),
        ]);
        let manifest = self.data_path.join("manifests/clips.parquet");
        if manifest.exists() {
            tasks.extend(flags(&[("manifest", &manifest.display())]));
        } else {
            tasks.extend(flags(&[("labels", &self.data_path.join("Info").display())]));
        }
        if ["decremental", "incremental-decremental"].contains(&scenario.as_str()) {
            tasks.extend(flags(&[(
                "schedule",
                &self.subcategories_csv_path.display(),
            )]));
        }
        tasks.extend(switch(
            "no-randomize",
            self.subcategories_randomize == YesNo::No,
        ));
        let run = self
            .outpath
            .join(format!("{}_{}", self.approach, short_hash(given)));
        let mut train = flags(&[
            ("availability", &tasks_out.display()),
            ("shards", &self.data_path.join("shards").display()),
            ("out", &run.display()),
            ("approach", &self.approach),
            ("accumulation", &self.n_accumulation),
            ("seed", &seed),
            ("workers", &self.nw),
            ("early-stop", &self.early_stopping_val),
            ("weight-decay", &self.weight_decay),
            ("ewc-lambda", &self.ewc_lambda),
            ("lwf-lambda", &self.lwf_lamb),
            ("lwf-temperature", &self.lwf_temperature),
            ("fd-lambda", &self.fd_lamb),
            ("epochs", &self.epochs),
            ("batch-size", &self.batch_size),
            ("lr-first-task", &self.lr_first_task),
            ("lr-first-task-head", &self.lr_first_task_head),
            ("lr-backbone", &self.backbone_lr),
            ("lr-head", &self.head_lr),
            ("scheduler", &self.scheduler_type),
            ("plateau-check", &self.plateau_check),
            ("patience", &self.patience),
            ("device", &device),
            ("criterion", &self.criterion_type),
            ("sampler", &self.sampler),
            ("variant", &self.backbone.trim_start_matches("movinet")),
            ("compat", &"twyn2024"),
        ]);
        train.push("--seed-outputs".to_owned());
        train.extend(switch("freeze-bn", self.freeze_bn == YesNo::Yes));
        train.extend(switch(
            "freeze-backbone",
            self.freeze_backbone == YesNo::Yes,
        ));
        train.extend(switch(
            "stop-after-first-task",
            self.stop_first_task == YesNo::Yes,
        ));
        if self.pretrained_path != "None" {
            train.extend(flags(&[("pretrained", &self.pretrained_path)]));
        }
        train.extend(self.passed_on.iter().cloned());
        Commands { tasks, train }
    }

    /// What decides the tasks, so that experiments with the same tasks share them.
    fn tasks_settings(&self) -> String {
        let randomize = self.subcategories_randomize == YesNo::Yes;
        format!(
            "{}\n{}\n{}\n{randomize}",
            self.n_task,
            self.data_path.display(),
            self.subcategories_csv_path.display()
        )
    }
}

fn flags(pairs: &[(&str, &dyn std::fmt::Display)]) -> Vec<String> {
    pairs
        .iter()
        .flat_map(|(name, value)| [format!("--{name}"), value.to_string()])
        .collect()
}

fn switch(name: &str, on: bool) -> Option<String> {
    on.then(|| format!("--{name}"))
}

/// Eight letters and digits that stand for a text.
fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..8].to_owned()
}

/// Runs a binary that lies beside this one, after printing the command.
fn run(program: &str, arguments: &[String]) -> anyhow::Result<()> {
    let path = std::env::current_exe()
        .context("find this program's folder")?
        .with_file_name(program);
    println!(
        "{program} {}",
        arguments
            .iter()
            .map(|a| quoted(a))
            .collect::<Vec<_>>()
            .join(" ")
    );
    let status = Command::new(&path)
        .args(arguments)
        .status()
        .with_context(|| format!("start {}", path.display()))?;
    if !status.success() {
        bail!("{program} failed ({status})");
    }
    Ok(())
}

/// An argument as a shell takes it.
fn quoted(argument: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+".contains(c);
    if !argument.is_empty() && argument.chars().all(plain) {
        argument.to_owned()
    } else {
        format!("'{}'", argument.replace('\'', r"'\''"))
    }
}

/// The seed's `-op` is one flag; to us it would be two.
fn long_flags(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    arguments
        .map(|a| if a == "-op" { "--outpath".into() } else { a })
        .collect()
}

fn main() -> ExitCode {
    let given = long_flags(std::env::args_os());
    let args = Args::parse_from(&given);
    let text: Vec<String> = given
        .iter()
        .skip(1)
        .map(|a| a.to_string_lossy().into_owned())
        .collect();
    let device = if Path::new(&format!("/dev/nvidia{}", args.device)).exists() {
        format!("cuda:{}", args.device)
    } else {
        eprintln!(
            "warning: there is no GPU {}; computing on the processor",
            args.device
        );
        "cpu".to_owned()
    };
    let commands = args.commands(&device, &text.join("\n"));
    match run("incdec-tasks", &commands.tasks).and_then(|()| run("incdec-train", &commands.train)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    const SEED_FLAGS: &str = "approach pipeline n_accumulation outpath seed nw freeze_bn freeze_backbone early_stopping_val \
        weight_decay ewc_lambda lwf_lamb lwf_T fd_lamb stop_first_task epochs batch_size lr_first_task lr_first_task_head \
        backbone_lr head_lr scheduler_type plateau_check patience device criterion_type dataset data_path \
        subcategories_csv_path subcategories_randomize n_task sampler backbone pretrained_path";

    #[test]
    fn every_flag_of_the_seed_is_taken_by_its_name() {
        let command = Args::command();
        let known: Vec<_> = command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .collect();
        let wanted: Vec<_> = SEED_FLAGS.split_whitespace().collect();
        assert_eq!(wanted.len(), 34);
        for flag in wanted {
            assert!(known.contains(&flag), "--{flag}");
        }
    }

    #[test]
    fn a_line_of_the_seeds_script_becomes_two_commands() {
        let line = "main.py -op out dir --approach incdec_ewc --pipeline baseline --seed 2 --freeze_bn yes -e 7";
        let given = long_flags(
            line.replace("out dir", "out")
                .split(' ')
                .map(OsString::from),
        );
        let commands = Args::parse_from(&given).commands("cpu", line);
        let tasks = commands.tasks.join(" ");
        assert!(
            tasks.contains("--scenario substitution --seed 2 --tasks 6"),
            "{tasks}"
        );
        assert!(!tasks.contains("--schedule"), "{tasks}");
        let train = commands.train.join(" ");
        for part in [
            "--approach incdec_ewc",
            "--epochs 7",
            "--freeze-bn",
            "--compat twyn2024",
            "--device cpu",
            "--out out/incdec_ewc_",
        ] {
            assert!(train.contains(part), "{part}: {train}");
        }
        assert!(!train.contains("--pretrained"), "{train}");
        assert_eq!(quoted("a b"), "'a b'");
    }
}
