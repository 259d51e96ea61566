//! Frame shards: Arrow IPC files with one row per clip, and their index.
//!
//! A folder of shards holds `<split>-NNNNN.arrow` files and `index.parquet`, which is published
//! last. Each row is a record batch of its own, so a shard is written with one clip in memory and
//! read from a memory map with no copy: a [`StoredClip`]'s frames are slices of the map. Frames are
//! JPEG images or raw RGB bytes ([`Codec`]). All offsets are 64-bit.
//!
//! Clips lie in the order in which they were pushed, which is that of the label tables. The tables
//! are cut into [`Ranges`] of rows, and a shard holds clips of one range: which clips lie together
//! depends on the labels alone. What is published is not written again: new clips come in new
//! shards, [`delete`] replaces only the shards that hold what is to go, and the index is published
//! anew, last.
//!
//! Every shard carries its [`Provenance`](crate::parquet_file::Provenance) and each row the hash of
//! its source file, its source's facts and a BLAKE3 hash of itself, so the index can be rebuilt
//! from the shards alone.
//!
//! [`Shards`] are those of a folder, or of an object store: these are fetched ahead of their use into
//! a cache of bounded size, and compared with the index when they arrive. [`RemoteShards`] are looked
//! through and written anew where they are.
//!
//! ```
//! use incdec::clip::Split;
//! use incdec::shard::{ClipHead, Codec, NewClip, Shards, SourceFacts, ShardWriter, ShardWriterConfig, write_index};
//! use incdec::tables::ClipStatus;
//! use incdec::parquet_file::Provenance;
//!
//! let folder = tempfile::tempdir().unwrap();
//! let mut writer = ShardWriter::new(folder.path(), Provenance::default(), ShardWriterConfig::default());
//! let row = writer.push(&NewClip {
//!     clip_id: "abc_000001_000011".into(), split: Split::Train, label_row: 0, frames: vec![vec![1, 2, 3], vec![4, 5, 6]],
//!     head: ClipHead {
//!         codec: Codec::Raw, height: 1, width: 1, fps: 5.0,
//!         source: SourceFacts::default(), status: ClipStatus::Ok, error: None,
//!     },
//! }).unwrap();
//! writer.finish().unwrap();
//! write_index(folder.path(), &[row], &Provenance::default()).unwrap();
//!
//! let shards = Shards::open(folder.path()).unwrap();
//! let clip = shards.clip("train-00000.arrow", 0).unwrap();
//! assert_eq!((&clip.clip_id[..], clip.len(), clip.frame(1)), ("abc_000001_000011", 2, &[4u8, 5, 6][..]));
//! ```

mod delete;
mod error;
mod fetched;
mod folder;
mod footer;
mod format;
mod index;
mod mapped;
mod message;
mod parts;
mod publish;
mod ranges;
mod reader;
mod remote;
mod shards;
mod source;
mod stored;
mod strays;
mod writer;

pub use crate::tables::{Cause, IndexRow, SourceFacts};
pub use delete::{Deleted, Deletion, delete};
pub use error::ShardError;
pub use folder::{parse_shard_name, shard_files, shard_name};
pub use format::{ClipHead, Codec, FORMAT};
pub use parts::parts_place;
pub use publish::{Published, publish};
pub use ranges::{DEFAULT_CLIPS_PER_SHARD, Ranges};
pub use reader::Shard;
pub use remote::{RemoteClip, RemoteShards};
pub use shards::{Shards, index_file};
pub use source::{DEFAULT_CACHE_BYTES, ShardSource, ShardStore};
pub use stored::StoredClip;
pub use strays::{Stray, Strays};
pub use writer::{NewClip, ShardWriter, ShardWriterConfig, write_index};
