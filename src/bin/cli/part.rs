//! `--part`: which part of a stage's work a process does.

use incdec::hint::Hint;
use incdec::part::{self, Part};

/// Reads `i/n`, `auto` or `auto/n`, the latter two by what a scheduler says in the environment.
pub(crate) fn part(text: &str) -> Result<Part, String> {
    part::choose(text, |name| std::env::var(name).ok()).map_err(|error| match error.hint() {
        Some(hint) => format!("{error}\nhint: {hint}"),
        None => error.to_string(),
    })
}
