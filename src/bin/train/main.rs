//! `incdec-train`: trains a model task after task on what is available, and writes a run directory.

mod args;
#[path = "../cli/mod.rs"]
mod cli;

use std::process::ExitCode;

use incdec::model::instructions::libtorch_version;
use incdec::train::record::LOG_FILE;
use incdec::train::{self, TrainConfig};

use args::Args;

fn main() -> ExitCode {
    let libtorch = format!("libtorch {}", libtorch_version());
    let args = cli::parse_linked::<Args>(&[libtorch]);
    let summary = args.summary;
    let config = TrainConfig::from(args);
    for (name, value) in config.instructions.environment() {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var(name, value) };
    }
    let log = config.out.join(LOG_FILE);
    cli::run(Some(&log), || {
        train::run(&config).map(|done| summary.print(done))
    })
}
