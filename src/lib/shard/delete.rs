//! Taking clips out of the shards: only the files that hold them are written anew.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::ShardError;
use super::folder::{parse_shard_name, shard_files};
use super::reader::Shard;
use super::stored::StoredClip;
use super::writer::{NewClip, ShardWriter, ShardWriterConfig, write_index};
use crate::artifact::{self, hash_file, sweep};
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
    /// The clips that label tables name: of those that go these keep a row of the index, as
    /// withdrawn; the rows of all others go.
    pub labelled: &'a BTreeSet<String>,
    /// The list of withdrawn clips, which becomes an input of the index.
    pub list: Option<&'a Path>,
}

/// Where shards and their index lie that clips are taken out of: a folder, or a store.
pub(super) trait Keeper {
    /// Where the index comes from, and its rows.
    fn index(&self) -> Result<(Provenance, Vec<IndexRow>), ShardError>;
    /// The shards, whether the index names them or not.
    fn shards(&self) -> Result<BTreeMap<(Split, u32), String>, ShardError>;
    /// Whether a shard that the index names may hold one of the clips: what can be told at less cost
    /// than by opening it.
    fn may_hold(&self, shard: &str, clips: &BTreeSet<String>) -> Result<bool, ShardError>;
    /// A shard, opened.
    fn open(&self, shard: &str) -> Result<Shard, ShardError>;
    /// The BLAKE3 hash of a shard's bytes in hexadecimal.
    fn hash(&self, shard: &str) -> Result<String, ShardError>;
    /// The folder that new shards are written into.
    fn folder(&self) -> &Path;
    /// Publishes a shard that was written there.
    fn publish(&self, shard: &str) -> Result<(), ShardError>;
    /// Publishes the index in place of the one that is there.
    fn publish_index(&self, rows: &[IndexRow], from: &Provenance) -> Result<(), ShardError>;
    /// Removes a shard.
    fn remove(&self, shard: &str) -> Result<(), ShardError>;
}

/// Shards in a folder, where everything lies in its place once it is written.
struct Folder<'a>(&'a Path);

impl Keeper for Folder<'_> {
    fn index(&self) -> Result<(Provenance, Vec<IndexRow>), ShardError> {
        let index = self.0.join(IndexRow::FILE);
        let provenance = parquet_file::provenance(&index, &IndexRow::FORMAT)?;
        Ok((provenance, parquet_file::read(&index)?))
    }

    fn shards(&self) -> Result<BTreeMap<(Split, u32), String>, ShardError> {
        shard_files(self.0)
    }

    fn may_hold(&self, _shard: &str, _clips: &BTreeSet<String>) -> Result<bool, ShardError> {
        Ok(true)
    }

    fn open(&self, shard: &str) -> Result<Shard, ShardError> {
        Shard::open(&self.0.join(shard))
    }

    fn hash(&self, shard: &str) -> Result<String, ShardError> {
        Ok(hash_file(&self.0.join(shard))?)
    }

    fn folder(&self) -> &Path {
        self.0
    }

    fn publish(&self, _shard: &str) -> Result<(), ShardError> {
        Ok(())
    }

    fn publish_index(&self, rows: &[IndexRow], from: &Provenance) -> Result<(), ShardError> {
        write_index(self.0, rows, from)
    }

    fn remove(&self, shard: &str) -> Result<(), ShardError> {
        Ok(artifact::remove(&self.0.join(shard))?)
    }
}

/// Removes every stored copy of the clips, and their rows of the index or what these say. Shards
/// that hold none of them keep every byte; one that holds some is replaced by a shard under a new
/// number, so that at no instant the index and the shards disagree. So is one that the index does not
/// name; it goes where it holds nothing but copies of what the index names (a deletion that was
/// stopped has left them). Until the replaced shards are gone, the index has
/// their hashes among its inputs: should this be stopped before, decoding removes them, too, and
/// takes nothing from them. Call it again where it was interrupted. `_held` is the lock of the
/// folder.
///
/// # Errors
/// When the index or a shard cannot be read, or the disk refuses.
pub fn delete(folder: &Path, deletion: &Deletion<'_>, _held: &Lock) -> Result<Deleted, ShardError> {
    sweep(folder)?;
    remove_dangling(&Folder(folder))?;
    take_out(&Folder(folder), deletion)
}

/// Removes links to shards that lead nowhere and that the index does not name: what one led to was removed, and the work
/// stopped before the link was.
fn remove_dangling(folder: &Folder<'_>) -> Result<(), ShardError> {
    let mut dangling: BTreeSet<String> = folder.shards()?.into_values().collect();
    dangling.retain(|shard| !folder.0.join(shard).exists());
    if dangling.is_empty() {
        return Ok(());
    }
    let (_, index) = folder.index()?;
    for shard in index.iter().filter_map(|row| row.shard.as_ref()) {
        dangling.remove(shard);
    }
    dangling.iter().try_for_each(|shard| folder.remove(shard))
}

