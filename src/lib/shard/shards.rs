//! Shards by their index, wherever they lie.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ShardError;
use super::fetched::{self, FetchedShards, Sizes};
use super::folder::shard_files;
use super::index::Index;
use super::mapped::MappedShards;
use super::source::ShardSource;
use super::stored::StoredClip;
use super::strays::{self, Stray, Strays};
use crate::parquet_file::Provenance;
use crate::tables::IndexRow;
use crate::withdrawn::Withdrawn;

/// Shards with their index: those of a folder are mapped, those of an object store fetched, when a
/// clip of theirs is first asked for. Share it between threads.
#[derive(Debug)]
pub struct Shards {
    index: Arc<Index>,
    index_file: PathBuf,
    shown: PathBuf,
    frames: Frames,
}

/// Where the frames are.
#[derive(Debug)]
enum Frames {
    Folder(MappedShards),
    Store(FetchedShards),
}

/// The file of the index of shards: in their folder, or in the cache, newly fetched.
///
/// # Errors
/// When it cannot be fetched.
pub fn index_file(source: &ShardSource) -> Result<PathBuf, ShardError> {
    match source {
        ShardSource::Folder(folder) => Ok(folder.join(IndexRow::FILE)),
        ShardSource::Store(store) => fetched::fetch_index(store),
    }
}

impl Shards {
    /// Reads the index of the folder `dir`.
    ///
    /// # Errors
    /// When the index is absent, damaged, of another version, names what could not be a shard, or a
    /// row for two clips.
    pub fn open(dir: &Path) -> Result<Self, ShardError> {
        let index_file = dir.join(IndexRow::FILE);
        let index = Index::read(&index_file, dir)?;
        Ok(Self {
            frames: Frames::Folder(MappedShards::new(dir, &index)),
            index: Arc::new(index),
            index_file,
            shown: dir.to_owned(),
        })
    }

    /// Reads the index of a folder or of an object store, of which it asks how large its shards are.
    ///
    /// # Errors
    /// As [`Shards::open`]; and when the store cannot be reached or refuses, or its cache cannot
    /// hold two shards.
    pub fn at(source: &ShardSource) -> Result<Self, ShardError> {
        Self::with_sizes(source, Sizes::All)
    }

    /// [`Shards::at`] for who looks into a few of the shards: a store is asked how large one is when
    /// something of it is fetched, and [`Shards::absent`] knows of none.
    ///
    /// # Errors
    /// As [`Shards::at`].
    pub fn at_without_sizes(source: &ShardSource) -> Result<Self, ShardError> {
        Self::with_sizes(source, Sizes::Later)
    }

    fn with_sizes(source: &ShardSource, sizes: Sizes) -> Result<Self, ShardError> {
        match source {
            ShardSource::Folder(folder) => Self::open(folder),
            ShardSource::Store(store) => {
                let (shards, index, index_file) = FetchedShards::open(store, sizes)?;
                Ok(Self {
                    index,
                    index_file,
                    shown: source.shown(),
                    frames: Frames::Store(shards),
                })
            }
        }
    }

    /// The file of the index: in the folder, or in the cache.
    #[must_use]
    pub fn index_file(&self) -> &Path {
        &self.index_file
    }

    /// All rows of the index, sorted by split and the label table's row.
    #[must_use]
    pub fn index(&self) -> &[IndexRow] {
        &self.index.rows
    }

    /// Where the index comes from: the settings of decoding and the label tables.
    #[must_use]
    pub fn provenance(&self) -> &Provenance {
        &self.index.provenance
    }

