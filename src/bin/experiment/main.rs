//! `incdec-experiment`: takes the command line of the seed's `main.py` and runs `incdec-tasks` and `incdec-train` for it, or
//! a whole table of experiments.

#[path = "../cli/mod.rs"]
mod cli;
mod commands;
mod flags;
mod program;
mod stage;
mod table;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context;
use incdec::child;
use incdec::exit::Exit;

fn main() -> ExitCode {
    let given = flags::long_flags(std::env::args_os());
    let args = cli::parse_from::<flags::Args>(given.clone());
    let ready = child::pass_signals_on().context("catch signals");
    let ended = ready.and_then(|()| match &args.command {
        Some(flags::Instead::Table(table)) => table.run(),
        None => one_experiment(&args, &given),
    });
    ended.unwrap_or_else(|error| {
        cli::complain(format_args!("error: {error:#}"));
        ExitCode::from(Exit::Failed.code())
    })
}

/// Runs the programs that the seed's command line stands for.
fn one_experiment(args: &flags::Args, given: &[OsString]) -> anyhow::Result<ExitCode> {
    let text: Vec<_> = given.iter().skip(1).map(|a| a.to_string_lossy()).collect();
    let commands = args.commands(&device(args.device), &text.join("\n"));
    let decode = commands
        .decode
        .iter()
        .map(|arguments| ("incdec-decode", arguments));
    let others = [
        ("incdec-tasks", &commands.tasks),
        ("incdec-train", &commands.train),
    ];
    for (name, arguments) in decode.chain(others) {
        let status = program::run(name, arguments)?;
        if !status.success() {
            // It has said why; a scheduler sees the same status as from the program itself.
            return Ok(cli::same_status(status));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The GPU with this index where there is one; else the processor, with a warning.
fn device(index: usize) -> String {
    if Path::new(&format!("/dev/nvidia{index}")).exists() {
        return format!("cuda:{index}");
    }
    cli::complain(format_args!(
        "warning: there is no GPU {index}; computing on the processor"
    ));
    "cpu".to_owned()
}