/// [`delete`], wherever the shards lie.
pub(super) fn take_out(
    keeper: &impl Keeper,
    deletion: &Deletion<'_>,
) -> Result<Deleted, ShardError> {
    let (before, old) = keeper.index()?;
    let mut deleted = Deleted::default();
    let mut there = keeper.shards()?;
    Unnamed::of(keeper, &there, &old)?.take_out(keeper, &mut there, deletion, &mut deleted)?;
    let mut rows = old.clone();
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (place, row) in rows.iter().enumerate() {
        if let Some(shard) = &row.shard {
            places.entry(shard.clone()).or_default().push(place);
        }
    }
    let named = places.keys().filter_map(|name| parse_shard_name(name));
    let mut taken: BTreeSet<(Split, u32)> = named.chain(there.into_keys()).collect();
    let mut provenance = lasting(&before, deletion)?;
    let last = provenance.clone();
    let mut replaced = Vec::new();
    for (name, places) in &places {
        if !keeper.may_hold(name, deletion.clips)? {
            continue;
        }
        let shard = keeper.open(name)?;
        let kept = kept_rows(&shard, deletion.clips)?;
        if kept.len() == shard.len() {
            continue;
        }
        deleted.rows += shard.len() - kept.len();
        provenance.inputs.insert(name.clone(), keeper.hash(name)?);
        replaced.push(name.clone());
        let Some((split, _)) = parse_shard_name(name) else {
            continue;
        };
        let moved = rewrite(keeper.folder(), &shard, split, &kept, &mut taken)?;
        if let Some((new, _)) = moved.values().next() {
            keeper.publish(new)?;
            deleted.written.push(new.clone());
        }
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
        keeper.publish_index(&rows, &provenance)?;
    }
    for name in &replaced {
        keeper.remove(name)?;
    }
    deleted.removed.append(&mut replaced);
    if last != before || !deleted.removed.is_empty() {
        keeper.publish_index(&rows, &last)?;
    }
    Ok(deleted)
}

/// Takes the clips out of the rows of the index, or says that they are withdrawn. Gives the number
/// of rows that changed.
fn forget(rows: &mut Vec<IndexRow>, deletion: &Deletion<'_>) -> usize {
    let before = rows.len();
    let goes = |id: &String| deletion.clips.contains(id) && !deletion.labelled.contains(id);
    rows.retain(|row| !goes(&row.clip_id));
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

/// A stored clip and the hash of its content.
type Content = (String, String);

/// The shards that the index does not name.
struct Unnamed {
    shards: Vec<((Split, u32), String, Shard)>,
    /// What the index names.
    named: BTreeSet<Content>,
}

impl Unnamed {
    fn of(
        keeper: &impl Keeper,
        there: &BTreeMap<(Split, u32), String>,
        index: &[IndexRow],
    ) -> Result<Self, ShardError> {
        let named: BTreeSet<&str> = index.iter().filter_map(|r| r.shard.as_deref()).collect();
        let unnamed = there
            .iter()
            .filter(|(_, name)| !named.contains(name.as_str()));
        let content = index
            .iter()
            .filter_map(|row| Some((row.clip_id.clone(), row.content.clone()?)));
        Ok(Self {
            shards: unnamed
                .map(|(number, name)| Ok((*number, name.clone(), keeper.open(name)?)))
                .collect::<Result<_, ShardError>>()?,
            named: content.collect(),
        })
    }

    /// Writes those anew that hold one of the clips, and removes what holds nothing but copies.
    fn take_out(
        self,
        keeper: &impl Keeper,
        there: &mut BTreeMap<(Split, u32), String>,
        deletion: &Deletion<'_>,
        deleted: &mut Deleted,
    ) -> Result<(), ShardError> {
        // What was written anew when this was stopped is not written once more.
        let mut stays = self.named.clone();
        let mut to_go = Vec::new();
        for (number, name, shard) in self.shards {
            let content = content_of(&shard)?;
            let kept = kept_rows(&shard, deletion.clips)?;
            if kept.len() == shard.len() && !content.iter().all(|row| self.named.contains(row)) {
                stays.extend(content);
            } else {
                to_go.push((number, name, shard, content, kept));
            }
        }
        for (number, name, shard, content, mut kept) in to_go {
            deleted.rows += shard.len() - kept.len();
            kept.retain(|&row| {
                let content = usize::try_from(row).ok().and_then(|row| content.get(row));
                content.is_some_and(|content| !stays.contains(content))
            });
            let mut taken = there.keys().copied().collect();
            let moved = rewrite(keeper.folder(), &shard, number.0, &kept, &mut taken)?;
            if let Some((new, _)) = moved.values().next() {
                keeper.publish(new)?;
                there.extend(parse_shard_name(new).map(|number| (number, new.clone())));
                deleted.written.push(new.clone());
            }
            keeper.remove(&name)?;
            there.remove(&number);
            deleted.removed.push(name);
        }
        Ok(())
    }
}

/// The clip and the content of each row of a shard.
fn content_of(shard: &Shard) -> Result<Vec<Content>, ShardError> {
    let rows = 0..i64::try_from(shard.len()).unwrap_or(i64::MAX);
    let content = rows.map(|row| shard.clip(row).map(|clip| (clip.clip_id, clip.blake3)));
    content.collect()
}

/// The rows of a shard whose clip is not to be deleted.
fn kept_rows(shard: &Shard, clips: &BTreeSet<String>) -> Result<Vec<i64>, ShardError> {
    let count = i64::try_from(shard.len()).unwrap_or(i64::MAX);
    let mut kept = Vec::new();
    for row in 0..count {
        if !clips.contains(&shard.clip(row)?.clip_id[..]) {
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

fn copy(clip: StoredClip, split: Split) -> NewClip {
    NewClip {
        frames: clip.frames().iter().map(|f| f.to_vec()).collect(),
        clip_id: clip.clip_id,
        split,
        label_row: 0,
        head: clip.head,
    }
}
