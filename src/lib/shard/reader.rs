//! Reading one shard where the page cache has it: the file is mapped, clips are slices of the map.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use memmap2::Mmap;
use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use super::ShardError;
use super::footer::Footer;
use super::stored::StoredClip;
use crate::artifact::ArtifactError;
use crate::clip::Split;
use crate::parquet_file::Provenance;
use crate::tables::IndexRow;

/// One shard file, mapped into memory.
pub struct Shard {
    path: PathBuf,
    bytes: Bytes,
    footer: Footer,
    /// The open file, where it is locked.
    locked: Option<Arc<File>>,
}

/// A mapped file, and the open file itself where the lock on it is to last as long as the map.
struct Mapped {
    map: Mmap,
    _locked: Option<Arc<File>>,
}

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        &self.map
    }
}

impl std::fmt::Debug for Shard {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shard")
            .field("path", &self.path)
            .field("rows", &self.footer.len())
            .finish_non_exhaustive()
    }
}

impl Shard {
    /// Maps a shard and reads its footer. The file is closed again; the map stays.
    ///
    /// # Errors
    /// When the file is absent, no shard, of another version, or damaged.
    pub fn open(path: &Path) -> Result<Self, ShardError> {
        let file = File::open(path).map_err(ArtifactError::at("open", path))?;
        Self::map(path, &file, None)
    }

    /// The same of a file that is locked for reading: the lock ends when shard and frames are
    /// dropped.
    pub(super) fn locked(path: &Path, file: File) -> Result<Self, ShardError> {
        let file = Arc::new(file);
        Self::map(path, &file, Some(Arc::clone(&file)))
    }

    /// Whether no other process has the file locked. The lock is then this process's alone, until
    /// shard and frames are dropped.
    pub(super) fn is_nobody_elses(&self) -> bool {
        let alone = |file: &Arc<File>| flock(file, FlockOperation::NonBlockingLockExclusive);
        let refused = self.locked.as_ref().map(alone);
        // Where the file system has no locks, nobody is known to read it.
        refused != Some(Err(Errno::WOULDBLOCK))
    }

    fn map(path: &Path, file: &File, locked: Option<Arc<File>>) -> Result<Self, ShardError> {
        // SAFETY: published shards are never written in place, only replaced by a rename or
        // removed, so the mapped bytes do not change while we read them.
        let map = unsafe { Mmap::map(file) }.map_err(ArtifactError::at("map", path))?;
        let footer = Footer::read(path, &map)?;
        Ok(Self {
            path: path.to_owned(),
            bytes: Bytes::from_owner(Mapped {
                map,
                _locked: locked.clone(),
            }),
            footer,
            locked,
        })
    }

    /// The number of clips.
    #[must_use]
    pub fn len(&self) -> usize {
        self.footer.len()
    }

    /// Whether there is no clip.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where the shard comes from.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        self.footer.provenance()
    }

    /// The clip in `row`, without a copy of its frames.
    ///
    /// # Errors
    /// When there is no such row or its bytes are damaged. The hash is not checked: see
    /// [`StoredClip::intact`].
    pub fn clip(&self, row: i64) -> Result<StoredClip, ShardError> {
        self.footer.clip(&self.path, row, &self.bytes, 0)
    }

    /// The row of the index for the clip in `row`, from what the shard itself holds.
    ///
    /// # Errors
    /// When there is no such row or its bytes are damaged.
    pub fn index_row(&self, row: i64, split: Split, shard: &str) -> Result<IndexRow, ShardError> {
        let clip = self.clip(row)?;
        let frames = clip.len();
        Ok(clip
            .head
            .index_row(&clip.clip_id, split, (shard, row), frames, &clip.blake3))
    }
}
