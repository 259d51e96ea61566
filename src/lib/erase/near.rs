//! What a requester would want to know: other clips that show the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::Path;

use super::EraseError;
use super::census::Census;
use super::config::Places;
use super::ids::Ids;
use super::search::frames_hash;
use crate::clip::ClipId;
use crate::parquet_file;
use crate::shard::{Shard, StoredClip, shard_files};
use crate::tables::{Kind, LedgerRow};

/// How another clip is like one that is to be erased.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Likeness {
    /// The same frames are stored for it.
    Frames,
    /// Its file has the same bytes.
    Bytes,
    /// It shows some of the same seconds of the same source.
    Overlap {
        /// How many.
        seconds: u32,
    },
    /// It is of the same source.
    Source,
}

/// Another clip that is like one that is to be erased.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Near {
    /// How it is like it.
    pub likeness: Likeness,
    /// The other clip.
    pub clip_id: String,
    /// The clip that is to be erased.
    pub like: String,
}

impl fmt::Display for Near {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { clip_id, like, .. } = self;
        match &self.likeness {
            Likeness::Frames => write!(f, "{clip_id} has the same stored frames as {like}"),
            Likeness::Bytes => write!(f, "{clip_id} has the same file bytes as {like}"),
            Likeness::Overlap { seconds } => {
                write!(f, "{clip_id} shows {seconds} s of the same video as {like}")
            }
            Likeness::Source => write!(f, "{clip_id} is of the same source as {like}"),
        }
    }
}

/// Clips like those of `ids` that are not among them, by source and time, by the files' bytes, and
/// by the stored frames.
///
/// # Errors
/// When index, ledger or a shard cannot be read.
pub(super) fn near(places: &Places, ids: &Ids, census: &Census) -> Result<Vec<Near>, EraseError> {
    let mut found = BTreeSet::new();
    by_source(ids, census, &mut found);
    by_bytes(places, ids, census, &mut found)?;
    by_frames(&places.shards, ids, &mut found)?;
    Ok(found.into_iter().collect())
}

fn by_source(ids: &Ids, census: &Census, found: &mut BTreeSet<Near>) {
    let mut others: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for id in census.all().filter(|id| !ids.contains(id)) {
        if let Some(source) = census.source_of(id) {
            others.entry(source).or_default().push(id);
        }
    }
    for id in ids.sorted() {
        let source = census.source_of(id);
        for other in source.and_then(|s| others.get(&s)).into_iter().flatten() {
            let likeness = match seconds_shared(id, other) {
                0 => Likeness::Source,
                seconds => Likeness::Overlap { seconds },
            };
            found.insert(Near {
                likeness,
                clip_id: (*other).clone(),
                like: id.clone(),
            });
        }
    }
}

/// How many seconds two pieces of one video have in common; 0 where they are no pieces of one.
fn seconds_shared(one: &str, other: &str) -> u32 {
    let (Ok(one), Ok(other)) = (one.parse::<ClipId>(), other.parse::<ClipId>()) else {
        return 0;
    };
    let shared = || {
        let end = one.end_s()?.min(other.end_s()?);
        Some(end.saturating_sub(one.start_s()?.max(other.start_s()?)))
    };
    let is_one_video = one.youtube_id() == other.youtube_id();
    shared().filter(|_| is_one_video).unwrap_or(0)
}

fn by_bytes(
    places: &Places,
    ids: &Ids,
    census: &Census,
    found: &mut BTreeSet<Near>,
) -> Result<(), EraseError> {
    let mut hashes: Vec<(String, String)> = census.sources.clone().into_iter().collect();
    let ledger = places.data.join(LedgerRow::FILE);
    if ledger.exists() {
        let rows: Vec<LedgerRow> = parquet_file::read(&ledger)?;
        let clips = rows.into_iter().filter(|row| row.kind == Kind::Clip);
        hashes.extend(clips.filter_map(|row| Some((row.name, row.blake3?))));
    }
    let (ours, others): (Vec<_>, Vec<_>) = hashes.into_iter().partition(|(id, _)| ids.contains(id));
    let ours: BTreeMap<String, String> = ours.into_iter().map(|(id, hash)| (hash, id)).collect();
    for (clip_id, hash) in others {
        if let Some(like) = ours.get(&hash) {
            found.insert(Near {
                likeness: Likeness::Bytes,
                clip_id,
                like: like.clone(),
            });
        }
    }
    Ok(())
}

/// Frames are hashed only of clips that have as many frames of the same sizes as one that is to be
/// erased.
fn by_frames(folder: &Path, ids: &Ids, found: &mut BTreeSet<Near>) -> Result<(), EraseError> {
    if !folder.is_dir() {
        return Ok(());
    }
    let names: Vec<String> = shard_files(folder)?.into_values().collect();
    let sizes = |clip: &StoredClip| {
        clip.frames()
            .iter()
            .map(bytes::Bytes::len)
            .collect::<Vec<_>>()
    };
    let mut ours: BTreeMap<Vec<usize>, BTreeMap<String, String>> = BTreeMap::new();
    let each = |look: &mut dyn FnMut(&StoredClip)| -> Result<(), EraseError> {
        for name in &names {
            let shard = Shard::open(&folder.join(name))?;
            for row in 0..i64::try_from(shard.len()).unwrap_or(i64::MAX) {
                look(&shard.clip(row)?);
            }
        }
        Ok(())
    };
    each(&mut |clip| {
        if ids.contains(&clip.clip_id) {
            let of_size = ours.entry(sizes(clip)).or_default();
            of_size.insert(frames_hash(clip), clip.clip_id.clone());
        }
    })?;
    if ours.is_empty() {
        return Ok(());
    }
    each(&mut |clip| {
        if ids.contains(&clip.clip_id) {
            return;
        }
        let of_size = ours.get(&sizes(clip));
        if let Some(like) = of_size.and_then(|hashes| hashes.get(&frames_hash(clip))) {
            found.insert(Near {
                likeness: Likeness::Frames,
                clip_id: clip.clip_id.clone(),
                like: like.clone(),
            });
        }
    })
}
