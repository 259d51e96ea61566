//! What a request has come to.

use std::fmt;

use crate::erase::held::HeldRow;
use crate::progress::counted;

/// What was erased. Its text is the command's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The row of the ledger.
    pub number: i64,
    /// The request.
    pub request: String,
    /// Clips.
    pub clips: usize,
    /// Files that were changed or are gone.
    pub files: usize,
    /// Runs that saw one of the clips.
    pub runs: usize,
    /// The newest value of the ledger's chain.
    pub chain: String,
    /// Whether it had been done before, and nothing was left that this program can do.
    pub already: bool,
    /// What a person must do, as plan lists it.
    pub by_hand: Vec<String>,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            number,
            request,
            clips,
            files,
            runs,
            chain,
            by_hand,
            ..
        } = self;
        if self.already {
            writeln!(
                f,
                "{request}: was done before, as row {number} of the ledger; nothing is left {}",
                if by_hand.is_empty() {
                    "to do"
                } else {
                    "that this program can do"
                }
            )?;
        } else {
            writeln!(
                f,
                "{request}: {} erased, {} rewritten or deleted, row {number} of the ledger",
                counted(*clips, "clip"),
                counted(*files, "file")
            )?;
        }
        if *runs > 0 {
            writeln!(
                f,
                "{} with checkpoints that saw them: `incdec-erase plan --runs` lists them",
                counted(*runs, "run")
            )?;
        }
        for thing in by_hand {
            writeln!(f, "left for a person: {thing}")?;
        }
        writeln!(f, "chain of the ledger: {chain}")?;
        writeln!(f, "see that nothing is left with `incdec-erase verify`")
    }
}

/// What is left to a person, as [`Applied::by_hand`] says it.
pub(super) fn left(rows: &[&HeldRow]) -> Vec<String> {
    let said = rows
        .iter()
        .map(|row| format!("{} of {} in {}", row.what, row.clip_id, row.file));
    said.collect()
}
