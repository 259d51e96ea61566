//! `incdec-train`: trains a model task after task on what is available, and writes a run directory.

mod args;
#[path = "../cli/mod.rs"]
mod cli;

use std::panic;
use std::process::ExitCode;

use incdec::model::instructions::libtorch_version;
use incdec::panics;
use incdec::run_record::LOG_FILE;
use incdec::train::status::Status;
use incdec::train::watch::Watchman;
use incdec::train::{self, TrainConfig, TrainError, approach};

use args::{Args, Command, StatusArgs, Task};

fn main() -> ExitCode {
    let libtorch = format!("libtorch {}", libtorch_version());
    let command = cli::parse_linked::<Command>(&[libtorch]);
    match command {
        Command::Run(args) => train(*args),
        Command::Task(Task::Status(args)) => cli::finish(status(&args)),
    }
}

fn train(args: Args) -> ExitCode {
    let summary = cli::Summary::of(args.json);
    let config = TrainConfig::from(args);
    for (name, value) in config.instructions.environment() {
        // SAFETY: no other thread runs yet.
        unsafe { std::env::set_var(name, value) };
    }
    quiet_about_memory();
    let log = config.out.join(LOG_FILE);
    let approach = approach::make(&config.settings);
    let mut watch = Watchman::of_process(config.checkpoint_every);
    cli::run(Some(&log), || {
        train::run_watched(&config, approach, &mut watch).map(|done| summary.print(done))
    })
}

/// Leaves it to the error to say that memory is short, which is a panic of libtorch's bindings first.
fn quiet_about_memory() {
    let plain = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !train::is_shortage(&panics::message(panic.payload())) {
            plain(panic);
        }
    }));
}

fn status(args: &StatusArgs) -> Result<(), TrainError> {
    let status = Status::read(&args.run)?;
    if args.json {
        cli::product(status.json());
    } else {
        cli::product(status);
    }
    Ok(())
}
