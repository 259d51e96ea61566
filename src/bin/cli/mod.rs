//! What the binaries share: logging, the exit status, the printing of errors and hints.

// Every binary compiles its own copy of this module and uses the part that it needs.
#![allow(dead_code, unused_imports)]

mod choice;
mod print;

use std::error::Error;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::sync::Mutex;

use anyhow::Context;
use clap::Parser;
use incdec::exit::Exit;
use incdec::hint::Hint;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

pub(crate) use choice::one_of;
pub(crate) use print::{complain, news, product};

/// What stands at the end of `--help`: the examples of a binary, and the exit statuses that all of them share.
pub(crate) fn after_help(examples: &str) -> String {
    format!("{examples}\n\n{}", Exit::HELP)
}

/// The command line of this process as a binary's arguments.
pub(crate) fn parse<A: Parser>() -> A {
    parse_from(std::env::args_os())
}

/// A command line as a binary's arguments. Where it asks for help or makes no sense, the process ends. The help of a subcommand
/// shows the exit statuses, too.
pub(crate) fn parse_from<A: Parser>(given: impl IntoIterator<Item = OsString>) -> A {
    let mut command = A::command().mut_subcommands(|sub| {
        // One without a help of its own hands everything on to another binary.
        if sub.is_disable_help_flag_set() {
            return sub;
        }
        sub.after_help(Exit::HELP)
    });
    let parsed = command
        .try_get_matches_from_mut(given)
        .and_then(|mut matches| A::from_arg_matches_mut(&mut matches))
        .map_err(|e| e.format(&mut command));
    parsed.unwrap_or_else(|answer| print::leave(&answer))
}

/// Sends the library's messages to stderr as plain lines and, where `log` is given, to that file as JSON lines.
///
/// # Errors
/// When the log file cannot be opened for appending.
pub(crate) fn start_log(log: Option<&Path>) -> anyhow::Result<()> {
    let plain = fmt::layer()
        .with_writer(std::io::stderr)
        .without_time()
        .with_target(false)
        .with_ansi(false)
        // Where stderr is closed there is nobody to tell, and telling would panic.
        .log_internal_errors(false)
        .with_filter(LevelFilter::INFO);
    let json = match log {
        None => None,
        Some(path) => {
            if let Some(folder) = path.parent() {
                fs::create_dir_all(folder)
                    .with_context(|| format!("create folder {}", folder.display()))?;
            }
            let file = OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .with_context(|| format!("open log {}", path.display()))?;
            Some(
                fmt::layer()
                    .json()
                    .log_internal_errors(false)
                    .with_writer(Mutex::new(file))
                    .with_filter(LevelFilter::DEBUG),
            )
        }
    };
    tracing_subscriber::registry().with(plain).with(json).init();
    Ok(())
}

/// Does a binary's work with its messages on stderr and, where `log` is given, in that file too. Gives the exit status: what the
/// error says of itself, after printing it with its causes and its hint. (2 is clap's, for a command line that makes no sense.)
pub(crate) fn run<T, E: Error + Hint>(
    log: Option<&Path>,
    work: impl FnOnce() -> Result<T, E>,
) -> ExitCode {
    if let Err(error) = start_log(log) {
        complain(format_args!("error: {error:#}"));
        return ExitCode::from(Exit::Failed.code());
    }
    finish(work())
}

/// The exit status of a program that this one has started, as its own: of one that a signal ended, what a shell says of it.
pub(crate) fn same_status(status: ExitStatus) -> ExitCode {
    let code = status.code().or(status.signal().map(|signal| 128 + signal));
    let code = code.and_then(|code| u8::try_from(code).ok());
    ExitCode::from(code.unwrap_or(Exit::Failed.code()))
}

/// Turns a result into the exit status, after printing the error.
pub(crate) fn finish<T, E: Error + Hint>(result: Result<T, E>) -> ExitCode {
    let Err(error) = result else {
        return ExitCode::from(Exit::Done.code());
    };
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let inner_text = inner.to_string();
        // Many messages already quote their cause; saying it twice helps nobody.
        if !text.contains(&inner_text) {
            text += &format!(": {inner_text}");
        }
        cause = inner.source();
    }
    match error.exit() {
        // Nothing has failed: somebody asked for it.
        Exit::Interrupted | Exit::Terminated => complain(text),
        _ => complain(format_args!("error: {text}")),
    }
    if let Some(hint) = error.hint() {
        complain(format_args!("hint: {hint}"));
    }
    ExitCode::from(error.exit().code())
}
