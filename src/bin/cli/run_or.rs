//! A binary that does one thing without a subcommand, and others under one.

use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, Subcommand};

/// What was asked for: the binary's work, or a subcommand in its place, which needs none of its
/// arguments.
pub(crate) enum RunOr<A, T> {
    Run(Box<A>),
    Task(T),
}

impl<A: Parser, T: Subcommand> Parser for RunOr<A, T> {}

impl<A: Parser, T: Subcommand> CommandFactory for RunOr<A, T> {
    fn command() -> clap::Command {
        T::augment_subcommands(A::command())
    }

    fn command_for_update() -> clap::Command {
        Self::command()
    }
}

impl<A: Parser, T: Subcommand> FromArgMatches for RunOr<A, T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        match matches.subcommand_name() {
            Some(_) => T::from_arg_matches(matches).map(Self::Task),
            None => A::from_arg_matches(matches).map(|args| Self::Run(Box::new(args))),
        }
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
