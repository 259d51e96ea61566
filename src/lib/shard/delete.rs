//! Taking clips out of the shards: only the files that hold them are written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::ShardError;
use super::folder::{parse_shard_name, shard_files};
use super::reader::{Shard, StoredClip};
use super::writer::{NewClip, ShardWriter, ShardWriterConfig, write_index};
use crate::artifact::{ArtifactError, sweep};
use crate::clip::Split;
use crate::lock::Lock;
use crate::parquet_file::{self, Provenance, Table};
use crate::tables::IndexRow;

/// What a deletion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Clips whose row of the index went or changed.
    pub clips: usize,
    /// Stored rows that are gone, older copies of a clip included.
    pub rows: usize,
    /// Shards that were removed, each replaced by at most one new shard with what remains.
    pub removed: Vec<String>,
    /// The new shards.
    pub written: Vec<String>,
}

/// What is to go.
#[derive(Clone, Copy)]
pub struct Deletion<'a> {
    /// The clips.
    pub clips: &'a BTreeSet<String>,
    /// Which of them keep a row of the index, as withdrawn; the rows of all others go.
    pub keeps_row: &'a dyn Fn(&str) -> bool,
    /// The list of withdrawn clips, which becomes an input of the index.
    pub list: Option<&'a Path>,
}

/// Removes every stored copy of the clips, and their rows of the index or what these say. Shards
/// that hold none of them keep every byte; one that holds some is replaced by a shard under a new
/// number, so that at no instant the index and the shards disagree. Shards that the index does not
/// name go where they hold one of the clips, or nothing but copies of what the index names (a
/// deletion that was stopped has left them). Until the replaced shards are gone, the index has
/// their hashes among its inputs: should this be stopped before, decoding removes them, too, and
/// takes nothing from them. Call it again where it was interrupted. `_held` is the lock of the
/// folder.
///
/// # Errors
/// When the index or a shard cannot be read, or the disk refuses.
pub fn delete(folder: &Path, deletion: &Deletion<'_>, _held: &Lock) -> Result<Deleted, ShardError> {
    sweep(folder)?;
    let index_file = folder.join(IndexRow::FILE);
    let before = parquet_file::provenance(&index_file, &IndexRow::FORMAT)?;
    let old: Vec<IndexRow> = parquet_file::read(&index_file)?;
    let mut deleted = Deleted::default();
    remove_unnamed(folder, deletion, &old, &mut deleted)?;
    let mut rows = old.clone();
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        if let Some(shard) = &row.shard {
            places.entry(shard.clone()).or_default().push(place);
        }
    }
    let named = places.keys().filter_map(|name| parse_shard_name(name));
    let mut taken: BTreeSet<(Split, u32)> = named.chain(shard_files(folder)?.into_keys()).collect();
    let mut provenance = lasting(&before, deletion)?;
    let last = provenance.clone();
    let mut replaced = Vec::new();
    for (name, places) in &places {
        let shard = Shard::open(&folder.join(name))?;
        let kept = kept_rows(&shard, deletion.clips)?;
        if kept.len() == shard.len() {
            continue;
        }
        deleted.rows += shard.len() - kept.len();
        provenance = provenance.with_input(&folder.join(name))?;
        replaced.push(name.clone());
        let Some((split, _)) = parse_shard_name(name) else {
            continue;
        };
        let moved = rewrite(folder, &shard, split, &kept, &mut taken)?;
        let new = moved.values().next().map(|(shard, _)| shard.clone());
        deleted.written.extend(new);
        for &place in places {
            let row = &mut rows[place];
            if let Some((shard, shard_row)) = row.shard_row.and_then(|r| moved.get(&r)) {
                row.shard = Some(shard.clone());
                row.shard_row = Some(*shard_row);
            }
        }
    }
    deleted.clips = forget(&mut rows, deletion);
    if rows != old || !replaced.is_empty() {
        write_index(folder, &rows, &provenance)?;
    }
    for name in &replaced {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
    }
    deleted.removed.append(&mut replaced);
    if last != before || !deleted.removed.is_empty() {
        write_index(folder, &rows, &last)?;
    }
    Ok(deleted)
}

