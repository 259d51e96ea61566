//! `incdec-train`: trains a model task after task on what is available, and writes a run directory.

mod args;
#[path = "../cli/mod.rs"]
mod cli;
mod error_file;

use std::env;
use std::panic;
use std::process::ExitCode;

use incdec::model::instructions::libtorch_version;
use incdec::panics;
use incdec::run_record::LOG_FILE;
use incdec::train::status::Status;
use incdec::train::watch::Watchman;
use incdec::train::world::{Launch, nccl};
use incdec::train::{self, TrainError, approach};

use args::{Args, StatusArgs, Task};

fn main() -> ExitCode {
    let libtorch = format!("libtorch {}", libtorch_version());
    match cli::parse_linked::<cli::RunOr<Args, Task>>(&[libtorch]) {
        cli::RunOr::Run(args) => train(*args),
        cli::RunOr::Task(Task::Status(args)) => cli::finish(status(&args)),
    }
}

fn train(args: Args) -> ExitCode {
    let summary = cli::Summary::of(args.json);
    let model = args.model();
    let mut config = args.config(&model);
    config.launch = match Launch::read(|name| env::var(name).ok()) {
        Ok(launch) => launch,
        Err(error) => return cli::finish(Err::<(), _>(error)),
    };
    let of_group: &[_] = match config.launch {
        Some(_) => &nccl::ENVIRONMENT,
        None => &[],
    };
    for (name, value) in config.instructions.environment().iter().chain(of_group) {
        // SAFETY: no other thread runs yet.
        unsafe { env::set_var(name, value) };
    }
    hear_panics();
    // Of several processes the first one says what all of them do.
    let is_first = config.launch.as_ref().is_none_or(|launch| launch.rank == 0);
    if !is_first {
        cli::hush();
    }
    let log = is_first.then(|| config.out.join(LOG_FILE));
    let approach = approach::make(&config.settings);
    let mut watch = Watchman::of_process(config.checkpoint_every);
    cli::run(log.as_deref(), || {
        if let Some(contradiction) = &model.contradiction {
            tracing::warn!("{contradiction}");
        }
        let result = train::run_watched(&config, approach, &mut watch);
        let done = result.inspect_err(error_file::write)?;
        if is_first {
            summary.print(done);
        }
        Ok::<(), TrainError>(())
    })
}

/// Has panics stand in the log with their place in the source. Leaves it to the error to say that memory is short, which is a
/// panic of libtorch's bindings first.
fn hear_panics() {
    let plain = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !train::is_shortage(&panics::message(panic.payload())) {
            plain(panic);
            tracing::debug!("{panic}");
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
