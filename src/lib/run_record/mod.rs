//! What a run directory says of itself, and whether that is true: written by train, read by train
//! and report.
//!
//! A run is known by its id, the BLAKE3 over its settings and the hashes of its inputs. Three JSON
//! documents describe it: `settings.json` ([`RunHead`]), `progress.json` ([`RunProgress`]) and
//! `run.json` ([`RunSummary`]). Each ends with a hash over the rest of itself. `progress.json` also
//! holds the hash of every file that never changes again, and of each done task's rows in the
//! tables that grow. [`RunRecord::read`] compares all of them in one pass and names the file that
//! differs. Timing, log and event files hold times and are no part of this promise.
//!
//! [`Lineage`] follows the hashes that checkpoints name their parents by, from run to run, and says
//! which of them know a clip.
//!
//! A directory of a version before has no hashes: it is read as before, said in one line, and gets
//! them when its next task is published.

mod buffer;
mod card;
mod checkpoint_header;
mod difference;
mod document;
mod error;
mod extension;
mod files;
mod head;
mod lineage;
mod machine;
mod parent;
mod progress;
mod read;
mod remedy;
mod seen;
mod summary;
mod task_checkpoint;

use std::path::Path;

pub use buffer::{BUFFER_CLIPS, BUFFER_LOGITS, buffer_key, buffered, without_buffered};
pub use card::MODEL_CARD_FILE;
pub use checkpoint_header::header_entry;
pub use difference::{MACHINE, differences, flag, listed, with_flags};
pub use error::RunRecordError;
pub use extension::Extension;
pub use files::{
    CHECKPOINTS, LOG_FILE, PROGRESS_FILE, ROLLBACK, RUN_FILE, SETTINGS_FILE, checkpoint_file,
    is_state, rollback_folder, state_file, unlearned_file,
};
pub use head::{RunHead, Subcategory, run_id};
pub use lineage::{Knowledge, KnownClips, Lineage, run_folders_in};
pub use machine::Machine;
pub use parent::{PARENTS, PRETRAINED_INPUT, Parent, ParentRole};
pub use progress::{Rows, RunErasure, RunProgress, TaskHashes, TaskOutcome};
pub use read::RunRecord;
pub use remedy::{REMEDIES, Remedy};
pub use seen::{seen, seen_by};
pub use summary::{RunFigures, RunSummary, TaskFigures};
pub use task_checkpoint::{
    Part, Position, SEAL, blank_seal, is_sealed as is_sealed_checkpoint, is_task_checkpoint,
    positions, remove_positions, seal_at,
};

use crate::artifact::ArtifactError;

/// Publishes the summary of a run in `folder`, which marks the run complete, and before it the card
/// of its models. A summary that does not say so yet gets what the run was computed on and by.
///
/// # Errors
/// When the run's settings cannot be read, or the disk refuses.
pub fn write_summary(folder: &Path, summary: &RunSummary) -> Result<(), RunRecordError> {
    let head = RunHead::read(folder)?.unwrap_or_default();
    let mut summary = summary.clone();
    if summary.machine.is_none() {
        summary.machine.clone_from(&head.machine);
        summary.commit = RunSummary::COMMIT.map(str::to_owned);
    }
    card::write(folder, &head, &summary)?;
    document::write(&folder.join(RUN_FILE), &summary)
}

/// The summary of the run in `folder`; `None` where there is none, or none that is as it was
/// written.
///
/// # Errors
/// When the file cannot be read at all.
pub fn read_summary(folder: &Path) -> Result<Option<RunSummary>, ArtifactError> {
    document::sealed(&folder.join(RUN_FILE))
}

/// The progress of the run in `folder`; `None` where there is none, or none that is as it was
/// written.
///
/// # Errors
/// When the file cannot be read at all.
pub fn read_progress(folder: &Path) -> Result<Option<RunProgress>, ArtifactError> {
    document::sealed(&folder.join(PROGRESS_FILE))
}

/// Publishes `value`, which serialises to an object, with the hash of its text as its last field.
///
/// # Errors
/// When the disk refuses.
pub fn write_sealed_document(
    path: &Path,
    value: &impl serde::Serialize,
) -> Result<(), RunRecordError> {
    document::write(path, value)
}

/// Whether the document at `path` has its own hash, and is as it was written.
///
/// # Errors
/// When the file cannot be read at all.
pub fn is_sealed_document(path: &Path) -> Result<bool, ArtifactError> {
    Ok(document::sealed::<serde_json::Value>(path)?.is_some())
}
