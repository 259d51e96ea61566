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
use crate::lock::{Lock, Wait};
use crate::parquet_file::{self, Provenance, Table};
use crate::tables::IndexRow;

/// What a deletion did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Clips whose row left the index.
    pub clips: usize,
    /// Stored rows that are gone, older copies of a clip included.
    pub rows: usize,
    /// Shards that were removed, each replaced by at most one new shard with what remains.
    pub removed: Vec<String>,
    /// The new shards.
    pub written: Vec<String>,
}

/// Removes every stored copy of the clips and their rows of the index. Shards that hold none of
/// them keep every byte; one that holds some is replaced by a shard under a new number, so that at
/// no instant the index and the shards disagree. Shards that the index does not name (a killed run
/// left them) are removed. The index keeps the hash of each shard that it was made from and that
/// goes, among its inputs: should this be stopped before the file is gone, decoding removes it,
/// too, and takes nothing from it. Call it again where it was interrupted. The folder is locked
/// meanwhile.
///
/// # Errors
/// When another program writes into the folder, the index or a shard cannot be read, or the disk
/// refuses.
pub fn delete(folder: &Path, clips: &BTreeSet<String>) -> Result<Deleted, ShardError> {
    let _lock = Lock::folder(folder, "a deletion of clips", Wait::No)?;
    sweep(folder)?;
    let index_file = folder.join(IndexRow::FILE);
    let mut provenance = parquet_file::provenance(&index_file, &IndexRow::FORMAT)?;
    let mut rows: Vec<IndexRow> = parquet_file::read(&index_file)?;
    let before = rows.len();
    let named: BTreeSet<String> = rows.iter().filter_map(|r| r.shard.clone()).collect();
    rows.retain(|row| !clips.contains(&row.clip_id));
    let mut deleted = Deleted {
        clips: before - rows.len(),
        ..Deleted::default()
    };
    let files = shard_files(folder)?;
    let named_numbers = named.iter().filter_map(|name| parse_shard_name(name));
    let mut taken: BTreeSet<(Split, u32)> = named_numbers.chain(files.keys().copied()).collect();
    for ((split, _), name) in &files {
        if !named.contains(name) {
            deleted.removed.push(name.clone());
            continue;
        }
        let shard = Shard::open(&folder.join(name))?;
        let kept = kept_rows(&shard, clips)?;
        if kept.len() == shard.len() {
            continue;
        }
        deleted.rows += shard.len() - kept.len();
        provenance = provenance.with_input(&folder.join(name))?;
        deleted.removed.push(name.clone());
        let moved = rewrite(folder, &shard, *split, &kept, &mut taken)?;
        deleted
            .written
            .extend(moved.values().next().map(|(shard, _)| shard.clone()));
        for row in rows
            .iter_mut()
            .filter(|row| row.shard.as_ref() == Some(name))
        {
            if let Some((shard, shard_row)) = row.shard_row.and_then(|r| moved.get(&r)) {
                row.shard = Some(shard.clone());
                row.shard_row = Some(*shard_row);
            }
        }
    }
    if deleted.clips > 0 || deleted.rows > 0 {
        write_index(folder, &rows, &provenance)?;
    }
    for name in &deleted.removed {
        let path = folder.join(name);
        fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
    }
    Ok(deleted)
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
    let config = ShardWriterConfig {
        shard_bytes: u64::MAX,
        taken: taken.clone(),
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
        frames: clip.frames().iter().map(|f| f.to_vec()).collect(),
        head: clip.head,
    }
}
