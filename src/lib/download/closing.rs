//! The end of a run: the ledger is published, and what became of the clips is counted.

use std::collections::BTreeMap;
use std::path::Path;

use super::config::{DownloadConfig, Summary};
use super::error::DownloadError;
use super::ledger::{self, ArchiveState, ClipState};
use super::plan::PlannedArchive;
use super::session::{Session, on_disk};
use super::state::Known;
use crate::artifact;
use crate::table::Provenance;

/// The reason of a clip that the archives that could hold it do not hold.
pub(super) const ABSENT: &str = "in none of the archives that could hold it";
/// The reason of a clip whose archive could not be read.
const UNREAD: &str = "the archive that may hold it could not be read";
/// The reason of a clip whose archive is not sound.
const DAMAGED: &str = "the archive that may hold it is damaged at its source";

/// The archives that this run could not take in.
#[derive(Default)]
pub(super) struct Failures {
    /// Each with its state and the class it should hold, if it holds one.
    archives: Vec<(ArchiveState, Option<String>, String)>,
}

impl Failures {
    pub(super) fn note(&mut self, archive: &PlannedArchive, state: ArchiveState, reason: &str) {
        let text = format!("{}: {reason}", archive.path);
        self.archives.push((state, archive.class.clone(), text));
    }

    /// Why a clip of this class was not found.
    fn reason(&self, class: &str) -> &'static str {
        let of_class = self
            .archives
            .iter()
            .filter(|(_, c, _)| c.as_deref().is_none_or(|c| c == class));
        match of_class.map(|(state, ..)| *state).max() {
            None => ABSENT,
            Some(ArchiveState::Failed) => UNREAD,
            Some(_) => DAMAGED,
        }
    }

    /// The run's result: an archive that could not be had is an error, one that is damaged counts as its missing clips.
    pub(super) fn into_result(
        self,
        summary: Summary,
        max_missing: f64,
    ) -> Result<Summary, DownloadError> {
        #[allow(clippy::cast_precision_loss)] // Numbers of clips.
        let too_many = summary.missing as f64 > max_missing * summary.wanted as f64;
        let failed = |a: &&(ArchiveState, _, _)| too_many || a.0 == ArchiveState::Failed;
        if let Some((_, _, first)) = self.archives.iter().find(failed) {
            return Err(DownloadError::Archives {
                failed: self.archives.len(),
                archives: self.archives.len() + summary.archives,
                first: first.clone(),
            });
        }
        if too_many {
            return Err(DownloadError::Missing {
                missing: summary.missing,
                labelled: summary.wanted,
                limit: max_missing,
            });
        }
        Ok(summary)
    }
}

/// Publishes the ledger where it changed, and counts what became of the clips.
pub(super) fn write_ledger(
    config: &DownloadConfig,
    session: &Session,
    known: &Known,
    failures: &Failures,
    summary: &mut Summary,
) -> Result<(), DownloadError> {
    let kept = known.kept();
    let present = |id: &str, subcategory: &str| {
        let (archive, clip) = kept.get(id)?;
        on_disk(&config.raw, subcategory, id, clip.bytes).then(|| ClipState::Present {
            archive: (*archive).to_owned(),
            clip: (*clip).clone(),
        })
    };
    let mut clips: BTreeMap<&str, (&str, ClipState)> = BTreeMap::new();
    // What earlier runs found out under other filters stays in the ledger.
    for (id, subcategory) in &known.subcategories {
        let state = present(id, subcategory).or_else(|| known.others.get(id).cloned());
        if let Some(state) = state {
            clips.insert(id, (subcategory, state));
        }
    }
    for (id, clip) in &session.wanted {
        let state = present(id, &clip.subcategory).unwrap_or_else(|| ClipState::Missing {
            reason: if known.is_absent(id) {
                ABSENT
            } else {
                failures.reason(&clip.subcategory)
            }
            .to_owned(),
        });
        match state {
            ClipState::Present { .. } => summary.present += 1,
            _ => summary.missing += 1,
        }
        clips.insert(id, (&clip.subcategory, state));
    }
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
    artifact::sweep(config.ledger.parent().unwrap_or(Path::new(".")))?;
    ledger::write(&config.ledger, &rows, &provenance)
}
