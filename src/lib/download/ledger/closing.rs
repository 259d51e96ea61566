//! The end of a run: what became of the clips, and what the failed archives mean for the run.

use std::collections::BTreeMap;
use std::path::Path;

use super::known::Known;
use super::record::{ArchiveRecord, ArchiveState, ClipState, MissingReason};
use crate::download::error::DownloadError;
use crate::download::plan::{PlannedArchive, Wanted};
use crate::download::summary::DownloadSummary;
use crate::exit::Exit;
use crate::foreign::printable;

/// The archives that this run could not take in.
#[derive(Default)]
pub(crate) struct Failures {
    archives: Vec<Failure>,
}

struct Failure {
    state: ArchiveState,
    /// The class that the archive should hold, if it holds one.
    class: Option<String>,
    /// Whether no earlier run read it as it is now.
    renewed: bool,
    text: String,
    exit: Exit,
}

impl Failures {
    pub(crate) fn note(&mut self, archive: &PlannedArchive, record: &ArchiveRecord, exit: Exit) {
        let reason = record.reason.as_deref().unwrap_or("unknown");
        self.archives.push(Failure {
            state: record.state,
            class: archive.class.clone(),
            renewed: archive.renewed,
            text: format!("{}: {reason}", printable(&archive.path)),
            exit,
        });
    }

    /// Why a clip of this class was not found. One that earlier runs looked for everywhere may be in
    /// those archives alone that have changed since.
    fn reason(&self, class: &str, absent: bool) -> MissingReason {
        let may_hold =
            |f: &&Failure| f.class.as_deref().is_none_or(|c| c == class) && (f.renewed || !absent);
        match self.archives.iter().filter(may_hold).map(|f| f.state).max() {
            None => MissingReason::InNoArchive,
            Some(ArchiveState::Failed) => MissingReason::ArchiveUnread,
            Some(ArchiveState::Absent) => MissingReason::ArchiveAbsent,
            Some(ArchiveState::Foreign) => MissingReason::ArchiveForeign,
            Some(_) => MissingReason::ArchiveDamaged,
        }
    }

    /// The run's result: an archive that could not be read is an error, one that is absent or
    /// damaged at its source counts as its missing clips. Where these alone are too many, no other
    /// try can help.
    pub(crate) fn into_result(
        self,
        mut summary: DownloadSummary,
        max_missing: f64,
    ) -> Result<DownloadSummary, DownloadError> {
        #[allow(clippy::cast_precision_loss)] // Numbers of clips.
        let too_many = |missing: usize| missing as f64 > max_missing * summary.wanted as f64;
        let hopeless = too_many(summary.missing.saturating_sub(summary.unread));
        let (unread, passed_over): (Vec<_>, Vec<_>) = self
            .archives
            .into_iter()
            .partition(|f| f.state == ArchiveState::Failed);
        let failed = unread.len() + passed_over.len();
        let archives = failed + summary.archives;
        let exit = if hopeless {
            Exit::Hopeless
        } else if unread.iter().any(|f| f.exit == Exit::TryAgain) {
            Exit::TryAgain
        } else {
            Exit::Failed
        };
        let first = if hopeless {
            passed_over.first().or(unread.first())
        } else {
            unread.first()
        };
        if let Some(first) = first {
            return Err(DownloadError::Archives {
                failed,
                archives,
                first: first.text.clone(),
                exit,
            });
        }
        if hopeless {
            return Err(DownloadError::Missing {
                missing: summary.missing,
                labelled: summary.wanted,
                limit: max_missing,
            });
        }
        summary.passed_over = passed_over.len();
        Ok(summary)
    }
}

/// The subcategory and the state of every clip that the ledger names, by id.
pub(crate) fn clip_states<'a>(
    raw: &Path,
    wanted: &'a Wanted,
    known: &'a Known,
    failures: &Failures,
) -> BTreeMap<&'a str, (&'a str, ClipState)> {
    let on_disk = known.on_disk(raw);
    let mut clips: BTreeMap<&str, (&str, ClipState)> = BTreeMap::new();
    // What earlier runs found out under other filters stays in the ledger.
    for (id, subcategory) in &known.subcategories {
        let other = known.others.get(id).cloned();
        let other = other.filter(|state| !matches!(state, ClipState::Adopted { .. }));
        if let Some(state) = on_disk.clip(subcategory, id).or(other) {
            clips.insert(id, (subcategory, state));
        }
    }
    for (id, clip) in &wanted.clips {
        let missing = || ClipState::Missing {
            reason: failures.reason(&clip.subcategory, known.is_absent(id)),
        };
        let state = on_disk.clip(&clip.subcategory, id);
        clips.insert(id, (&clip.subcategory, state.unwrap_or_else(missing)));
    }
    for (id, subcategory) in &wanted.frames {
        clips.insert(id, (subcategory, ClipState::Frames));
    }
    clips
}
