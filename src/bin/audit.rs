//! `incdec-audit`: judges unlearned models against references that never saw what was withdrawn.

mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use incdec::audit::{self, AuditConfig, ReferenceTasks, TrainReferences};
use incdec::data::LoaderConfig;
use incdec::lock::Wait;
use incdec::model::device::DeviceChoice;
use incdec::model::instructions::libtorch_version;

const EXAMPLE: &str = "\
Examples:
  incdec-audit --shards Kinetics/shards --out Kinetics/audits/scrub runs/scrub-0 runs/path-0
  incdec-audit --shards demo/shards --out demo/audit --features demo/features.parquet \\
    --train-references demo/runs/*

Candidates are the runs that withdraw clips. A path reference has the same settings and lists in which those clips never
were; a scratch reference was trained with --from-scratch. What is what follows from settings and lists. Name runs of at
least three seeds.";

/// Judge unlearned models against references that never saw what was withdrawn.
///
/// Writes audit.parquet (every measure, its difference to the references, and both over seeds with
/// intervals), curves.parquet (the curves of attacks) and timing.parquet (all seconds). No figure says
/// alone that a model has forgotten: each is read as a difference to a reference.
#[derive(Parser)]
#[command(name = "incdec-audit", version, after_help = cli::after_help(EXAMPLE))]
struct Args {
    /// Run directories: what is judged, and its references
    #[arg(required = true, value_name = "RUN")]
    runs: Vec<PathBuf>,
    /// Folder of the frame shards that the runs were trained on
    #[arg(long, value_name = "DIR")]
    shards: PathBuf,
    /// The folder for the tables, and for the features of every model
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// A feature table that heads among the runs were trained on (repeatable)
    #[arg(long, value_name = "FILE")]
    features: Vec<PathBuf>,
    /// Train the references that are missing, by incdec-train, below --out
    #[arg(long)]
    train_references: bool,
    /// For which withdrawals of a run references are trained
    #[arg(long, value_parser = cli::one_of::<ReferenceTasks>(), default_value_t, requires = "train_references")]
    tasks: ReferenceTasks,
    /// Weights that the runs started from, for the references that are trained
    #[arg(long, value_name = "FILE", requires = "train_references")]
    pretrained: Option<PathBuf>,
    /// Seed of the audit's own draws
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where to compute: auto, cpu or cuda:N
    #[arg(long, default_value_t)]
    device: DeviceChoice,
    /// Threads that decode clips. Any number gives the same result
    #[arg(long, default_value_t = LoaderConfig::default().workers, value_name = "N")]
    workers: usize,
    /// Threads of a tensor operation [default: all cores]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// Where another program works in the folder, wait until it has ended
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    summary: cli::Summary,
}

/// A program of this project: where this one lies, else where the shell finds it.
fn beside_this(name: &str) -> PathBuf {
    let here = std::env::current_exe().ok();
    let beside = here.and_then(|path| Some(path.parent()?.join(name)));
    beside
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from(name))
}

fn main() -> ExitCode {
    let args = cli::parse_linked::<Args>(&[format!("libtorch {}", libtorch_version())]);
    let summary = args.summary;
    let config = AuditConfig {
        runs: args.runs,
        shards: args.shards,
        features: args.features,
        out: args.out,
        train_references: args.train_references.then(|| TrainReferences {
            program: beside_this("incdec-train"),
            tasks: args.tasks,
            pretrained: args.pretrained,
        }),
        device: args.device,
        workers: args.workers,
        threads: args.threads,
        seed: args.seed,
        wait: if args.wait { Wait::Yes } else { Wait::No },
    };
    cli::run(None, || audit::run(&config).map(|done| summary.print(done)))
}
