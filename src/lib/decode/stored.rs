//! What a folder of shards holds already: the published index and the shards that a killed run has
//! left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use super::config::CLIPS_PER_SHARD;
use crate::artifact::{ArtifactError, hash_file};
use crate::clip::Split;
use crate::parquet_file::{self, Provenance, Table, TableError};
use crate::shard::{IndexRow, Shard, ShardError, parse_shard_name, shard_files};
use crate::tables::ClipStatus;

/// What the folder of shards holds already, of the same settings.
#[derive(Default)]
pub(super) struct Stored {
    /// The index that is published, and what it was made from.
    pub(super) index: Option<(Vec<IndexRow>, Provenance)>,
    /// What is known of each clip that had a file, by its id: the row of the index, then those of
    /// shards that the index does not name, the oldest first. A killed run leaves such shards also
    /// for clips of which the index knows something else.
    pub(super) known: BTreeMap<String, Vec<KnownClip>>,
    /// The numbers of the shards that are there or that the index names. That of a damaged one is
    /// free again, so its clips come back into a shard of the same name and the same bytes.
    pub(super) taken: BTreeSet<(Split, u32)>,
}

/// What is known of a clip.
pub(super) struct KnownClip {
    pub(super) row: IndexRow,
    /// When that was true: its shard was written, or the index where it has no shard, or its clips
    /// were compared with their files.
    pub(super) written: Option<SystemTime>,
}

/// What may be done to a folder of shards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Access {
    /// What is of no use is removed.
    Write,
    /// What is of no use is passed over, as if it had been removed.
    Read,
}

/// A folder of shards that is being read.
struct Folder<'a> {
    path: &'a Path,
    access: Access,
    index: Option<(Vec<IndexRow>, Provenance)>,
    shards: BTreeMap<(Split, u32), String>,
}

impl<'a> Folder<'a> {
    fn read(path: &'a Path, access: Access, settings: &Provenance) -> Result<Self, ShardError> {
        Ok(Self {
            path,
            access,
            index: read_index(path, access, settings)?,
            shards: shard_files(path)?,
        })
    }

    fn rows(&self) -> impl Iterator<Item = &IndexRow> {
        self.index.iter().flat_map(|(rows, _)| rows)
    }

    /// When a file was written.
    fn written(&self, name: &str) -> Option<SystemTime> {
        let file = fs::metadata(self.path.join(name));
        file.and_then(|file| file.modified()).ok()
    }
}

impl Stored {
    /// Reads the index of `folder`, and the shards that it does not name: those that a killed run
    /// has left, each of which is hashed. Files of other settings are removed, the index first, so
    /// that nobody reads the one by the other; so are damaged shards, and those that a stopped
    /// deletion has left.
    ///
    /// Where `folder` is a part's, `base` is the folder that the parts will be merged into. It is
    /// read in the same way and not changed; what the part's own index says goes before.
    pub(super) fn read(
        folder: &Path,
        base: Option<&Path>,
        settings: &Provenance,
    ) -> Result<Self, ShardError> {
        let mut folders = Vec::new();
        if let Some(base) = base {
            folders.push(Folder::read(base, Access::Read, settings)?);
        }
        folders.push(Folder::read(folder, Access::Write, settings)?);
        let mut stored = Self::default();
        let named = stored.learn_indexes(&folders);
        for folder in &folders {
            stored.learn_unnamed(folder, &named, settings)?;
        }
        stored.index = folders.pop().and_then(|folder| folder.index);
        Ok(stored)
    }

