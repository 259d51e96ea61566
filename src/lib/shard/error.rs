//! Why shards could not be written or read.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::lock::LockError;
use crate::parquet_file::TableError;

/// Why shards could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ShardError {
    /// A file could not be published or opened.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Another program writes into the folder of shards.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The index, or the metadata of a shard, cannot be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The Arrow library refused to write.
    #[error("{path}: {source}")]
    Arrow {
        /// The shard's file.
        path: PathBuf,
        /// What it said.
        source: arrow::error::ArrowError,
    },
    /// A shard's bytes are not what this program writes.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// The shard's file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// A row's bytes are not what this program writes, or its hash differs.
    #[error("{path}, row {row}: damaged: {reason}")]
    DamagedRow {
        /// The shard's file.
        path: PathBuf,
        /// The row in the shard.
        row: i64,
        /// What is wrong.
        reason: String,
    },
    /// The shard has no such row.
    #[error("{path} has {rows} rows, row {row} was asked for")]
    NoSuchRow {
        /// The shard's file.
        path: PathBuf,
        /// The row asked for.
        row: i64,
        /// The rows that there are.
        rows: usize,
    },
    /// The name could not be a shard's, or the index does not name it.
    #[error("{name:?} is no shard of {folder}")]
    NoSuchShard {
        /// The folder of shards.
        folder: PathBuf,
        /// The name asked for.
        name: String,
    },
    /// A clip cannot be stored as it is.
    #[error("clip {clip_id} cannot be stored: {reason}")]
    Clip {
        /// The clip.
        clip_id: String,
        /// Why not.
        reason: String,
    },
}

impl Hint for ShardError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Table(e) => e.hint(),
            Self::Damaged { path, .. }
            | Self::DamagedRow { path, .. }
            | Self::NoSuchRow { path, .. } => Some(format!(
                "see what else is damaged with `incdec-decode verify`; remove {} and run `make decode` to decode its clips again",
                path.display()
            )),
            Self::NoSuchShard { .. } => {
                Some("write manifest and tasks anew for these shards: `make tasks`".into())
            }
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Table(e) => e.exit(),
            _ => Exit::Failed,
        }
    }
}
