//! What goes to stdout, and what becomes of it where nobody reads or the disk is full.

use std::io::{self, ErrorKind, Write};
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};

use incdec::exit::Exit;
use incdec::progress;

use super::loudness::Loudness;

/// Whether somebody still reads our news.
static NEWS_ARE_READ: AtomicBool = AtomicBool::new(true);

/// Prints a line about work that is done or under way, unless the command line wants none. Where stdout is closed or cannot take it, the work goes on in silence:
/// what counts is what the stage publishes.
pub(crate) fn news(line: impl std::fmt::Display) {
    if Loudness::of_process() == Loudness::Quiet {
        return;
    }
    if NEWS_ARE_READ.load(Ordering::Relaxed) && put(&line).is_err() {
        NEWS_ARE_READ.store(false, Ordering::Relaxed);
    }
}

/// Prints a line for which the command was called. Where nobody reads any more (`| head`) the command ends quietly; where
/// the line cannot be written, it fails.
pub(crate) fn product(line: impl std::fmt::Display) {
    judge(put(&line));
}

/// Ends the command where a product could not be printed.
fn judge(printed: io::Result<()>) {
    let Err(error) = printed else {
        return;
    };
    if error.kind() == ErrorKind::BrokenPipe {
        process::exit(i32::from(Exit::Done.code()));
    }
    complain(format_args!("error: write to stdout: {error}"));
    process::exit(i32::from(Exit::Failed.code()));
}

/// Ends a command whose arguments ask for the help or the version, or make no sense: what was asked for is a product.
pub(crate) fn leave(answer: &clap::Error) -> ! {
    let printed = answer.print().and_then(|()| io::stdout().flush());
    if !answer.use_stderr() {
        judge(printed);
    }
    process::exit(answer.exit_code())
}

/// Prints a line on stderr; where nobody reads that, there is nobody to tell.
pub(crate) fn complain(line: impl std::fmt::Display) {
    let _ = progress::above(|| writeln!(io::stderr(), "{line}"));
}

fn put(line: &impl std::fmt::Display) -> io::Result<()> {
    // One write, so that lines of several programs do not mix; a line that ends in a newline gets no second one.
    let mut text = line.to_string();
    if !text.ends_with('\n') && !text.is_empty() {
        text.push('\n');
    }
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
