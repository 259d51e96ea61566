//! Why there is no manifest.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::labels::LabelsError;
use crate::lock::LockError;
use crate::parquet_file::TableError;
use crate::part::PartsError;
use crate::run_record::RunRecordError;
use crate::shard::ShardError;

/// Why there is no manifest.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The label tables are unusable.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// The index cannot be read, or the manifest not written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The folder of shards cannot be listed.
    #[error(transparent)]
    Shards(#[from] ShardError),
    /// The description of the manifest cannot be written.
    #[error(transparent)]
    Record(#[from] RunRecordError),
    /// Another program writes beside the manifest.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A part cannot begin, or the parts cannot be merged.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// The index contradicts itself.
    #[error("{path}: clip {clip} {problem}")]
    Index {
        /// The index.
        path: PathBuf,
        /// The clip.
        clip: String,
        /// What is wrong with its row.
        problem: &'static str,
    },
    /// The index names a shard that is not there.
    #[error("{path}: the shard is missing, though the index names it")]
    ShardMissing {
        /// Where it was looked for.
        path: PathBuf,
    },
}

impl Hint for ManifestError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Labels(e) => e.hint(),
            Self::Table(TableError::Artifact(e))
                if e.source.kind() == std::io::ErrorKind::NotFound =>
            {
                Some("decode the clips first, with `make decode`".into())
            }
            Self::Table(e) => e.hint(),
            Self::Artifact(e) => e.hint(),
            Self::Shards(e) => e.hint(),
            Self::Record(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Parts(e) => e.hint(),
            Self::Index { .. } => Some("write the index anew with `make decode`".into()),
            Self::ShardMissing { .. } => {
                Some("run `make decode` again: it decodes the clips of missing shards".into())
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Labels(e) => e.exit(),
            Self::Table(e) => e.exit(),
            Self::Artifact(e) => e.exit(),
            Self::Shards(e) => e.exit(),
            Self::Record(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Parts(e) => e.exit(),
            Self::Index { .. } | Self::ShardMissing { .. } => Exit::Failed,
        }
    }
}
