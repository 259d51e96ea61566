//! Looking once more, at everything, whether nothing of a withdrawn clip is left.

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use super::EraseError;
use super::config::Places;
use super::held::{Action, HeldRow, Place};
use super::ids::Ids;
use super::ledger::Ledger;
use super::marks;
use super::search::{Depth, Search};
use super::stores::Stores;
use super::witness;
use crate::progress::counted;
use crate::withdrawn::Withdrawn;

/// Things left that the text lists one by one.
const LISTED: usize = 100;

/// What verify has found.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// The clips that were looked for.
    pub clips: usize,
    /// What is left of them.
    pub left: Vec<HeldRow>,
    /// What is wrong with list, ledger or marks.
    pub problems: Vec<String>,
    /// What could not be searched, each with the reason.
    pub unsearched: Vec<(PathBuf, String)>,
    /// The newest value of the ledger's chain.
    pub chain: Option<String>,
    /// Bytes that were read for their content.
    pub bytes_read: u64,
    /// How long it took.
    pub elapsed: Duration,
}

/// Looks for every clip of the list and of the ledger in all places, by name and by content.
///
/// # Errors
/// When list, ledger or label tables cannot be read. Whatever else cannot be read is named in the
/// verdict.
pub fn verify(places: &Places) -> Result<Verdict, EraseError> {
    let begun = Instant::now();
    let places = &places.absolute()?;
    let ledger = Ledger::read(&places.data)?;
    let listed = Withdrawn::beside(&places.labels)?.ids();
    let erased = ledger.clips()?;
    let mut problems: Vec<String> = ledger.broken().into_iter().collect();
    if let Some(row) = ledger.unfinished() {
        problems.push(format!(
            "request {} was begun and not finished",
            row.request
        ));
    }
    for clip in erased.difference(&listed) {
        problems.push(format!(
            "{clip} was erased and is not in the list of withdrawn clips"
        ));
    }
    let ids = Ids::new(listed.union(&erased).cloned().collect());
    let (stores, erased) = (Stores::open(places), ledger.erased()?);
    let mut found = Search::everywhere(places, &stores, &ids, Depth::Content, &erased)?;
    found.unsearched.append(&mut found.beyond);
    problems.extend(marks::unmarked(places, &ids, &ledger)?);
    problems.extend(witness::strangers(places, &ledger));
    let left = found
        .held
        .into_iter()
        .filter(|row| row.action != Action::Keep);
    Ok(Verdict {
        clips: ids.sorted().len(),
        left: left.collect(),
        problems,
        unsearched: found.unsearched,
        chain: ledger.chain().map(str::to_owned),
        bytes_read: found.bytes_read,
        elapsed: begun.elapsed(),
    })
}

impl Verdict {
    /// Whether nothing is left, and everything was searched.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.left.is_empty() && self.problems.is_empty() && self.unsearched.is_empty()
    }

    /// The places where something is left.
    #[must_use]
    pub fn places(&self) -> BTreeSet<Place> {
        self.left.iter().map(|row| row.place).collect()
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for row in self.left.iter().take(LISTED) {
            let note = row
                .note
                .as_ref()
                .map_or(String::new(), |note| format!(" ({note})"));
            writeln!(
                f,
                "left: {} of {} in {}{note}",
                row.what, row.clip_id, row.file
            )?;
        }
        if self.left.len() > LISTED {
            writeln!(f, "and {} more", self.left.len() - LISTED)?;
        }
        for problem in &self.problems {
            writeln!(f, "wrong: {problem}")?;
        }
        for (path, reason) in &self.unsearched {
            writeln!(f, "not searched: {}: {reason}", path.display())?;
        }
        #[allow(clippy::cast_precision_loss)] // A rate for people.
        let rate = self.bytes_read as f64 / 1e9 / self.elapsed.as_secs_f64().max(1e-9);
        writeln!(
            f,
            "{}: {} left, {}, {} not searched ({} read, {rate:.2} GB a second)",
            counted(self.clips, "withdrawn clip"),
            counted(self.left.len(), "thing"),
            counted(self.problems.len(), "problem"),
            counted(self.unsearched.len(), "place"),
            indicatif::HumanBytes(self.bytes_read),
        )?;
        match &self.chain {
            Some(chain) => writeln!(f, "chain of the ledger: {chain}"),
            None => writeln!(
                f,
                "no request is finished, so the ledger has no chain value"
            ),
        }
    }
}
