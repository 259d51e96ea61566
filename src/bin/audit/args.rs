//! What was typed.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use incdec::audit::ReferenceTasks;
use incdec::audit::lira::SHADOWS;

use crate::cli;

const EXAMPLE: &str = "\
Examples:
  incdec-audit --shards Kinetics/shards --out Kinetics/audit/scrub runs/scrub-0 runs/path-0
  incdec-audit --shards demo/shards --out demo/audit/tables \\
    --features demo/audit/features/features.parquet --train-references demo/runs/*
  incdec-audit memorised --features features.parquet --availability tasks --out request.csv

Candidates are the runs that withdraw clips. A path reference has the same settings and lists in which those clips never
were; a scratch reference was trained with --from-scratch. What is what follows from settings and lists. Name runs of at
least three seeds. SIGINT and SIGTERM end it, and the training of a reference that it has started.";

/// Judge unlearned models against references that never saw what was withdrawn.
///
/// Writes audit.parquet (every measure, its difference to the references, and both over seeds with
/// intervals), curves.parquet (the curves of attacks) and timing.parquet (all seconds). No figure says
/// alone that a model has forgotten: each is read as a difference to a reference.
#[derive(Parser)]
#[command(
    name = "incdec-audit",
    version,
    after_help = cli::after_help(EXAMPLE),
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub(crate) struct Args {
    /// Run directories: what is judged, and its references
    #[arg(required = true, value_name = "RUN")]
    pub(crate) runs: Vec<PathBuf>,
    /// Folder of the frame shards that the runs were trained on, or the address of these (s3://, gs://, az://, https://)
    #[arg(long, value_name = "DIR|URL")]
    pub(crate) shards: PathBuf,
    /// The list of withdrawn clips (withdrawn.csv), where there is one: shards that still hold one of them are refused
    #[arg(long, value_name = "FILE")]
    pub(crate) withdrawn: Option<PathBuf>,
    /// The ledger of withdrawals, where there is one: checkpoints of references carry the newest value of its chain
    #[arg(long, value_name = "LEDGER")]
    pub(crate) withdrawals: Option<PathBuf>,
    /// The folder for the tables, and for the features of every model
    #[arg(long, value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// A feature table that heads among the runs were trained on (repeatable)
    #[arg(long, value_name = "FILE")]
    pub(crate) features: Vec<PathBuf>,
    /// Train the references that are missing, by incdec-train, below --out
    #[arg(long)]
    pub(crate) train_references: bool,
    /// For which withdrawals of a run references are trained
    #[arg(long, value_parser = cli::one_of::<ReferenceTasks>(), default_value_t, requires = "train_references")]
    pub(crate) tasks: ReferenceTasks,
    /// Weights that the runs started from, for the references that are trained
    #[arg(long, value_name = "FILE", requires = "train_references")]
    pub(crate) pretrained: Option<PathBuf>,
    /// Shadow heads of each run: an attack knows the unlearning method from them. From 330 on, `KLoM` is told, too
    #[arg(long, default_value_t = SHADOWS, value_name = "N")]
    pub(crate) shadows: usize,
    /// Seed of the audit's own draws
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) store: cli::ShardArgs,
    #[command(flatten)]
    pub(crate) computing: cli::Computing,
    /// Where another program works in the folder, wait until it has ended
    #[arg(long)]
    pub(crate) wait: bool,
    /// Print what it came to as one JSON object
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Task {
    /// List the clips of a task that heads on features memorise most, as a request to forget
    Memorised(Memorised),
}

#[derive(clap::Args)]
pub(crate) struct Memorised {
    /// The feature table
    #[arg(long, value_name = "FILE")]
    pub(crate) features: PathBuf,
    /// Folder of availability.parquet
    #[arg(long, value_name = "DIR")]
    pub(crate) availability: PathBuf,
    /// The file to write: CSV, the most memorised first, with the columns clip_id, category, subcategory and memorisation
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
    /// The task whose train list is looked at [default: the last]
    #[arg(long, value_name = "TASK")]
    pub(crate) task: Option<usize>,
    /// How many clips are listed
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) clips: usize,
    /// Heads that are trained, each on a half of the clips
    #[arg(long, default_value_t = SHADOWS, value_name = "N")]
    pub(crate) shadows: usize,
    /// Seed of the draws
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    #[command(flatten)]
    pub(crate) summary: cli::Summary,
}
