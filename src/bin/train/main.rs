//! `incdec-train`: trains a model task after task on what is available, and writes a run directory.

mod args;
#[path = "../cli/mod.rs"]
mod cli;

use std::process::ExitCode;

use clap::Parser;
use incdec::train::record::LOG_FILE;
use incdec::train::{self, TrainConfig};

use args::Args;

fn main() -> ExitCode {
    let config = TrainConfig::from(Args::parse());
    if let Err(error) = cli::start_log(Some(&config.out.join(LOG_FILE))) {
        eprintln!("error: {error:#}");
        return ExitCode::FAILURE;
    }
    let result = train::run(&config);
    if let Ok(summary) = &result {
        println!("{summary}");
    }
    cli::finish(result)
}
