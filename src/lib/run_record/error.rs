//! Why a run directory cannot be trusted, or not be read.

use std::path::{Path, PathBuf};

use super::difference::listed;
use super::files::{RUN_FILE, SETTINGS_FILE};
use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::parquet_file::TableError;

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
    pub(super) fn changed(path: &Path, what: impl Into<String>) -> Self {
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
