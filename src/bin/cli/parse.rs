//! From a command line to a binary's arguments, with what every binary takes beside its own.

use std::ffi::OsString;

use clap::error::ErrorKind;
use clap::{Arg, Command, Parser};
use incdec::exit::Exit;

use super::{generate, loudness, print, wording};

/// The command line of this process as a binary's arguments, and how much it is to say.
pub(crate) fn parse<A: Parser>() -> A {
    parse_linked(&[])
}

/// [`parse`] for a binary that links `libraries`, each with its version: `-V` tells them, and
/// Zstandard, which every binary reads and writes tables with.
pub(crate) fn parse_linked<A: Parser>(libraries: &[String]) -> A {
    let command = loudness::add(command::<A>());
    let tables = format!("Zstandard {}", zstd::zstd_safe::version_string());
    let libraries = [libraries, &[tables]].concat();
    parsed(command, &libraries, std::env::args_os())
}

/// A command line as a binary's arguments, for a binary that hands its own on to others, which say
/// what there is to say.
pub(crate) fn parse_from<A: Parser>(given: impl IntoIterator<Item = OsString>) -> A {
    parsed(command::<A>(), &[], given)
}

/// A binary's command under its own name. The help of a subcommand shows the exit statuses, too.
fn command<A: Parser>() -> Command {
    // A number below zero is a value that is refused as such, no unknown flag.
    let negative = |arg: Arg| {
        let takes_values = arg.get_action().takes_values();
        arg.allow_negative_numbers(takes_values)
    };
    let command = A::command().name(env!("CARGO_BIN_NAME")).mut_args(negative);
    command.mut_subcommands(|sub| {
        // One without a help of its own hands everything on to another binary.
        if sub.is_disable_help_flag_set() {
            return sub;
        }
        sub.after_help(Exit::HELP).mut_args(negative)
    })
}

/// The arguments in `given`. Where it asks for help or makes no sense, the process ends.
fn parsed<A: Parser>(
    mut command: Command,
    libraries: &[String],
    given: impl IntoIterator<Item = OsString>,
) -> A {
    let given: Vec<OsString> = given.into_iter().collect();
    generate::if_asked(&command, &given);
    if !libraries.is_empty() {
        let version = command.get_version().unwrap_or_default();
        let lines = libraries.iter().map(|library| format!("\n{library}"));
        let version = format!("{version}{}", lines.collect::<String>());
        // It is told once in the life of the process.
        command = command.version(&*version.leak());
    }
    let parsed = command
        .try_get_matches_from_mut(given)
        .and_then(|mut matches| {
            loudness::take(&matches);
            A::from_arg_matches_mut(&mut matches)
        })
        .map_err(|error| match error.kind() {
            ErrorKind::ValueValidation => wording::of_value(error),
            _ => error.format(&mut command),
        });
    parsed.unwrap_or_else(|answer| print::leave(&answer))
}
