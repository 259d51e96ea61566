//! What cleaning did, as it is said.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use crate::foreign::printable;

/// How many files that stay are named; the rest is counted.
const NAMED: usize = 5;

/// What cleaning did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CleanSummary {
    /// Files that were removed, or would be; stamps and folders not among them.
    pub removed: Vec<PathBuf>,
    /// Files with a name of ours that are not as we wrote them.
    pub changed: Vec<PathBuf>,
    /// Files that no record of ours names as made by the stage: adopted ones, and those of nobody.
    pub unknown: Vec<PathBuf>,
    /// Whether nothing was removed because only the list was asked for.
    pub dry_run: bool,
}

impl fmt::Display for CleanSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.dry_run {
            for path in &self.removed {
                writeln!(f, "{}", printable(&path.to_string_lossy()))?;
            }
        }
        let would = if self.dry_run { "would be " } else { "" };
        write!(f, "{} {would}removed", files(self.removed.len()))?;
        for (left, why) in [
            (&self.changed, "not as this program wrote them"),
            (&self.unknown, "not made by this stage"),
        ] {
            if left.is_empty() {
                continue;
            }
            let stay = if left.len() == 1 { "stays" } else { "stay" };
            write!(f, "; {} {stay}, {why}:", files(left.len()))?;
            for path in left.iter().take(NAMED) {
                write!(f, " {}", printable(&path.to_string_lossy()))?;
            }
            if left.len() > NAMED {
                write!(f, " ...")?;
            }
        }
        Ok(())
    }
}

fn files(n: usize) -> String {
    format!("{n} file{}", if n == 1 { "" } else { "s" })
}
