//! Frame shards: Arrow IPC files with one row per clip, and their index.
//!
//! A folder of shards holds `<split>-NNNNN.arrow` files and `index.parquet`, which is published last. Each row is a record
//! batch of its own, so a shard is written with one clip in memory and read from a memory map with no copy: a
//! [`StoredClip`]'s frames are slices of the map. Frames are JPEG images or raw RGB bytes ([`Codec`]). All offsets are 64-bit.
//!
//! Clips lie in the order in which they were pushed, which is that of the label tables. A shard ends before the clip that would
//! take its frames past [`WriterConfig::shard_bytes`], and where split or codec change. What is published is not written
//! again: new clips come in new shards, [`delete`] replaces only the shards that hold what is to go, and the index is
//! published anew, last.
//!
//! Every shard carries its [`Provenance`](crate::parquet_file::Provenance) and each row the hash of its source file, its source's
//! facts and a BLAKE3 hash of itself, so the index can be rebuilt from the shards alone.
//!
//! # Why no video
//!
//! Rows of H.264 (a key frame in every eight, no B-frames, made for fast decoding) were measured beside the JPEG rows (quality
//! 90, 4:2:0) of 14 real clips of 200 x 200 at 5 frames per second, each clip at the coarsest quantiser whose PSNR against the
//! raw frames is not below the JPEG's (39.3 dB on average; one clip stays 0.15 dB below even without quantising). Encoded by
//! libx264 in full range, decoded by libavcodec of FFmpeg 5.1, AMD EPYC (Zen 3), one thread:
//!
//! | rows | bytes | a frame takes |
//! |---|---|---|
//! | JPEG, decoded as the loader does, cropped | 1 | 0.16 ms |
//! | H.264, preset slow, fastdecode: decoding alone | 0.98 (0.33 to 2.2) | 0.37 ms |
//! | the same with conversion to RGB | | 0.40 ms |
//! | H.264, preset slow: decoding alone | 0.93 (0.32 to 2.1) | 0.87 ms |
//!
//! At five frames a second there is little for prediction to save, and at this quality nothing is cheap to decode. A third of
//! the size at 0.8 of the speed would have been worth a codec; this is neither, so there is none, and training links no FFmpeg.
//!
//! ```
//! use incdec::clip::Split;
//! use incdec::shard::{Codec, NewClip, Shards, SourceFacts, Writer, WriterConfig, write_index};
//! use incdec::tables::ClipStatus;
//! use incdec::parquet_file::Provenance;
//!
//! let folder = tempfile::tempdir().unwrap();
//! let mut writer = Writer::new(folder.path(), Provenance::default(), WriterConfig::default());
//! let row = writer.push(&NewClip {
//!     clip_id: "abc_000001_000011".into(), split: Split::Train, codec: Codec::Raw, height: 1, width: 1, fps: 5.0,
//!     frames: vec![vec![1, 2, 3], vec![4, 5, 6]], source: SourceFacts::default(), status: ClipStatus::Ok, error: None,
//! }).unwrap();
//! writer.finish().unwrap();
//! write_index(folder.path(), &[row], &Provenance::default()).unwrap();
//!
//! let shards = Shards::open(folder.path()).unwrap();
//! let clip = shards.clip("train-00000.arrow", 0).unwrap();
//! assert_eq!((clip.clip_id, clip.len(), clip.frame(1)), ("abc_000001_000011", 2, &[4u8, 5, 6][..]));
//! ```

mod delete;
mod folder;
mod format;
mod message;
mod reader;
mod shards;
mod strays;
mod writer;

use std::path::PathBuf;

pub use crate::tables::{Cause, IndexRow, SourceFacts};
pub use delete::{Deleted, Deletion, delete};
pub use folder::{parse_shard_name, shard_files, shard_name};
pub use format::{Codec, FORMAT};
pub use reader::{Shard, StoredClip};
pub use shards::Shards;
pub use strays::{Stray, strays};
pub use writer::{DEFAULT_SHARD_BYTES, NewClip, Writer, WriterConfig, write_index};

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
