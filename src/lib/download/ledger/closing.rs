//! The end of a run: the ledger is published, and what became of the clips is counted.

use std::collections::BTreeMap;

use super::super::config::{DownloadConfig, Summary};
use super::super::error::DownloadError;
use super::super::ledger::known::Known;
use super::super::ledger::session::Session;
use super::super::ledger::table::{self as ledger, ArchiveRecord, ArchiveState, ClipState};
use super::super::plan::choose::{PlannedArchive, WantedClip};
use crate::artifact;
use crate::exit::Exit;
use crate::foreign::printable;
use crate::parquet_file::Provenance;

/// The reason of a clip that the archives that could hold it do not hold.
pub(in crate::download) const ABSENT: &str = "in none of the archives that could hold it";
/// The reason of a clip whose archive could not be read.
const UNREAD: &str = "the archive that may hold it could not be read";
/// The reason of a clip whose archive is not there.
const ARCHIVE_ABSENT: &str = "the archive that may hold it is not at its source";
/// The reason of a clip whose archive is not sound.
const DAMAGED: &str = "the archive that may hold it is damaged at its source";

/// The archives that this run could not take in.
#[derive(Default)]
pub(in crate::download) struct Failures {
    archives: Vec<Failure>,
}

struct Failure {
    state: ArchiveState,
    /// The class that the archive should hold, if it holds one.
    class: Option<String>,
    text: String,
    exit: Exit,
}

impl Failures {
    pub(in crate::download) fn note(
        &mut self,
        archive: &PlannedArchive,
        record: &ArchiveRecord,
        exit: Exit,
    ) {
        let reason = record.reason.as_deref().unwrap_or("unknown");
        self.archives.push(Failure {
            state: record.state,
            class: archive.class.clone(),
            text: format!("{}: {reason}", printable(&archive.path)),
            exit,
        });
    }

    /// Why a clip of this class was not found.
    fn reason(&self, class: &str) -> &'static str {
        let may_hold = |f: &&Failure| f.class.as_deref().is_none_or(|c| c == class);
        match self.archives.iter().filter(may_hold).map(|f| f.state).max() {
            None => ABSENT,
            Some(ArchiveState::Failed) => UNREAD,
            Some(ArchiveState::Absent) => ARCHIVE_ABSENT,
            Some(_) => DAMAGED,
        }
    }

    /// The run's result: an archive that could not be read is an error, one that is absent or damaged at its source counts
    /// as its missing clips. Where these alone are too many, no other try can help.
    pub(in crate::download) fn into_result(
        self,
        mut summary: Summary,
        max_missing: f64,
    ) -> Result<Summary, DownloadError> {
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

/// Sees that every clip is on disk that this run found there or fetched; `open` are those that it did not.
pub(in crate::download) fn nothing_removed(
    config: &DownloadConfig,
    session: &Session,
    known: &Known,
    open: &BTreeMap<String, WantedClip>,
) -> Result<(), DownloadError> {
    let on_disk = known.on_disk(&config.raw);
    let mut gone = session.wanted.iter().filter(|(id, clip)| {
        let expected = !open.contains_key(*id) && !known.is_absent(id);
        expected && on_disk.clip(&clip.subcategory, id).is_none()
    });
    let Some((id, clip)) = gone.next() else {
        return Ok(());
    };
    Err(DownloadError::Removed {
        removed: 1 + gone.count(),
        first: config.raw.join(&clip.subcategory).join(format!("{id}.mp4")),
    })
}

/// Publishes the ledger where it changed, and counts what became of the clips.
pub(in crate::download) fn write_ledger(
    config: &DownloadConfig,
    session: &Session,
    known: &Known,
    failures: &Failures,
    summary: &mut Summary,
) -> Result<(), DownloadError> {
    let on_disk = known.on_disk(&config.raw);
    let mut clips: BTreeMap<&str, (&str, ClipState)> = BTreeMap::new();
    // What earlier runs found out under other filters stays in the ledger.
    for (id, subcategory) in &known.subcategories {
        let other = known.others.get(id).cloned();
        let other = other.filter(|state| !matches!(state, ClipState::Adopted { .. }));
        if let Some(state) = on_disk.clip(subcategory, id).or(other) {
            clips.insert(id, (subcategory, state));
        }
    }
    for (id, clip) in &session.wanted {
        let state = on_disk.clip(&clip.subcategory, id).unwrap_or_else(|| {
            let reason = if known.is_absent(id) {
                ABSENT
            } else {
                failures.reason(&clip.subcategory)
            };
            summary.missing += 1;
            summary.unread += usize::from(reason == UNREAD);
            ClipState::Missing {
                reason: reason.to_owned(),
            }
        });
        clips.insert(id, (&clip.subcategory, state));
    }
    summary.present = session.wanted.len() - summary.missing;
    for (id, subcategory) in &session.frames {
        clips.insert(id, (subcategory, ClipState::Frames));
    }
    summary.frames = session.frames.len();
    summary.wanted = session.wanted.len() + session.frames.len();
    let clips = clips.into_iter();
    let rows = ledger::rows(
        &known.archives,
        clips.map(|(id, (subcategory, state))| (id.to_owned(), subcategory, state)),
    );
    let mut provenance = Provenance::of(&serde_json::json!({
        "dataset": config.dataset,
        "classes": config.classes,
        "splits": config.splits,
        "limit": config.limit,
    }));
    for file in session.labels.files() {
        provenance = provenance.with_input(file)?;
    }
    artifact::sweep(config.ledger_folder())?;
    ledger::write(&config.ledger, &rows, &provenance)
}