    /// The shards that the index names, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.index.names()
    }

    /// The first shard that the index names and that was not there when the index was read (in a
    /// store) or is not there now (in a folder).
    #[must_use]
    pub fn absent(&self) -> Option<PathBuf> {
        match &self.frames {
            Frames::Folder(shards) => shards.absent(),
            Frames::Store(shards) => shards.absent(),
        }
    }

    /// Where a shard lies, or would, for messages.
    #[must_use]
    pub fn path_of(&self, name: &str) -> PathBuf {
        self.shown.join(name)
    }

    /// What has become of the file of a shard since the index was read: `has gone` or `has changed`;
    /// `None` where it is as it was, or the store cannot be asked.
    #[must_use]
    pub fn changed(&self, name: &str) -> Option<&'static str> {
        match &self.frames {
            Frames::Folder(shards) => shards.changed(name),
            Frames::Store(shards) => shards.changed(name),
        }
    }

    /// Says of which shards clips are going to be asked for, one name a clip, so that those of a
    /// store are fetched ahead and in that order. It takes the place of what was said before.
    pub fn announce<'a>(&self, order: impl Iterator<Item = &'a str>) {
        if let Frames::Store(shards) = &self.frames {
            shards.announce(order);
        }
    }

    /// Says of which shards clips are going to be asked for behind those that were announced.
    pub fn announce_behind<'a>(&self, order: impl Iterator<Item = &'a str>) {
        if let Frames::Store(shards) = &self.frames {
            shards.announce_behind(order);
        }
    }

    /// The shards that lie there now, sorted, whether the index names them or not; of a store that
    /// cannot list itself those that the index names.
    ///
    /// # Errors
    /// When the folder or the store cannot be listed.
    pub fn stored(&self) -> Result<Vec<String>, ShardError> {
        match &self.frames {
            Frames::Folder(_) => Ok(shard_files(&self.shown)?.into_values().collect()),
            Frames::Store(shards) => shards.stored(),
        }
    }

    /// The rows of these shards that the index does not name, in the order of the shards. Of a store
    /// the end of each is fetched, and those rows.
    ///
    /// # Errors
    /// When the store does not give what it should.
    pub fn strays_in(&self, shards: &[String]) -> Result<Strays, ShardError> {
        match &self.frames {
            Frames::Folder(_) => Ok(strays::strays(&self.shown, shards, self.index())),
            Frames::Store(fetched) => fetched.strays(shards),
        }
    }

    /// The stored rows that the index does not name, sorted by shard and row: those of all shards
    /// that [`Shards::stored`] names.
    ///
    /// # Errors
    /// As [`Shards::stored`] and [`Shards::strays_in`].
    pub fn strays(&self) -> Result<Vec<Stray>, ShardError> {
        Ok(self.strays_in(&self.stored()?)?.found)
    }

    /// The withdrawn clips of which frames are stored, whether the index names them or not.
    ///
    /// # Errors
    /// As [`Shards::strays`].
    pub fn held_of(&self, withdrawn: &Withdrawn) -> Result<BTreeSet<String>, ShardError> {
        let strays = self.strays()?;
        let named = self.index().iter().filter(|row| row.shard.is_some());
        let stored = named.map(|row| &row.clip_id);
        let all = stored.chain(strays.iter().map(|stray| &stray.clip_id));
        Ok(all.filter(|id| withdrawn.contains(id)).cloned().collect())
    }

    /// The clip in `shard_row` of `shard`, without a copy of its frames.
    ///
    /// # Errors
    /// When the shard or the row is absent or damaged, or the index does not name the shard; of a
    /// store also when it cannot be fetched or is not what the index says.
    pub fn clip(&self, shard: &str, shard_row: i64) -> Result<StoredClip, ShardError> {
        let unknown = || ShardError::NoSuchShard {
            folder: self.shown.clone(),
            name: shard.to_owned(),
        };
        match &self.frames {
            Frames::Folder(shards) => {
                let shard = shards.shard(shard)?.ok_or_else(unknown)?;
                shard.clip(shard_row)
            }
            Frames::Store(_) if !self.index.has(shard) => Err(unknown()),
            Frames::Store(shards) => shards.clip(shard, shard_row),
        }
    }

    /// [`Shards::clip`] after reading all of its bytes: they have the hash that was stored with
    /// them, and clip and hash are those that the index names.
    ///
    /// # Errors
    /// When the shard or the row is absent, damaged, or another one.
    pub fn checked_clip(&self, shard: &str, shard_row: i64) -> Result<StoredClip, ShardError> {
        let checked = self.clip(shard, shard_row).and_then(|clip| {
            match clip.differs_from(self.index.row(shard, shard_row)) {
                None => Ok(clip),
                Some(reason) => Err(ShardError::DamagedRow {
                    path: self.path_of(shard),
                    row: shard_row,
                    reason,
                }),
            }
        });
        match (checked, &self.frames) {
            // What lies in the cache may have been damaged there: it is fetched anew.
            (Err(error), Frames::Store(shards)) if error.is_damage() => {
                shards.forget(shard, &error)?;
                shards.clip(shard, shard_row)
            }
            (checked, _) => checked,
        }
    }
}
