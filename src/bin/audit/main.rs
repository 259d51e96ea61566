//! `incdec-audit`: judges unlearned models against references that never saw what was withdrawn.

mod args;
#[path = "../cli/mod.rs"]
mod cli;

use std::path::PathBuf;
use std::process::ExitCode;

use incdec::audit::{self, AuditConfig, AuditStageError, MemorisedConfig, TrainReferences};
use incdec::child;
use incdec::model::instructions::libtorch_version;

use args::{Args, Memorised, Task};

fn main() -> ExitCode {
    let libtorch = format!("libtorch {}", libtorch_version());
    match cli::parse_linked::<cli::RunOr<Args, Task>>(&[libtorch]) {
        cli::RunOr::Run(args) => audit(*args),
        cli::RunOr::Task(Task::Memorised(args)) => memorised(args),
    }
}

fn audit(args: Args) -> ExitCode {
    let summary = cli::Summary::of(args.json);
    let computing = args.computing;
    let config = AuditConfig {
        runs: args.runs,
        shards: args.store.source(args.shards),
        withdrawn: args.withdrawn,
        withdrawals: args.withdrawals,
        features: args.features,
        out: args.out,
        train_references: args.train_references.then(|| TrainReferences {
            program: beside_this("incdec-train"),
            tasks: args.tasks,
            pretrained: args.pretrained,
        }),
        device: computing.device,
        workers: computing.workers,
        threads: computing.threads,
        shadows: args.shadows,
        seed: args.seed,
        wait: args.wait.into(),
    };
    cli::run(None, || {
        // References are trained by another program, which ends with this one.
        child::pass_signals_on().map_err(AuditStageError::Signals)?;
        audit::run(&config).map(|done| summary.print(done))
    })
}

fn memorised(args: Memorised) -> ExitCode {
    let config = MemorisedConfig {
        task: args.task,
        clips: args.clips,
        shadows: args.shadows,
        seed: args.seed,
        ..MemorisedConfig::new(args.features, args.availability, args.out)
    };
    cli::run(None, || {
        audit::most_memorised(&config).map(|done| args.summary.print(done))
    })
}

/// A program of this project: where this one lies, else where the shell finds it.
fn beside_this(name: &str) -> PathBuf {
    let here = std::env::current_exe().ok();
    let beside = here.and_then(|path| Some(path.parent()?.join(name)));
    beside
        .filter(|path| path.exists())
        .unwrap_or_else(|| PathBuf::from(name))
}
