//! What a folder of shards holds already: the published index and the shards that a killed run has
//! left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::path::Path;
use std::time::SystemTime;

use crate::artifact::{ArtifactError, hash_file};
use crate::clip::Split;
use crate::parquet_file::{self, Provenance, Table, TableError};
use crate::shard::{IndexRow, Shard, ShardError, parse_shard_name, shard_files};
use crate::tables::ClipStatus;

/// What the folder of shards holds already, of the same settings.
pub(super) struct Stored {
    /// The index that is published, and what it was made from.
    pub(super) index: Option<(Vec<IndexRow>, Provenance)>,
    /// What is known of each clip that had a file, by its id: the row of the index, then those of
    /// shards that the index does not name, the oldest first. A killed run leaves such shards also
    /// for clips of which the index knows something else.
    pub(super) known: BTreeMap<String, Vec<IndexRow>>,
    /// The numbers of the shards that are there or that the index names. That of a damaged one is
    /// free again, so its clips come back into a shard of the same name and the same bytes.
    pub(super) taken: BTreeSet<(Split, u32)>,
    /// When each shard, and the index, was written, or its clips were compared with their files.
    written: BTreeMap<String, SystemTime>,
}

impl Stored {
    /// Reads the index, and the shards that it does not name: those that a killed run has left,
    /// each of which is hashed. Files of other settings are removed, the index first, so that
    /// nobody reads the one by the other; so are damaged shards, and those that a stopped deletion
    /// has left.
    pub(super) fn read(folder: &Path, settings: &Provenance) -> Result<Self, ShardError> {
        let index = read_index(folder, settings)?;
        let mut stored = Self {
            known: BTreeMap::new(),
            taken: BTreeSet::new(),
            written: BTreeMap::new(),
            index: None,
        };
        let names = shard_files(folder)?;
        for name in names.values().map(String::as_str).chain([IndexRow::FILE]) {
            let written = fs::metadata(folder.join(name)).and_then(|file| file.modified());
            let written = written.ok().map(|at| (name.to_owned(), at));
            stored.written.extend(written);
        }
        let there: BTreeSet<&String> = names.values().collect();
        let mut named = BTreeSet::new();
        for row in index.iter().flat_map(|(rows, _)| rows) {
            if let Some(shard) = &row.shard {
                named.insert(shard);
                stored.taken.extend(parse_shard_name(shard));
            }
            let is_there = row.shard.as_ref().is_none_or(|shard| there.contains(shard));
            if is_there && !matches!(row.status, ClipStatus::Missing | ClipStatus::Withdrawn) {
                stored.learn(row.clone());
            }
        }
        for ((split, number), name) in &names {
            if !named.contains(name) {
                let made_from = index.as_ref().and_then(|(_, from)| from.inputs.get(name));
                if remove_replaced(folder, name, made_from)? {
                    continue;
                }
                let Some(rows) = adopt(folder, name, *split, settings)? else {
                    continue;
                };
                for row in rows {
                    stored.learn(row);
                }
            }
            stored.taken.insert((*split, *number));
        }
        stored.index = index;
        Ok(stored)
    }

    /// When what the row says of its clip was true: its shard was written, or the index where it
    /// has no shard.
    pub(super) fn written(&self, row: &IndexRow) -> Option<SystemTime> {
        let file = row.shard.as_deref().unwrap_or(IndexRow::FILE);
        self.written.get(file).copied()
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

    fn learn(&mut self, row: IndexRow) {
        self.known.entry(row.clip_id.clone()).or_default().push(row);
    }
}

/// The index, where it is of the same settings. Any other is removed, but for one that cannot be
/// read here at all.
fn read_index(
    folder: &Path,
    settings: &Provenance,
) -> Result<Option<(Vec<IndexRow>, Provenance)>, ShardError> {
    let path = folder.join(IndexRow::FILE);
    if !path.exists() {
        return Ok(None);
    }
    let read = parquet_file::provenance(&path, &IndexRow::FORMAT)
        .and_then(|provenance| Ok((parquet_file::read::<IndexRow>(&path)?, provenance)));
    match read {
        Ok((rows, provenance)) if provenance.settings == settings.settings => {
            return Ok(Some((rows, provenance)));
        }
        Ok(_) => tracing::info!("the settings have changed: all clips are decoded anew"),
        Err(e @ (TableError::Artifact(_) | TableError::Version { .. })) => return Err(e.into()),
        Err(e) => tracing::warn!("the index is unusable ({e}): it is built anew"),
    }
    fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
    Ok(None)
}

/// Removes the file where the index was made from this very one: a deletion has replaced it and was
/// stopped. Says whether it did.
fn remove_replaced(
    folder: &Path,
    name: &str,
    made_from: Option<&String>,
) -> Result<bool, ShardError> {
    let path = folder.join(name);
    if made_from.is_none() || made_from != Some(&hash_file(&path)?) {
        return Ok(false);
    }
    fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
    Ok(true)
}

/// The rows of a shard that the index does not name, each compared with its hash. A shard of other
/// settings is removed, and one with a damaged row: its clips are decoded anew.
fn adopt(
    folder: &Path,
    name: &str,
    split: Split,
    settings: &Provenance,
) -> Result<Option<Vec<IndexRow>>, ShardError> {
    let path = folder.join(name);
    let rows = Shard::open(&path).and_then(|shard| {
        if shard.provenance().settings != settings.settings {
            return Ok(None);
        }
        let count = i64::try_from(shard.len()).unwrap_or(i64::MAX);
        let rows = (0..count).map(|row| intact_row(&shard, row, split, name, &path));
        rows.collect::<Result<Vec<_>, _>>().map(Some)
    });
    match rows {
        Ok(Some(rows)) => return Ok(Some(rows)),
        Ok(None) => tracing::info!("{name} is removed: it was made with other settings"),
        Err(e @ (ShardError::Artifact(_) | ShardError::Table(TableError::Version { .. }))) => {
            return Err(e);
        }
        Err(e) => tracing::warn!("{name} is removed, its clips are decoded anew: {e}"),
    }
    fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
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
