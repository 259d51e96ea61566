//! The shards of a folder, mapped on first use.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use super::ShardError;
use super::index::Index;
use super::reader::Shard;

/// The shards of a folder that its index names.
#[derive(Debug)]
pub(super) struct MappedShards {
    folder: PathBuf,
    shards: BTreeMap<String, Slot>,
}

/// A shard, where it has been asked for.
#[derive(Debug)]
struct Slot {
    map: OnceLock<Shard>,
    /// The file as it was when the index was read; absent where there was none.
    stamp: Option<Stamp>,
}

/// What tells one state of a file from another without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Stamp {
    device: u64,
    inode: u64,
    bytes: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(path: &Path) -> Option<Self> {
        let metadata = fs::metadata(path).ok()?;
        Some(Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            modified: metadata.modified().ok(),
        })
    }
}

impl MappedShards {
    /// The shards of `folder` that `index` names.
    pub(super) fn new(folder: &Path, index: &Index) -> Self {
        let slot = |name: &str| Slot {
            map: OnceLock::new(),
            stamp: Stamp::of(&folder.join(name)),
        };
        Self {
            folder: folder.to_owned(),
            shards: index
                .names()
                .map(|name| (name.to_owned(), slot(name)))
                .collect(),
        }
    }

    /// A shard by name; none where the index does not name it. An error is not remembered: the next
    /// call tries again.
    pub(super) fn shard(&self, name: &str) -> Result<Option<&Shard>, ShardError> {
        let Some(Slot { map, .. }) = self.shards.get(name) else {
            return Ok(None);
        };
        if let Some(shard) = map.get() {
            return Ok(Some(shard));
        }
        let shard = Shard::open(&self.folder.join(name))?;
        // Another thread may have mapped it meanwhile; then ours is dropped.
        Ok(Some(map.get_or_init(|| shard)))
    }

    /// What has become of the file of a shard since the index was read.
    pub(super) fn changed(&self, name: &str) -> Option<&'static str> {
        let then = self.shards.get(name)?.stamp?;
        match Stamp::of(&self.folder.join(name)) {
            None => Some("has gone"),
            Some(now) if now != then => Some("has changed"),
            Some(_) => None,
        }
    }

    /// The first shard without a file.
    pub(super) fn absent(&self) -> Option<PathBuf> {
        let mut paths = self.shards.keys().map(|name| self.folder.join(name));
        paths.find(|path| !path.is_file())
    }
}
