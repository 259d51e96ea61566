//! The clips that are looked for, and finding their names in bytes.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::path::Path;

use crate::clip::path::without_ending;
use crate::clip::{ClipId, MAX_YOUTUBE_ID_BYTES};
use crate::foreign::composed;
use crate::run_record::buffer_key;

/// What the seed puts before the name of a folder of frames.
const FOLDER_PREFIX: &[u8] = b"id_";
/// `_<start>_<end>`, six digits each.
const TIMES_BYTES: usize = 14;

/// The ids of clips.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    sorted: BTreeSet<String>,
    hashed: HashSet<String>,
    /// Each id by what names it in buffers.
    buffered: HashMap<i64, String>,
    paths: Paths,
}

/// The ids that are paths.
#[derive(Clone, Debug, Default)]
struct Paths {
    /// Each id by its form composed as Unicode says, since file systems change that.
    composed: HashMap<String, String>,
    /// The lengths of the ids that begin with a byte, in bytes.
    lengths: HashMap<u8, BTreeSet<usize>>,
}

impl Ids {
    /// These ids.
    #[must_use]
    pub fn new(ids: BTreeSet<String>) -> Self {
        let mut paths = Paths::default();
        for id in ids.iter().filter(|id| id.parse::<ClipId>().is_err()) {
            paths.composed.insert(composed(id).into_owned(), id.clone());
            if let Some(first) = id.bytes().next() {
                paths.lengths.entry(first).or_default().insert(id.len());
            }
        }
        Self {
            hashed: ids.iter().cloned().collect(),
            buffered: ids.iter().map(|id| (buffer_key(id), id.clone())).collect(),
            sorted: ids,
            paths,
        }
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.hashed.contains(id)
    }

    /// The id that a replay buffer names by this key.
    pub(super) fn of_buffer(&self, key: i64) -> Option<&String> {
        self.buffered.get(&key)
    }

    /// The ids in order.
    #[must_use]
    pub fn sorted(&self) -> &BTreeSet<String> {
        &self.sorted
    }

    /// What two pieces of a file must share, in bytes, so that no id is cut, with what may stand before it and a byte on either
    /// side.
    pub(super) fn overlap_bytes(&self) -> usize {
        let paths = self.paths.lengths.values().filter_map(BTreeSet::last).max();
        let longest = MAX_YOUTUBE_ID_BYTES + TIMES_BYTES;
        longest.max(paths.copied().unwrap_or(0)) + FOLDER_PREFIX.len() + 2
    }

    /// The id that a file or folder carries in its name: `<id>.mp4`, `id_<id>`.
    #[must_use]
    pub fn of_name(&self, name: &str) -> Option<String> {
        let id = clip_of_name(name)?.to_string();
        self.contains(&id).then_some(id)
    }

    /// The id of a file by its name or, for clips that are called by it, its path below the folder of clips.
    pub(super) fn of_file(&self, relative: &Path) -> Option<String> {
        let name = relative.file_name()?.to_string_lossy();
        self.of_name(&name)
            .or_else(|| self.of_path(&without_ending(relative)?))
    }

    /// The id of a folder of frames by its name or its path below the folder of such folders, with or without a folder of the
    /// subcategory's name before it.
    pub(super) fn of_folder(&self, relative: &Path) -> Option<String> {
        let name = relative.file_name()?.to_string_lossy();
        let path = relative.to_str()?;
        let shorter = path.split_once('/').map(|(_, rest)| rest);
        self.of_name(&name)
            .or_else(|| self.of_path(path))
            .or_else(|| self.of_path(shorter?))
    }

    /// The id that a path of a clip is, in whatever form a file system has it.
    pub(super) fn of_path(&self, path: &str) -> Option<String> {
        self.paths.composed.get(&*composed(path)).cloned()
    }

    /// Those of the ids that stand somewhere in `bytes`. The time does not depend on how many ids there are, but for how many
    /// lengths those have that are paths.
    #[must_use]
    pub fn within(&self, bytes: &[u8]) -> BTreeSet<String> {
        self.within_piece(bytes, true, true)
    }

    /// Those of the ids that stand in a piece of a file, which may be its first or its last: at an end that is cut a path is
    /// none, for nobody knows what goes before or after it.
    pub(super) fn within_piece(
        &self,
        bytes: &[u8],
        is_first: bool,
        is_last: bool,
    ) -> BTreeSet<String> {
        let mut found = self.pieces_within(bytes);
        if self.paths.lengths.is_empty() {
            return found;
        }
        let begins = |at: usize| match at.checked_sub(1) {
            None => is_first,
            Some(before) => is_boundary(bytes[before]),
        };
        // The seed's tables put this before any clip.
        let after_prefix =
            |at: usize| bytes[..at].ends_with(FOLDER_PREFIX) && begins(at - FOLDER_PREFIX.len());
        for at in (0..bytes.len()).filter(|&at| begins(at) || after_prefix(at)) {
            for &length in self.paths.lengths.get(&bytes[at]).into_iter().flatten() {
                let ends = match bytes.get(at + length) {
                    None => is_last && at + length == bytes.len(),
                    Some(&after) => is_boundary(after) || after == b'.',
                };
                let text = bytes.get(at..at + length).filter(|_| ends);
                let Some(id) = text.and_then(|text| std::str::from_utf8(text).ok()) else {
                    continue;
                };
                // A number is a name only where it is written as one.
                let is_number = id.bytes().all(|b| b.is_ascii_digit());
                let is_named = at > 0 && matches!(bytes[at - 1], b'"' | b'/');
                if self.contains(id) && (!is_number || is_named) {
                    found.insert(id.to_owned());
                }
            }
        }
        found
    }

