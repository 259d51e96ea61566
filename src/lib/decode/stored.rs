//! What a folder of shards holds already: the published index and the shards that a killed run has left.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use crate::artifact::{ArtifactError, hash_file};
use crate::clip::Split;
use crate::shard::{INDEX_FILE, IndexRow, Shard, ShardError, shard_files};
use crate::table::{self, Provenance, Table};

/// What the folder of shards holds already, of the same settings.
pub(super) struct Stored {
    /// The index that is published, and what it was made from.
    pub(super) index: Option<(Vec<IndexRow>, Provenance)>,
    /// What is known of each clip, by its id.
    pub(super) known: BTreeMap<String, IndexRow>,
    /// The number of the next shard of a split.
    pub(super) next_number: BTreeMap<Split, u32>,
}

impl Stored {
    /// Reads the index, and the shards that it does not name: those that a killed run has left. Files of other settings are
    /// removed, the index first, so that nobody reads the one by the other; so are shards that a stopped deletion has left.
    pub(super) fn read(folder: &Path, settings: &Provenance) -> Result<Self, ShardError> {
        let index = read_index(folder, settings)?;
        let names = shard_files(folder)?;
        let mut known = BTreeMap::new();
        let mut named = BTreeSet::new();
        for row in index.iter().flat_map(|(rows, _)| rows) {
            named.extend(row.shard.clone());
            if row
                .shard
                .as_ref()
                .is_none_or(|shard| names.values().any(|n| n == shard))
            {
                known.insert(row.clip_id.clone(), row.clone());
            }
        }
        let mut next_number = BTreeMap::new();
        for ((split, number), name) in &names {
            if !named.contains(name) {
                let made_from = index.as_ref().and_then(|(_, from)| from.inputs.get(name));
                if remove_replaced(folder, name, made_from)?
                    || !adopt(folder, name, *split, settings, &mut known)?
                {
                    continue;
                }
            }
            next_number.insert(*split, number + 1);
        }
        Ok(Self {
            index,
            known,
            next_number,
        })
    }
}

/// The index, where it is of the same settings. Any other is removed.
fn read_index(
    folder: &Path,
    settings: &Provenance,
) -> Result<Option<(Vec<IndexRow>, Provenance)>, ShardError> {
    let path = folder.join(INDEX_FILE);
    if !path.exists() {
        return Ok(None);
    }
    let read = table::provenance(&path, &IndexRow::FORMAT)
        .and_then(|provenance| Ok((table::read::<IndexRow>(&path)?, provenance)));
    match read {
        Ok((rows, provenance)) if provenance.settings == settings.settings => {
            Ok(Some((rows, provenance)))
        }
        other => {
            match other {
                Ok(_) => tracing::info!("the settings have changed: all clips are decoded anew"),
                Err(e) => tracing::warn!("the index is unusable ({e}): it is built anew"),
            }
            fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
            Ok(None)
        }
    }
}

/// Removes the file where the index was made from this very one: a deletion has replaced it and was stopped. Says whether it did.
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

/// Takes over the clips of a shard that the index does not name. A shard of other settings, or a damaged one, is removed.
fn adopt(
    folder: &Path,
    name: &str,
    split: Split,
    settings: &Provenance,
    known: &mut BTreeMap<String, IndexRow>,
) -> Result<bool, ShardError> {
    let path = folder.join(name);
    let rows = Shard::open(&path).and_then(|shard| {
        if shard.provenance().settings != settings.settings {
            return Ok(None);
        }
        let count = i64::try_from(shard.len()).unwrap_or(i64::MAX);
        (0..count)
            .map(|row| shard.index_row(row, split, name))
            .collect::<Result<Vec<_>, _>>()
            .map(Some)
    });
    match rows {
        Ok(Some(rows)) => {
            for row in rows {
                known.entry(row.clip_id.clone()).or_insert(row);
            }
            Ok(true)
        }
        other => {
            if let Err(e) = other {
                tracing::warn!("removed: {e}");
            }
            fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
            Ok(false)
        }
    }
}
