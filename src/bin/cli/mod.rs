//! What the binaries share: logging, the exit status, the printing of errors and hints.

// Every binary compiles its own copy of this module and uses the part that it needs.
#![allow(dead_code)]

use std::error::Error;
use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::ExitCode;
use std::sync::Mutex;

use anyhow::Context;
use incdec::hint::Hint;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt};

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
                    .with_writer(Mutex::new(file))
                    .with_filter(LevelFilter::DEBUG),
            )
        }
    };
    tracing_subscriber::registry().with(plain).with(json).init();
    Ok(())
}

/// Turns a stage's result into the exit status: 0, or 1 after printing the error with its causes and its hint.
/// (2 is clap's, for a command line that makes no sense.)
pub(crate) fn finish<T, E: Error + Hint>(result: Result<T, E>) -> ExitCode {
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(error) => {
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
            eprintln!("error: {text}");
            if let Some(hint) = error.hint() {
                eprintln!("hint: {hint}");
            }
            ExitCode::from(1)
        }
    }
}