/// Takes the clips out of the rows of the index, or says that they are withdrawn. Gives the number
/// of rows that changed.
fn forget(rows: &mut Vec<IndexRow>, deletion: &Deletion<'_>) -> usize {
    let before = rows.len();
    rows.retain(|row| !deletion.clips.contains(&row.clip_id) || (deletion.keeps_row)(&row.clip_id));
    let mut changed = before - rows.len();
    for row in rows
        .iter_mut()
        .filter(|row| deletion.clips.contains(&row.clip_id))
    {
        let withdrawn = IndexRow::withdrawn(row.clip_id.clone(), row.split);
        if *row != withdrawn {
            *row = withdrawn;
            changed += 1;
        }
    }
    changed
}

/// What the index is made from when no replaced shard is left.
fn lasting(before: &Provenance, deletion: &Deletion<'_>) -> Result<Provenance, ShardError> {
    let mut provenance = before.clone();
    provenance
        .inputs
        .retain(|name, _| parse_shard_name(name).is_none());
    match deletion.list {
        Some(list) => Ok(provenance.with_input(list)?),
        None => Ok(provenance),
    }
}

/// Removes the shards that the index does not name and that hold one of the clips, or nothing but
/// copies.
fn remove_unnamed(
    folder: &Path,
    deletion: &Deletion<'_>,
    index: &[IndexRow],
    deleted: &mut Deleted,
) -> Result<(), ShardError> {
    let named: BTreeSet<&str> = index.iter().filter_map(|r| r.shard.as_deref()).collect();
    let content: BTreeMap<&str, &str> = index
        .iter()
        .filter_map(|r| Some((r.clip_id.as_str(), r.content.as_deref()?)))
        .collect();
    for name in shard_files(folder)?.into_values() {
        if named.contains(name.as_str()) {
            continue;
        }
        let path = folder.join(&name);
        let shard = Shard::open(&path)?;
        let (mut to_go, mut copies) = (0, 0);
        for row in 0..i64::try_from(shard.len()).unwrap_or(i64::MAX) {
            let clip = shard.clip(row)?;
            to_go += usize::from(deletion.clips.contains(clip.clip_id));
            copies += usize::from(content.get(clip.clip_id) == Some(&clip.blake3));
        }
        if to_go == 0 && copies < shard.len() {
            continue;
        }
        fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
        deleted.rows += to_go;
        deleted.removed.push(name);
    }
    Ok(())
}

/// The rows of a shard whose clip is not to be deleted.
fn kept_rows(shard: &Shard, clips: &BTreeSet<String>) -> Result<Vec<i64>, ShardError> {
    let count = i64::try_from(shard.len()).unwrap_or(i64::MAX);
    let mut kept = Vec::new();
    for row in 0..count {
        if !clips.contains(shard.clip(row)?.clip_id) {
            kept.push(row);
        }
    }
    Ok(kept)
}

/// Writes the kept rows into a new shard of the same provenance; gives the new place of each old
/// row.
fn rewrite(
    folder: &Path,
    shard: &Shard,
    split: Split,
    kept: &[i64],
    taken: &mut BTreeSet<(Split, u32)>,
) -> Result<BTreeMap<i64, (String, i64)>, ShardError> {
    // One range: all of it goes into one shard.
    let config = ShardWriterConfig {
        taken: taken.clone(),
        ..ShardWriterConfig::default()
    };
    let provenance: Provenance = shard.provenance().clone();
    let mut writer = ShardWriter::new(folder, provenance, config);
    let mut moved = BTreeMap::new();
    for &row in kept {
        let new = writer.push(&copy(shard.clip(row)?, split))?;
        if let (Some(shard), Some(shard_row)) = (new.shard, new.shard_row) {
            moved.insert(row, (shard, shard_row));
        }
    }
    let written = writer.finish()?;
    taken.extend(written.iter().filter_map(|name| parse_shard_name(name)));
    Ok(moved)
}

fn copy(clip: StoredClip<'_>, split: Split) -> NewClip {
    NewClip {
        clip_id: clip.clip_id.to_owned(),
        split,
        label_row: 0,
        frames: clip.frames().iter().map(|f| f.to_vec()).collect(),
        head: clip.head,
    }
}
