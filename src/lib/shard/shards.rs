//! A folder of shards: the index, and the shards that it names, mapped on first use.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;

use super::ShardError;
use super::folder::parse_shard_name;
use super::reader::{Shard, StoredClip};
use crate::foreign::printable;
use crate::parquet_file::{self, Provenance, Table};
use crate::tables::IndexRow;

/// A folder of shards with its index. Shards are mapped when a clip of theirs is first asked for.
/// Share it between threads.
#[derive(Debug)]
pub struct Shards {
    folder: PathBuf,
    index: Vec<IndexRow>,
    provenance: Provenance,
    named: BTreeMap<String, Named>,
}

/// A shard that the index names.
#[derive(Debug, Default)]
struct Named {
    map: OnceLock<Shard>,
    /// The file as it was when the index was read; absent where there was none.
    stamp: Option<Stamp>,
    /// The place in the index of each of its rows.
    rows: BTreeMap<i64, usize>,
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

impl Shards {
    /// Reads the index of `dir`.
    ///
    /// # Errors
    /// When the index is absent, damaged, of another version, names what could not be a shard, or a
    /// row for two clips.
    pub fn open(dir: &Path) -> Result<Self, ShardError> {
        let path = dir.join(IndexRow::FILE);
        let provenance = parquet_file::provenance(&path, &IndexRow::FORMAT)?;
        let index: Vec<IndexRow> = parquet_file::read(&path)?;
        let mut named = BTreeMap::<String, Named>::new();
        for (place, row) in index.iter().enumerate() {
            let Some((name, shard_row)) = row.shard.as_deref().zip(row.shard_row) else {
                continue;
            };
            if parse_shard_name(name).is_none() {
                return Err(ShardError::NoSuchShard {
                    folder: dir.to_owned(),
                    name: name.to_owned(),
                });
            }
            let shard = named.entry(name.to_owned()).or_default();
            if shard.rows.insert(shard_row, place).is_some() {
                return Err(ShardError::Damaged {
                    path,
                    reason: format!("two clips in row {shard_row} of {name}"),
                });
            }
        }
        for (name, shard) in &mut named {
            shard.stamp = Stamp::of(&dir.join(name));
        }
        Ok(Self {
            folder: dir.to_owned(),
            index,
            provenance,
            named,
        })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All rows of the index, sorted by split and the label table's row.
    #[must_use]
    pub fn index(&self) -> &[IndexRow] {
        &self.index
    }

    /// Where the index comes from: the settings of decoding and the label tables.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// The shards that the index names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// A shard by name, mapped on first use.
    ///
    /// # Errors
    /// When the index does not name it, or it is absent or damaged. An error is not remembered: the
    /// next call tries again.
    pub fn shard(&self, name: &str) -> Result<&Shard, ShardError> {
        let slot = &self.named(name)?.map;
        if let Some(shard) = slot.get() {
            return Ok(shard);
        }
        let shard = Shard::open(&self.folder.join(name))?;
        // Another thread may have mapped it meanwhile; then ours is dropped.
        Ok(slot.get_or_init(|| shard))
    }

    /// What has become of the file of a shard since the index was read: `has gone` or `has changed`;
    /// `None` where it is as it was.
    #[must_use]
    pub fn changed(&self, name: &str) -> Option<&'static str> {
        let then = self.named.get(name)?.stamp?;
        match Stamp::of(&self.folder.join(name)) {
            None => Some("has gone"),
            Some(now) if now != then => Some("has changed"),
            Some(_) => None,
        }
    }

    fn named(&self, name: &str) -> Result<&Named, ShardError> {
        self.named.get(name).ok_or_else(|| ShardError::NoSuchShard {
            folder: self.folder.clone(),
            name: name.to_owned(),
        })
    }

    /// [`Shards::clip`] after reading all of its bytes: they have the hash that was stored with
    /// them, and clip and hash are those that the index names.
    ///
    /// # Errors
    /// When the shard or the row is absent, damaged, or another one.
    pub fn checked_clip(&self, shard: &str, shard_row: i64) -> Result<StoredClip<'_>, ShardError> {
        let clip = self.clip(shard, shard_row)?;
        let row = self.named(shard)?.rows.get(&shard_row);
        let row = row.map(|&place| &self.index[place]);
        let reason = match row {
            None => "the index does not name it".to_owned(),
            Some(row) if row.clip_id != clip.clip_id => {
                format!("clip {} is stored in its place", printable(clip.clip_id))
            }
            Some(row) if row.content.as_deref() != Some(clip.blake3) => {
                "its hash is not the one that the index has".to_owned()
            }
            Some(_) if !clip.intact() => "its bytes do not have their hash".to_owned(),
            Some(_) => return Ok(clip),
        };
        Err(ShardError::DamagedRow {
            path: self.folder.join(shard),
            row: shard_row,
            reason,
        })
    }

    /// The clip in `shard_row` of `shard`, without a copy of its frames.
    ///
    /// # Errors
    /// When the shard or the row is absent or damaged.
    pub fn clip(&self, shard: &str, shard_row: i64) -> Result<StoredClip<'_>, ShardError> {
        self.shard(shard)?.clip(shard_row)
    }
}
