//! What a requester would want to know: other clips that show the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::EraseError;
use super::census::{Census, clip_at, video_of};
use super::config::Places;
use super::ids::Ids;
use super::search::frames_hash;
use crate::artifact::hash_file;
use crate::clip::ClipId;
use crate::shard::{Shard, StoredClip, shard_files};

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
/// When a file or a shard cannot be read.
pub(super) fn near(places: &Places, ids: &Ids, census: &Census) -> Result<Vec<Near>, EraseError> {
    let mut found = BTreeSet::new();
    by_source(ids, census, &mut found);
    by_bytes(places, ids, census, &mut found)?;
    by_frames(&places.shards, ids, &mut found)?;
    Ok(found.into_iter().collect())
}

fn by_source(ids: &Ids, census: &Census, found: &mut BTreeSet<Near>) {
    // Pieces of one video may be labelled as different persons'.
    let sources = |id: &String| -> BTreeSet<String> {
        let both = census.source_of(id).into_iter().chain(video_of(id));
        both.collect()
    };
    let mut others: BTreeMap<String, Vec<&String>> = BTreeMap::new();
    for id in census.all().filter(|id| !ids.contains(id)) {
        for source in sources(id) {
            others.entry(source).or_default().push(id);
        }
    }
    for id in ids.sorted() {
        let sources = sources(id);
        for other in sources.iter().filter_map(|s| others.get(s)).flatten() {
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
    let known = census.sources.iter();
    let known = known.flat_map(|(clip, hashes)| hashes.iter().map(move |hash| (clip, hash)));
    let known = known.map(|(clip, hash)| (clip.clone(), hash.clone()));
    let mut hashes: Vec<(String, String)> = known.collect();
    hashes.extend(hashes_of_files(&places.raw, ids)?);
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

/// The hashes of the clips' files and of those that are as large, each with its clip: what was not
/// decoded or downloaded stands in no table.
fn hashes_of_files(raw: &Path, ids: &Ids) -> Result<Vec<(String, String)>, EraseError> {
    let entries = WalkDir::new(raw).follow_links(true);
    // What cannot be read is named by the search.
    let entries = entries.into_iter().filter_map(Result::ok);
    let files = entries.filter(|entry| entry.file_type().is_file());
    let files: Vec<(String, PathBuf, u64)> = files
        .filter_map(|entry| {
            let (clip, bytes) = (clip_at(raw, &entry)?, entry.metadata().ok()?.len());
            Some((clip, entry.into_path(), bytes))
        })
        .collect();
    let ours = files.iter().filter(|(clip, ..)| ids.contains(clip));
    let sizes: BTreeSet<u64> = ours.map(|(.., bytes)| *bytes).collect();
    let alike = files.into_iter();
    let alike = alike.filter(|(.., bytes)| *bytes > 0 && sizes.contains(bytes));
    let hashes = alike.map(|(clip, path, _)| Ok((clip, hash_file(&path)?)));
    hashes.collect()
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::erase::census::Labelled;

    #[test]
    fn pieces_of_one_video_are_alike_whoever_is_seen_in_them() {
        let label = |group: Option<&str>| Labelled {
            subcategory: "walk".into(),
            group: group.map(str::to_owned),
        };
        let mut census = Census::default();
        let labelled = [
            ("v_000001_000010", label(Some("person 1"))),
            ("v_000005_000015", label(Some("person 2"))),
            ("v_000020_000030", label(None)),
            ("w_000001_000010", label(Some("person 1"))),
            ("x_000001_000010", label(Some("person 3"))),
        ];
        census.labelled = labelled.map(|(id, label)| (id.to_owned(), label)).into();
        let mut found = BTreeSet::new();
        let ids = Ids::new(["v_000001_000010".to_owned()].into());
        by_source(&ids, &census, &mut found);
        let found: Vec<_> = found
            .iter()
            .map(|near| (near.clip_id.as_str(), near.likeness.clone()))
            .collect();
        assert_eq!(
            found,
            [
                ("v_000005_000015", Likeness::Overlap { seconds: 5 }),
                ("v_000020_000030", Likeness::Source),
                ("w_000001_000010", Likeness::Source),
            ]
        );
    }
}
