//! `incdec-train`: trains a model task after task on what is available, and writes a run directory.

mod args;
#[path = "../cli/mod.rs"]
mod cli;

use std::process::ExitCode;

use incdec::train::record::LOG_FILE;
use incdec::train::watch::Watchman;
use incdec::train::{self, TrainConfig, approach};

use args::Args;

fn main() -> ExitCode {
    let config = TrainConfig::from(cli::parse::<Args>());
    for (name, value) in config.instructions.environment() {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var(name, value) };
    }
    let log = config.out.join(LOG_FILE);
    let approach = approach::make(&config.settings);
    let mut watch = Watchman::of_process(config.checkpoint_every);
    cli::run(Some(&log), || {
        train::run_watched(&config, approach, &mut watch).map(cli::news)
    })
}
