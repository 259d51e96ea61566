//! The clips that are looked for, and finding their names in bytes.

use std::collections::{BTreeSet, HashSet};

use crate::clip::{ClipId, MAX_YOUTUBE_ID_BYTES};

/// `_<start>_<end>`, six digits each.
const TIMES_BYTES: usize = 14;

/// The longest id, in bytes: what two pieces of a file must share so that no id is cut.
pub(super) const MAX_ID_BYTES: usize = MAX_YOUTUBE_ID_BYTES + TIMES_BYTES;

/// The ids of clips.
#[derive(Clone, Debug, Default)]
pub struct Ids {
    sorted: BTreeSet<String>,
    hashed: HashSet<String>,
}

impl Ids {
    /// These ids.
    #[must_use]
    pub fn new(ids: BTreeSet<String>) -> Self {
        Self {
            hashed: ids.iter().cloned().collect(),
            sorted: ids,
        }
    }

    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, id: &str) -> bool {
        self.hashed.contains(id)
    }

    /// The ids in order.
    #[must_use]
    pub fn sorted(&self) -> &BTreeSet<String> {
        &self.sorted
    }

    /// The id that a file or folder carries in its name: `<id>.mp4`, `id_<id>`.
    #[must_use]
    pub fn of_name(&self, name: &str) -> Option<String> {
        let id = clip_of_name(name)?.to_string();
        self.contains(&id).then_some(id)
    }

    /// Those of the ids that stand somewhere in `bytes`. The time does not depend on how many ids
    /// there are.
    #[must_use]
    pub fn within(&self, bytes: &[u8]) -> BTreeSet<String> {
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
