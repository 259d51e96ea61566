//! What a stage came to, for people or for machines.

use std::fmt::Display;

use serde::Serialize;

use super::print::{news, product};

/// How a stage says what it came to.
#[derive(Clone, Copy, Debug, clap::Args)]
pub(crate) struct Summary {
    /// Print what it came to as one JSON object
    #[arg(long)]
    json: bool,
}

impl Summary {
    /// For commands whose flags are a group of their own, which may hold no other group.
    pub(crate) fn of(json: bool) -> Self {
        Self { json }
    }

    /// Prints what a stage came to on stdout: news, or the object that was asked for.
    pub(crate) fn print(self, summary: impl Display + Serialize) {
        if self.json {
            object(&summary);
        } else {
            news(summary);
        }
    }

    /// [`Summary::print`] of what the command was called for.
    pub(crate) fn print_product(self, summary: impl Display + Serialize) {
        if self.json {
            object(&summary);
        } else {
            product(summary);
        }
    }
}

fn object(summary: &impl Serialize) {
    match serde_json::to_string(summary) {
        Ok(text) => product(text),
        // A summary holds texts, numbers and lists of them, which always become JSON.
        Err(error) => unreachable!("a summary as JSON: {error}"),
    }
}
