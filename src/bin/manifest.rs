//! `incdec-manifest`: joins label tables and shards into `clips.parquet`, and audits them.

#[path = "manifest/args.rs"]
mod args;
mod cli;

use std::process::ExitCode;

use incdec::manifest::{self, ManifestConfig};

use args::{Stage, Task};

fn main() -> ExitCode {
    let asked = cli::parse::<cli::RunOr<Stage, Task>>();
    cli::run(None, || match asked {
        cli::RunOr::Run(stage) => {
            let summary = stage.inputs.summary;
            let config = ManifestConfig::from(stage.inputs);
            match stage.part {
                None => manifest::run(&config).map(|done| summary.print(done)),
                Some(part) => manifest::run_part(&config, part, stage.wait.into())
                    .map(|done| summary.print(done)),
            }
        }
        cli::RunOr::Task(Task::Merge(merge)) => {
            let summary = merge.inputs.summary;
            let config = ManifestConfig::from(merge.inputs);
            manifest::merge(&config, merge.parts, merge.wait.into()).map(|done| summary.print(done))
        }
    })
}
