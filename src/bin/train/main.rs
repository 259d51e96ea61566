//! `incdec-train`: trains a model task after task on what is available, and writes a run directory.

mod args;
#[path = "../cli/mod.rs"]
mod cli;

use std::process::ExitCode;

use incdec::train::record::LOG_FILE;
use incdec::train::{self, TrainConfig};

use args::Args;

fn main() -> ExitCode {
    let config = TrainConfig::from(cli::parse::<Args>());
    let log = config.out.join(LOG_FILE);
    cli::run(Some(&log), || train::run(&config).map(cli::news))
}
