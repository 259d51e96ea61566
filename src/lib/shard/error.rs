//! Why shards could not be written or read.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::lock::LockError;
use crate::parquet_file::TableError;
use crate::store::{Fault, RemoteError, StoreError};

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
    /// The address of a store makes no sense, or credentials are missing.
    #[error(transparent)]
    Address(#[from] StoreError),
    /// A store refused or could not be reached.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// Shards of a store are to be read without a cache.
    #[error(
        "{shards}: shards of a store are read through a cache on this host, and --cache names none"
    )]
    NoCache {
        /// The address.
        shards: PathBuf,
    },
    /// The cache cannot hold what is needed at the same time.
    #[error(
        "a cache of {limit_bytes} bytes is too small: the two largest shards and the index take {needed_bytes}"
    )]
    SmallCache {
        /// Most bytes that it may have.
        limit_bytes: u64,
        /// The bytes of the two largest shards, and of what lies beside them.
        needed_bytes: u64,
    },
    /// A shard of a store is another than the one that the index describes.
    #[error("{path} is not the shard that the index describes: {reason}")]
    Replaced {
        /// Its address.
        path: PathBuf,
        /// What differs.
        reason: String,
    },
    /// A store has something else under a name that is to be published.
    #[error("{path} is there already, and is another file than {local}; nothing of it was changed")]
    Occupied {
        /// Its address.
        path: PathBuf,
        /// The file that was to be published.
        local: PathBuf,
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

impl ShardError {
    /// Whether it is about an object store, and no folder.
    #[must_use]
    pub fn is_of_a_store(&self) -> bool {
        matches!(
            self,
            Self::Address(_)
                | Self::Remote(_)
                | Self::NoCache { .. }
                | Self::SmallCache { .. }
                | Self::Replaced { .. }
                | Self::Occupied { .. }
        )
    }

    /// Whether bytes are not what they were when they were stored.
    pub(super) fn is_damage(&self) -> bool {
        matches!(
            self,
            Self::Damaged { .. } | Self::DamagedRow { .. } | Self::NoSuchRow { .. }
        )
    }
}

/// What helps where a store does not give what is asked for.
fn remote_hint(error: &RemoteError) -> Option<String> {
    let text = match &error.kind {
        Fault::Status {
            code: 401 | 403, ..
        } => {
            "the store does not let everyone read this: check the bucket, and with --signed the credentials in the environment"
        }
        kind if kind.is_absence() => {
            "check --shards: index.parquet and the shards that it names must lie right below the address"
        }
        _ => return error.hint(),
    };
    Some(text.to_owned())
}

impl Hint for ShardError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Table(e) => e.hint(),
            Self::Address(StoreError::Address { .. }) => Some(
                "give --shards a folder, or a URL that begins with s3://, gs://, az://, https:// or http://".into(),
            ),
            Self::Address(e) => e.hint(),
            Self::Remote(e) => remote_hint(e),
            Self::NoCache { .. } => Some(
                "name a folder on a local disk with --cache; the processes of a host may share it".into(),
            ),
            Self::SmallCache { needed_bytes, .. } => Some(format!(
                "give --cache-bytes {needed_bytes} or more; the bytes of all shards are best"
            )),
            Self::Replaced { .. } => Some(
                "bring the shard back as it was; or publish shards and index anew under another address".into(),
            ),
            Self::Occupied { .. } => Some("publish under another address; what is published stays as it is".into()),
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
            Self::Address(e) => e.exit(),
            Self::Remote(e) => e.exit(),
            Self::NoCache { .. } | Self::SmallCache { .. } => Exit::Usage,
            _ => Exit::Failed,
        }
    }
}
