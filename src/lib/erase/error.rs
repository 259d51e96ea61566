//! Why clips could not be erased, or looked for.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::clip::ClipIdError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::labels::LabelsError;
use crate::lock::LockError;
use crate::manifest::ManifestError;
use crate::parquet_file::TableError;
use crate::run_record::RunRecordError;
use crate::shard::ShardError;
use crate::withdrawn::WithdrawnError;

/// Why clips could not be erased, or looked for.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EraseError {
    /// A file could not be read, published or removed.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Another program works in one of the places.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The label tables are unusable.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// The list of withdrawn clips, or a file that names clips, is unusable.
    #[error(transparent)]
    Withdrawn(#[from] WithdrawnError),
    /// A text is no clip id.
    #[error(transparent)]
    Id(#[from] ClipIdError),
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A shard cannot be read or written.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// The manifest cannot be written anew.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// A run's record cannot be read or written.
    #[error(transparent)]
    Run(#[from] RunRecordError),
    /// A column of the ledger is no JSON.
    #[error("{path}, row {number}: {source}")]
    Json {
        /// The ledger.
        path: PathBuf,
        /// The row's number.
        number: i64,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
    /// The ledger is not whole.
    #[error("the ledger of withdrawals is not whole: {problem}")]
    Chain {
        /// What is wrong.
        problem: String,
    },
    /// Nothing is known of any of the clips.
    #[error("nothing is held of the {clips} clips chosen, and no label table names one")]
    Nothing {
        /// How many clips were chosen.
        clips: usize,
    },
    /// Another request was begun and not finished.
    #[error("request {request} ({selector}) was begun and not finished")]
    Unfinished {
        /// The request.
        request: String,
        /// What chose its clips.
        selector: String,
    },
    /// Kept archives hold clips.
    #[error("{archives} kept archives hold clips of the request, the first of them {first}")]
    InArchives {
        /// How many archives.
        archives: usize,
        /// The first.
        first: String,
    },
    /// A place cannot be searched, so nobody could say that nothing is left there.
    #[error("{path} cannot be searched: {reason}")]
    Unsearched {
        /// The place.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// There are shards, and no index.
    #[error("{folder} has shards and no index")]
    NoIndex {
        /// The folder of shards.
        folder: PathBuf,
    },
    /// Verify has found something.
    #[error(
        "{left} things are left of withdrawn clips, {problems} problems, {unsearched} places not searched"
    )]
    Left {
        /// Things left.
        left: usize,
        /// What is wrong with list, ledger or marks.
        problems: usize,
        /// Places that could not be searched.
        unsearched: usize,
    },
}

impl Hint for EraseError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Labels(e) => e.hint(),
            Self::Withdrawn(e) => e.hint(),
            Self::Id(e) => e.hint(),
            Self::Table(e) => e.hint(),
            Self::Shard(e) => e.hint(),
            Self::Manifest(e) => e.hint(),
            Self::Run(e) => e.hint(),
            Self::Json { .. } | Self::Chain { .. } => {
                Some("bring back a copy of erasures.parquet: its last chain value was printed".into())
            }
            Self::Nothing { .. } => Some("see which clips are known with `incdec-erase plan`".into()),
            Self::Unfinished { request, selector } => Some(format!(
                "finish it first, by the same command: incdec-erase apply {selector} --request '{request}'"
            )),
            Self::InArchives { .. } => Some(
                "--archives delete deletes these archives with everything in them; or take the clips out of them yourself"
                    .into(),
            ),
            Self::Unsearched { .. } => Some("make it readable, or give the right folder or address; --signed asks a store with your credentials".into()),
            Self::NoIndex { .. } => Some("run `make decode`, which makes the index, or publish it".into()),
            Self::Left { .. } => Some(
                "erase what is left with `incdec-erase apply`; what stands under another name needs a request of its own"
                    .into(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Labels(e) => e.exit(),
            Self::Withdrawn(e) => e.exit(),
            Self::Id(e) => e.exit(),
            Self::Table(e) => e.exit(),
            Self::Shard(e) => e.exit(),
            Self::Manifest(e) => e.exit(),
            Self::Run(e) => e.exit(),
            _ => Exit::Failed,
        }
    }
}
