//! The seed's 34 flags, by their names, spellings and defaults.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::cli;
use crate::table::Table;

const EXAMPLE: &str = "\
Examples: a line of the seed's script, with `python -u .../main.py` replaced, and two cells of the published table
  incdec-experiment --approach incdec_lwf --pipeline decremental --seed 1 -op runs \\
    --data_path Kinetics --epochs 100 --batch_size 4 --n_accumulation 4 --sampler imbalanced \\
    --freeze_bn no --stop_first_task no --early_stopping_val 10
  incdec-experiment table --labels Kinetics/Info --manifest Kinetics/manifests/clips.parquet \\
    --shards Kinetics/shards --tasks-dir Kinetics/tasks --runs Kinetics/runs \\
    --scenarios decremental --methods ewc lwf --seeds 0 --jobs 2

Clips are read from <data_path>/shards (make decode), labels from <data_path>/Info, the manifest from
<data_path>/manifests/clips.parquet where there is one. Where there are no shards but the seed's own frame folders,
<data_path>/Videos/id_<clip>/jpgs, incdec-decode first makes shards of these. A flag that is not given has the
default of the seed's code, also where its README states another (--batch_size, --sampler). What follows `--` is
passed on to incdec-train.";

/// Run one experiment as the seed's main.py would: the same flags, with the same names and values.
///
/// Prints the commands that it runs, incdec-tasks and incdec-train. The run directory is <outpath>/<approach>_<8
/// letters or digits>; the same flags give the same folder, so an interrupted experiment goes on. The seed's quirks are on
/// (--compat twyn2024) and its output files are written.
#[derive(Parser)]
#[command(name = "incdec-experiment", version, after_help = cli::after_help(EXAMPLE), rename_all = "snake_case")]
#[command(args_override_self = true, args_conflicts_with_subcommands = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Instead>,
    /// How the model is updated.
    #[arg(long, value_parser = ["incdec", "incdec_lwf", "incdec_fd", "incdec_ewc"], default_value = "incdec")]
    pub(crate) approach: String,
    /// How availability changes.
    #[arg(long, value_parser = ["baseline", "decremental", "incremental_decremental", "joint_incremental"], default_value = "baseline")]
    pub(crate) pipeline: String,
    /// Batches whose gradients are summed before a step; 0 steps after each.
    #[arg(long, default_value_t = 0)]
    pub(crate) n_accumulation: u32,
    /// Folder of the run directories (also -op).
    #[arg(long, default_value = "./")]
    pub(crate) outpath: PathBuf,
    /// Seed of the tasks and of the training.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u32,
    /// Loader threads.
    #[arg(long, default_value_t = 4)]
    pub(crate) nw: usize,
    /// Keep batch norm's weights from task 1 on.
    #[arg(long, value_enum, default_value = "no")]
    pub(crate) freeze_bn: YesNo,
    /// Keep the backbone from task 1 on.
    #[arg(long, value_enum, default_value = "no")]
    pub(crate) freeze_backbone: YesNo,
    /// Epochs without a better mAP that end a task (fixd only).
    #[arg(long, default_value_t = 1000)]
    pub(crate) early_stopping_val: u32,
    /// Weight decay.
    #[arg(long, default_value_t = 5e-4)]
    pub(crate) weight_decay: f64,
    /// Weight of EWC's penalty.
    #[arg(long, default_value_t = 500.0)]
    pub(crate) ewc_lambda: f64,
    /// Weight of LwF's penalty.
    #[arg(long, default_value_t = 1.0)]
    pub(crate) lwf_lamb: f64,
    /// Temperature of LwF.
    #[arg(long = "lwf_T", default_value_t = 1.0)]
    pub(crate) lwf_temperature: f64,
    /// Weight of feature distillation's penalty.
    #[arg(long, default_value_t = 0.1)]
    pub(crate) fd_lamb: f64,
    /// End after task 0.
    #[arg(long, value_enum, default_value = "no")]
    pub(crate) stop_first_task: YesNo,
    /// Most epochs of a task.
    #[arg(long, short, default_value_t = 100)]
    pub(crate) epochs: u32,
    /// Clips of a batch. (The default of the seed's code; its README says 4.)
    #[arg(long, default_value_t = 2)]
    pub(crate) batch_size: usize,
    /// Learning rate of the backbone in task 0.
    #[arg(long, default_value_t = 1e-4)]
    pub(crate) lr_first_task: f64,
    /// Learning rate of the head in task 0.
    #[arg(long, default_value_t = 1e-4)]
    pub(crate) lr_first_task_head: f64,
    /// Learning rate of the backbone in later tasks.
    #[arg(long, default_value_t = 1e-4)]
    pub(crate) backbone_lr: f64,
    /// Learning rate of the head in later tasks.
    #[arg(long, default_value_t = 1e-4)]
    pub(crate) head_lr: f64,
    /// How rates change within a task.
    #[arg(long, value_parser = ["fixd", "multi_step", "reduce_plateau"], default_value = "fixd")]
    pub(crate) scheduler_type: String,
    /// What reduce_plateau watches.
    #[arg(long, value_parser = ["map", "class_loss"], default_value = "map")]
    pub(crate) plateau_check: String,
    /// Epochs without a better figure before reduce_plateau lowers the rates.
    #[arg(long, default_value_t = 10)]
    pub(crate) patience: u32,
    /// Index of the GPU; without one, the processor, with a warning.
    #[arg(long, default_value_t = 0)]
    pub(crate) device: usize,
    /// The classification loss.
    #[arg(long, value_parser = ["multiclass", "multilabel"], default_value = "multilabel")]
    pub(crate) criterion_type: String,
    /// The data set; there is one.
    #[arg(long, value_parser = ["kinetics"], default_value = "kinetics")]
    pub(crate) dataset: String,
    /// Folder of Info/, shards/ and manifests/.
    #[arg(long, default_value = "./Kinetics")]
    pub(crate) data_path: PathBuf,
    /// Schedule of subcategories to remove or exchange.
    #[arg(long, default_value = "./Kinetics/Info/subcategories_to_remove.csv")]
    pub(crate) subcategories_csv_path: PathBuf,
    /// Permute the schedule's columns.
    #[arg(long, value_enum, default_value = "yes")]
    pub(crate) subcategories_randomize: YesNo,
    /// Number of tasks.
    #[arg(long, default_value_t = 6)]
    pub(crate) n_task: usize,
    /// How an epoch draws clips. (The default of the seed's code; its README says balanced.)
    #[arg(long, value_parser = ["imbalanced", "balanced"], default_value = "imbalanced")]
    pub(crate) sampler: String,
    /// The network.
    #[arg(long, value_parser = ["movinetA0", "movinetA1", "movinetA2"], default_value = "movinetA0")]
    pub(crate) backbone: String,
    /// Weights to start from, or None.
    #[arg(long, default_value = "None")]
    pub(crate) pretrained_path: String,
    /// Flags passed on to incdec-train as they are.
    #[arg(last = true, value_name = "FLAGS FOR incdec-train")]
    pub(crate) passed_on: Vec<String>,
}

/// What is run instead of one experiment.
#[derive(Subcommand)]
pub(crate) enum Instead {
    Table(Table),
}

/// How the seed spells a switch.
#[derive(Clone, Copy, PartialEq, ValueEnum)]
pub(crate) enum YesNo {
    Yes,
    No,
}

/// The seed's `-op` is one flag; to us it would be two.
pub(crate) fn long_flags(arguments: impl Iterator<Item = OsString>) -> Vec<OsString> {
    arguments
        .map(|a| if a == "-op" { "--outpath".into() } else { a })
        .collect()
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
    fn every_flag_of_the_seed_is_taken_by_its_name_and_there_is_no_other() {
        let command = Args::command();
        let known: Vec<_> = command
            .get_arguments()
            .filter_map(clap::Arg::get_long)
            .collect();
        let wanted: Vec<_> = SEED_FLAGS.split_whitespace().collect();
        assert_eq!(wanted.len(), 34);
        assert_eq!(known, wanted);
    }

    #[test]
    fn a_flag_that_is_given_twice_counts_as_it_was_given_last() {
        let args = Args::parse_from(["main.py", "--epochs", "3", "-e", "5"]);
        assert_eq!(args.epochs, 5);
    }
}