    /// Takes over what the indexes say, of each clip what the last one does; gives the shards that
    /// they name.
    fn learn_indexes(&mut self, folders: &[Folder<'_>]) -> BTreeSet<String> {
        let mut rows: BTreeMap<&str, (&IndexRow, Option<SystemTime>)> = BTreeMap::new();
        let mut there: BTreeMap<&str, Option<SystemTime>> = BTreeMap::new();
        let mut named = BTreeSet::new();
        for folder in folders {
            for name in folder.shards.values() {
                there.insert(name, folder.written(name));
            }
            let published = folder.written(IndexRow::FILE);
            for row in folder.rows() {
                rows.insert(&row.clip_id, (row, published));
                named.extend(row.shard.clone());
            }
        }
        self.taken
            .extend(named.iter().filter_map(|name| parse_shard_name(name)));
        for (row, published) in rows.into_values() {
            let written = match &row.shard {
                None => Some(published),
                Some(shard) => there.get(shard.as_str()).copied(),
            };
            let is_known = !matches!(row.status, ClipStatus::Missing | ClipStatus::Withdrawn);
            if let Some(written) = written.filter(|_| is_known) {
                self.learn(row.clone(), written);
            }
        }
        named
    }

    /// Takes over the shards of a folder that no index names.
    fn learn_unnamed(
        &mut self,
        folder: &Folder<'_>,
        named: &BTreeSet<String>,
        settings: &Provenance,
    ) -> Result<(), ShardError> {
        for ((split, number), name) in &folder.shards {
            if !named.contains(name) {
                let index = folder.index.as_ref();
                let made_from = index.and_then(|(_, from)| from.inputs.get(name));
                if is_replaced(folder, name, made_from)? {
                    continue;
                }
                let written = folder.written(name);
                let Some(rows) = adopt(folder, name, *split, settings)? else {
                    continue;
                };
                for row in rows {
                    self.learn(row, written);
                }
            }
            self.taken.insert((*split, *number));
        }
        Ok(())
    }

    /// Gives shards whose clips were compared with their files the time of that as their own, so
    /// that the next run need not read the files once more. Where the system refuses, it will.
    pub(super) fn remember_comparison(folder: &Path, shards: &BTreeSet<String>, at: SystemTime) {
        for shard in shards {
            let file = File::options().append(true).open(folder.join(shard));
            if let Err(e) = file.and_then(|file| file.set_modified(at)) {
                tracing::debug!("the time of {shard} stays as it is: {e}");
            }
        }
    }

    fn learn(&mut self, row: IndexRow, written: Option<SystemTime>) {
        let known = self.known.entry(row.clip_id.clone()).or_default();
        known.push(KnownClip { row, written });
    }
}

/// Removes a file, where that may be done.
fn discard(path: &Path, access: Access) -> Result<(), ArtifactError> {
    match access {
        Access::Write => fs::remove_file(path).map_err(ArtifactError::at("remove", path)),
        Access::Read => Ok(()),
    }
}

/// The index, where it is of the same settings. Any other is discarded, but for one that cannot be
/// read here at all.
pub(super) fn read_index(
    folder: &Path,
    access: Access,
    settings: &Provenance,
) -> Result<Option<(Vec<IndexRow>, Provenance)>, ShardError> {
    let path = folder.join(IndexRow::FILE);
    if !path.exists() {
        return Ok(None);
    }
    let read = parquet_file::provenance(&path, &IndexRow::FORMAT)
        .and_then(|provenance| Ok((parquet_file::read::<IndexRow>(&path)?, provenance)));
    match read {
        Ok((rows, found)) if settings_of(&found, settings) == settings.settings => {
            let settings = settings.settings.clone();
            return Ok(Some((rows, Provenance { settings, ..found })));
        }
        Ok(_) => tracing::info!("the settings have changed: all clips are decoded anew"),
        Err(e @ (TableError::Artifact(_) | TableError::Version { .. })) => return Err(e.into()),
        Err(e) => tracing::warn!("the index is unusable ({e}): it is built anew"),
    }
    discard(&path, access)?;
    Ok(None)
}

/// The settings that a file was made with. One of an earlier version does not say how shards were
/// cut: its frames are the same, and they are kept.
fn settings_of(found: &Provenance, asked: &Provenance) -> serde_json::Map<String, Value> {
    let mut settings = found.settings.clone();
    if let Some(cut) = asked.settings.get(CLIPS_PER_SHARD)
        && !settings.contains_key(CLIPS_PER_SHARD)
    {
        settings.insert(CLIPS_PER_SHARD.to_owned(), cut.clone());
    }
    settings
}

/// Whether the index was made from this very file: a deletion has replaced it and was stopped. Then
/// it is discarded.
fn is_replaced(
    folder: &Folder<'_>,
    name: &str,
    made_from: Option<&String>,
) -> Result<bool, ShardError> {
    let path = folder.path.join(name);
    if made_from.is_none() || made_from != Some(&hash_file(&path)?) {
        return Ok(false);
    }
    discard(&path, folder.access)?;
    Ok(true)
}

/// The rows of a shard that the index does not name, each compared with its hash. A shard of other
/// settings is discarded, and one with a damaged row: its clips are decoded anew.
fn adopt(
    folder: &Folder<'_>,
    name: &str,
    split: Split,
    settings: &Provenance,
) -> Result<Option<Vec<IndexRow>>, ShardError> {
    let path = folder.path.join(name);
    let rows = Shard::open(&path).and_then(|shard| {
        if settings_of(shard.provenance(), settings) != settings.settings {
            return Ok(None);
        }
        let count = i64::try_from(shard.len()).unwrap_or(i64::MAX);
        let rows = (0..count).map(|row| intact_row(&shard, row, split, name, &path));
        rows.collect::<Result<Vec<_>, _>>().map(Some)
    });
    match rows {
        Ok(Some(rows)) => return Ok(Some(rows)),
        Ok(None) if folder.access == Access::Read => {}
        Ok(None) => tracing::info!("{name} is removed: it was made with other settings"),
        Err(e @ (ShardError::Artifact(_) | ShardError::Table(TableError::Version { .. }))) => {
            return Err(e);
        }
        Err(e) if folder.access == Access::Read => {
            tracing::warn!("{name} is of no use, its clips are decoded anew: {e}");
        }
        Err(e) => tracing::warn!("{name} is removed, its clips are decoded anew: {e}"),
    }
    discard(&path, folder.access)?;
    Ok(None)
}

fn intact_row(
    shard: &Shard,
    row: i64,
    split: Split,
    name: &str,
    path: &Path,
) -> Result<IndexRow, ShardError> {
    if !shard.clip(row)?.intact() {
        return Err(ShardError::DamagedRow {
            path: path.to_owned(),
            row,
            reason: "its bytes do not have their hash".into(),
        });
    }
    shard.index_row(row, split, name)
}

/// Removes the shards that the index does not name and that hold nothing but older copies of what
/// it names.
pub(super) fn remove_superseded(folder: &Path, index: &[IndexRow]) -> Result<(), ShardError> {
    let stored = index
        .iter()
        .filter_map(|row| Some((row.clip_id.as_str(), row.shard.as_deref()?)));
    let stored: BTreeMap<&str, &str> = stored.collect();
    let named: BTreeSet<&str> = stored.values().copied().collect();
    for name in shard_files(folder)?.into_values() {
        let path = folder.join(&name);
        if named.contains(name.as_str()) {
            continue;
        }
        // A damaged one is dealt with, and spoken of, where the next run meets it.
        let Ok(shard) = Shard::open(&path) else {
            continue;
        };
        let count = i64::try_from(shard.len()).unwrap_or(i64::MAX);
        let is_copy =
            |row| matches!(shard.clip(row), Ok(clip) if stored.contains_key(clip.clip_id));
        if (0..count).all(is_copy) {
            fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
        }
    }
    Ok(())
}
