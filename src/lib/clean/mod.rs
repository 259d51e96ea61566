//! Taking away what a stage has made, and nothing else.
//!
//! A file is removed where its name and its content prove that the stage made it: the ledger holds the hash of every clip,
//! tables and shards hold hashes of their own rows, a run's record those of its weights, a page its own. What was there
//! before, was changed since, or is nobody's stays, and is counted. The record, by which the rest is known, goes last, so that
//! cleaning that is stopped goes on where it was stopped.
//!
//! | stage | the folder | goes where |
//! |---|---|---|
//! | `download` | of the ledger | a clip has the hash of its row, the ledger and the log are ours |
//! | `decode` | of the shards | every row of a shard has its hash; the index is ours |
//! | `manifest`, `tasks` | of the table, or one above | the table is ours |
//! | `train` | of the run | the run's record holds the hash, or the file is of a format of ours |
//! | `report` | of the run | the page ends with its own hash |

mod place;
mod proof;
mod run;
mod run_files;
mod summary;

use std::path::PathBuf;

pub use run::run;
pub use summary::CleanSummary;

use crate::artifact::ArtifactError;
use crate::choice::choice;
use crate::download::DownloadError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::lock::{LockError, Wait};
use crate::shard::ShardError;

choice! {
    /// The stages whose work can be taken away.
    pub enum Stage: "stage" {
        /// The clips that were downloaded, and their ledger.
        Download = "download",
        /// The shards and their index.
        Decode = "decode",
        /// The table of clips.
        Manifest = "manifest",
        /// The tables of tasks.
        Tasks = "tasks",
        /// A run.
        Train = "train",
        /// A run's page.
        Report = "report",
    }
}

/// Settings of cleaning.
#[derive(Clone, Debug)]
pub struct CleanConfig {
    /// Whose work goes.
    pub stage: Stage,
    /// Where it lies.
    pub folder: PathBuf,
    /// Where the clips of a download lie. Default `raw` in the folder.
    pub clips: Option<PathBuf>,
    /// Whether to list what would go, and to remove nothing. Default no.
    pub dry_run: bool,
    /// What to do where another program works in the folder. Default: name it and end.
    pub wait: Wait,
}

/// Why cleaning ended early.
#[derive(Debug, thiserror::Error)]
pub enum CleanError {
    /// A file could not be read or removed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Another program works in the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The ledger cannot be read, so no clip can be proven to be downloaded.
    #[error(transparent)]
    Ledger(#[from] DownloadError),
    /// The folder of shards cannot be listed.
    #[error(transparent)]
    Shards(#[from] ShardError),
}

impl Hint for CleanError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Shards(e) => e.hint(),
            Self::Ledger(_) => Some(
                "without its ledger nothing proves which clips were downloaded: remove by hand what is yours to remove"
                    .into(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Ledger(e) => e.exit(),
            Self::Shards(e) => e.exit(),
        }
    }
}
