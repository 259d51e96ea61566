//! What a run directory says of itself, and whether that is true: written by train, read by train and report.
//!
//! A run is known by its id, the BLAKE3 over its settings and the hashes of its inputs. Three JSON documents describe it:
//! `settings.json` ([`RunHead`]), `progress.json` ([`Progress`]) and `run.json` (the summary). Each ends with a hash over
//! the rest of itself. `progress.json` also holds the hash of every file that never changes again, and of each done task's
//! rows in the tables that grow. [`RunRecord::read`] compares all of them in one pass and names the file that differs.
//! Timing, log and event files hold times and are no part of this promise.
//!
//! A directory of a version before has no hashes: it is read as before, said in one line, and gets them when its next task
//! is published.

mod difference;
mod document;
mod head;
mod machine;
mod progress;
mod read;
mod seen;

use std::path::{Path, PathBuf};

pub use difference::{MACHINE, differences, listed};
pub use head::{RunHead, Subcategory, run_id};
pub use machine::Machine;
pub use progress::{Progress, Rows, RunErasure, TaskHashes, TaskOutcome};
pub use read::RunRecord;
pub use seen::seen;

use serde::Serialize;

use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::parquet_file::TableError;

/// What can change the result, and the machine.
pub const SETTINGS_FILE: &str = "settings.json";
/// Which tasks are done.
pub const PROGRESS_FILE: &str = "progress.json";
/// The summary; marks the run complete.
pub const RUN_FILE: &str = "run.json";

/// Folder of the weights.
pub const CHECKPOINTS: &str = "checkpoints";

/// Where the best weights of `task` lie within a run directory.
#[must_use]
pub fn checkpoint_file(task: usize) -> String {
    format!("{CHECKPOINTS}/task-{task}.safetensors")
}

/// Where the approach's state after `task` lies within a run directory.
#[must_use]
pub fn state_file(task: usize) -> String {
    format!("{CHECKPOINTS}/task-{task}-state.safetensors")
}

/// Publishes the summary of a run in `folder`, a JSON object whose `run_id` says of which; it marks the run complete.
///
/// # Errors
/// When the disk refuses.
pub fn write_summary(folder: &Path, summary: &impl Serialize) -> Result<(), RunRecordError> {
    document::write(&folder.join(RUN_FILE), summary)
}

/// The summary of the run in `folder`; `None` where there is none, or none that is as it was written.
///
/// # Errors
/// When the file cannot be read at all.
pub fn read_summary(
    folder: &Path,
) -> Result<Option<serde_json::Map<String, serde_json::Value>>, ArtifactError> {
    document::sealed(&folder.join(RUN_FILE))
}

/// The progress of the run in `folder`; `None` where there is none, or none that is as it was written.
///
/// # Errors
/// When the file cannot be read at all.
pub fn read_progress(folder: &Path) -> Result<Option<Progress>, ArtifactError> {
    document::sealed(&folder.join(PROGRESS_FILE))
}

/// Whether the document at `path` has its own hash, and is as it was written.
///
/// # Errors
/// When the file cannot be read at all.
pub fn is_sealed_document(path: &Path) -> Result<bool, ArtifactError> {
    Ok(document::sealed::<serde_json::Value>(path)?.is_some())
}

/// Why a run directory cannot be trusted, or not be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunRecordError {
    /// A file could not be read or published.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// A table could not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A document is no JSON, or not the JSON that it should be.
    #[error("{path}: {source}")]
    Json {
        /// The document.
        path: PathBuf,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
    /// A file is not what the run wrote.
    #[error(
        "{path}: {what} is not what this run wrote (another hash): it was damaged, edited or replaced"
    )]
    Changed {
        /// The file.
        path: PathBuf,
        /// What of it has changed.
        what: String,
    },
    /// A file belongs to another run.
    #[error(
        "{path} belongs to another run than {SETTINGS_FILE} beside it: {}",
        listed(differences)
    )]
    OtherRun {
        /// The file.
        path: PathBuf,
        /// What differs.
        differences: Vec<String>,
    },
    /// The summary says that the run is complete, and its progress says otherwise.
    #[error(
        "{path}: {done} of {tasks} tasks are done, yet {RUN_FILE} says that the run is complete"
    )]
    Incomplete {
        /// `progress.json`.
        path: PathBuf,
        /// Tasks that are done.
        done: usize,
        /// Tasks that the run has.
        tasks: usize,
    },
}

impl RunRecordError {
    fn changed(path: &Path, what: impl Into<String>) -> Self {
        Self::Changed {
            path: path.to_owned(),
            what: what.into(),
        }
    }
}

impl Hint for RunRecordError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(e) => e.hint(),
            Self::Table(e @ (TableError::Artifact(_) | TableError::Version { .. })) => e.hint(),
            _ => Some(
                "bring back a copy of that file, or train the run anew in another folder (--out)"
                    .into(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(e) => e.exit(),
            Self::Table(e) => e.exit(),
            _ => Exit::Failed,
        }
    }
}