    /// Those of the ids of pieces of videos that stand somewhere in `bytes`.
    fn pieces_within(&self, bytes: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        let mut at = 0;
        while let Some(next) = bytes[at..].iter().position(|&b| b == b'_') {
            let times = at + next;
            at = times + 1;
            if !is_times(&bytes[times..]) {
                continue;
            }
            let before = bytes[..times].iter().rev();
            let longest = before
                .take(MAX_YOUTUBE_ID_BYTES)
                .take_while(|b| is_of_id(**b))
                .count();
            let end = times + TIMES_BYTES;
            let ids =
                (1..=longest).filter_map(|n| std::str::from_utf8(&bytes[times - n..end]).ok());
            found.extend(ids.filter(|id| self.contains(id)).map(str::to_owned));
        }
        found
    }
}

/// The clip whose id a file or folder carries in its name, ours or not.
pub(super) fn clip_of_name(name: &str) -> Option<ClipId> {
    let stem = name.split_once('.').map_or(name, |(stem, _)| stem);
    let parse = |text: &str| text.parse::<ClipId>().ok();
    // A video whose YouTube id begins with `id_` has the plain name; a folder of frames has the
    // longer one.
    parse(
        stem.strip_prefix("id_")
            .filter(|_| !name.contains('.'))
            .unwrap_or(stem),
    )
}

/// Whether a path may begin behind this byte, or end before it.
fn is_boundary(byte: u8) -> bool {
    byte.is_ascii() && !is_of_id(byte) && byte != b'.'
}

fn is_of_id(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_'
}

/// Whether the bytes begin as `_<start>_<end>` does.
fn is_times(bytes: &[u8]) -> bool {
    let Some(bytes) = bytes.get(..TIMES_BYTES) else {
        return false;
    };
    let digits = |range: std::ops::Range<usize>| bytes[range].iter().all(u8::is_ascii_digit);
    bytes[0] == b'_' && digits(1..7) && bytes[7] == b'_' && digits(8..14)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_found_wherever_they_stand_and_nothing_that_only_looks_like_one() {
        let ids = ["a_b_000001_000011", "-x_000000_000010", "b_000001_000011"];
        let ids = Ids::new(ids.map(str::to_owned).into());
        let found = |text: &str| ids.within(text.as_bytes()).into_iter().collect::<Vec<_>>();
        assert_eq!(found("/x/id_-x_000000_000010/jpgs"), ["-x_000000_000010"]);
        assert_eq!(
            found("[\"a_b_000001_000011\"]"),
            ["a_b_000001_000011", "b_000001_000011"],
            "the shorter id stands in the longer one"
        );
        assert!(found("c_000001_000011 b_000001_00001 b_000001-000011").is_empty());
        assert!(found("_000000_000010").is_empty());
    }

    #[test]
    fn a_path_is_found_as_a_whole_and_nowhere_in_a_longer_name() {
        let ids = ["walk/v_1", "7", "caf\u{e9}/a b"];
        let ids = Ids::new(ids.map(str::to_owned).into());
        let found = |text: &str| ids.within(text.as_bytes()).into_iter().collect::<Vec<_>>();
        for text in [
            "walk/v_1",
            "/raw/walk/v_1.avi: broken",
            "[\"walk/v_1\"]",
            "/id_walk/v_1/jpgs",
        ] {
            assert_eq!(found(text), ["walk/v_1"], "{text}");
        }
        assert_eq!(found("x,caf\u{e9}/a b,y"), ["caf\u{e9}/a b"]);
        assert!(found("walk/v_12 sidewalk/v_1 walk/v_1-b").is_empty());
        // A number is a name only where it is written as one.
        assert!(found("{\"tasks\": 7}").is_empty());
        assert_eq!(found("raw/7.mp4"), ["7"]);
        // At a cut nobody knows what follows.
        assert!(ids.within_piece(b"walk/v_1", true, false).is_empty());
        assert!(ids.within_piece(b"walk/v_1 ", false, true).is_empty());
    }

    #[test]
    fn a_file_or_folder_of_ones_own_carries_its_path_in_any_form_of_unicode() {
        let ids = Ids::new(["walk/v_1", "caf\u{e9}/a"].map(str::to_owned).into());
        let file = |path: &str| ids.of_file(Path::new(path));
        assert_eq!(file("walk/v_1.avi").unwrap(), "walk/v_1");
        assert_eq!(file("cafe\u{301}/a.mp4").unwrap(), "caf\u{e9}/a");
        assert!(file("walk/v_1.b.avi").is_none() && file("v_1.avi").is_none());
        let folder = |path: &str| ids.of_folder(Path::new(path));
        assert_eq!(folder("walking/walk/v_1").unwrap(), "walk/v_1");
        assert_eq!(folder("walk/v_1").unwrap(), "walk/v_1");
        assert!(folder("walk").is_none());
    }

    #[test]
    fn files_and_frame_folders_carry_ids() {
        let clip = |name| clip_of_name(name).map(|clip| clip.to_string());
        assert_eq!(clip("a_000000_000010.mp4").unwrap(), "a_000000_000010");
        assert_eq!(clip("id_a_000000_000010").unwrap(), "a_000000_000010");
        assert_eq!(
            clip("id_a_000000_000010.mp4").unwrap(),
            "id_a_000000_000010"
        );
        assert_eq!(clip("a_000000_000010.tar.gz").unwrap(), "a_000000_000010");
        assert!(clip("index.parquet").is_none());
    }
}
