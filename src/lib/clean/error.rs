//! Why cleaning ended early.

use crate::artifact::ArtifactError;
use crate::download::DownloadError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::lock::LockError;
use crate::shard::ShardError;

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
