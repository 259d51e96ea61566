//! What the binaries share: logging, the exit status, the printing of errors and hints.

// Every binary compiles its own copy of this module and uses the part that it needs.
#![allow(dead_code, unused_imports)]

mod choice;
#[cfg(feature = "torch")]
mod computing;
mod environment;
mod generate;
mod loudness;
mod parse;
mod part;
mod print;
mod run_or;
mod shards;
mod store;
mod summary;
mod wording;

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitCode, ExitStatus};
use std::sync::Mutex;

use anyhow::Context;
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::{progress, signals};
use loudness::Loudness;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

pub(crate) use choice::one_of;
#[cfg(feature = "torch")]
pub(crate) use computing::Computing;
pub(crate) use environment::proxies;
pub(crate) use loudness::hush;
pub(crate) use parse::{parse, parse_from, parse_linked};
pub(crate) use part::part;
pub(crate) use print::{complain, news, product};
pub(crate) use run_or::RunOr;
pub(crate) use shards::ShardArgs;
pub(crate) use store::{StoreArgs, number};
pub(crate) use summary::Summary;

/// What stands at the end of `--help`: the examples of a binary, and the exit statuses that all of them share.
pub(crate) fn after_help(examples: &str) -> String {
    format!("{examples}\n\n{}", Exit::HELP)
}

/// Sends the library's messages to stderr as plain lines, as many as the command line wants, and, where `log` is given, to that file as JSON lines.
///
/// # Errors
/// When the log file cannot be opened for appending.
pub(crate) fn start_log(log: Option<&Path>) -> anyhow::Result<()> {
    let plain = fmt::layer()
        .with_writer(|| AboveProgress)
        .without_time()
        .with_target(false)
        .with_ansi(false)
        // Where stderr is closed there is nobody to tell, and telling would panic.
        .log_internal_errors(false)
        .with_filter(Loudness::of_process().level());
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

/// Stderr, where a bar of progress may be: each write stands above it.
struct AboveProgress;

impl Write for AboveProgress {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        progress::above(|| io::stderr().write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        io::stderr().flush()
    }
}

/// Does a binary's work with its messages on stderr and, where `log` is given, in that file too. Gives the exit status: what the
/// error says of itself, after printing it with its causes and its hint. (2 is clap's, for a command line that makes no sense.)
pub(crate) fn run<T, E: Error + Hint>(
    log: Option<&Path>,
    work: impl FnOnce() -> Result<T, E>,
) -> ExitCode {
    if let Err(error) = start_log(log).and_then(|()| Ok(signals::end_at_user1()?)) {
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
