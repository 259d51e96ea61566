//! What may be wrong with a set of labelled clips: pure, from the manifest's rows.

use std::collections::{BTreeMap, BTreeSet};

pub use super::file_audit::ShortClip;
use crate::tables::{ClipRow, ClipStatus};

/// What an audit finds. Everything refers to rows by their index.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Audit {
    /// Clips without a file.
    pub missing: Vec<usize>,
    /// Clips whose file gave no frame.
    pub failed: Vec<usize>,
    /// Clips with fewer frames than their file promises.
    pub partial: Vec<usize>,
    /// Groups (YouTube ids, unless the labels name others) with clips in more than one split, with those clips.
    pub in_several_splits: Vec<Vec<usize>>,
    /// Groups with clips of more than one subcategory, with those clips.
    pub in_several_subcategories: Vec<Vec<usize>>,
    /// Pairs of clips that show the same seconds of the same video.
    pub overlaps: Vec<Overlap>,
    /// Clips much shorter than their label says.
    pub short: Vec<ShortClip>,
    /// Clips of different ids whose files are the same to the byte, in more than one split.
    pub same_in_several_splits: Vec<Vec<usize>>,
    /// Those within one split.
    pub same_in_one_split: Vec<Vec<usize>>,
}

/// Two clips of one video whose time ranges overlap.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The one that starts first.
    pub first: usize,
    /// The other.
    pub second: usize,
    /// How long both show the same, in seconds.
    pub seconds: i32,
}

/// Audits the rows of a manifest. What their files say, [`Audit::add_files`] adds.
#[must_use]
pub fn audit(rows: &[ClipRow]) -> Audit {
    let with_status = |status| {
        let indices = rows.iter().enumerate();
        indices
            .filter(|(_, r)| r.status == status)
            .map(|(i, _)| i)
            .collect()
    };
    let mut found = Audit {
        missing: with_status(ClipStatus::Missing),
        failed: with_status(ClipStatus::Failed),
        partial: with_status(ClipStatus::Partial),
        ..Audit::default()
    };
    for clips in together(rows, |row| row.group.as_deref()) {
        let splits: BTreeSet<_> = clips.iter().map(|&i| rows[i].split).collect();
        if splits.len() > 1 {
            found.in_several_splits.push(clips.clone());
        }
        let subcategories: BTreeSet<_> = clips.iter().map(|&i| &rows[i].subcategory).collect();
        if subcategories.len() > 1 {
            found.in_several_subcategories.push(clips);
        }
    }
    for mut clips in together(rows, |row| row.youtube_id.as_deref()) {
        clips.sort_by_key(|&i| (rows[i].time_start_s, rows[i].time_end_s, i));
        overlaps(rows, &clips, &mut found.overlaps);
    }
    found
}

/// The clips that have the same key, of each that several have; in the order of the keys.
fn together(rows: &[ClipRow], key: impl Fn(&ClipRow) -> Option<&str>) -> Vec<Vec<usize>> {
    let mut clips: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (i, row) in rows.iter().enumerate() {
        if let Some(key) = key(row) {
            clips.entry(key).or_default().push(i);
        }
    }
    clips
        .into_values()
        .filter(|clips| clips.len() > 1)
        .collect()
}

/// The overlapping pairs among the clips of one video, given in the order of their starts.
fn overlaps(rows: &[ClipRow], clips: &[usize], found: &mut Vec<Overlap>) {
    let times = |i: usize| rows[i].time_start_s.zip(rows[i].time_end_s);
    for (k, &first) in clips.iter().enumerate() {
        for &second in &clips[k + 1..] {
            let (Some((_, end)), Some((start, second_end))) = (times(first), times(second)) else {
                continue;
            };
            if start >= end {
                break;
            }
            let seconds = end.min(second_end) - start;
            if seconds > 0 {
                found.push(Overlap {
                    first,
                    second,
                    seconds,
                });
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::clip::Split;

    pub(in crate::manifest) fn row(
        video: &str,
        times: (i32, i32),
        split: Split,
        subcategory: &str,
    ) -> ClipRow {
        ClipRow {
            clip_id: format!("{video}_{:06}_{:06}", times.0, times.1),
            group: Some(video.into()),
            youtube_id: Some(video.into()),
            time_start_s: Some(times.0),
            time_end_s: Some(times.1),
            split,
            source_split: String::new(),
            row: 0,
            category: "food".into(),
            label: 0,
            subcategory: subcategory.into(),
            shard: None,
            shard_row: None,
            status: ClipStatus::Ok,
        }
    }

    #[test]
    fn a_video_in_two_splits_or_subcategories_and_its_overlaps_are_found() {
        let rows = [
            row("a", (0, 10), Split::Train, "x"),
            row("a", (2, 12), Split::Test, "x"),
            row("a", (12, 22), Split::Test, "x"),
            row("b", (0, 10), Split::Train, "x"),
            row("b", (20, 30), Split::Train, "y"),
            row("c", (0, 10), Split::Train, "x"),
            row("c", (10, 20), Split::Train, "x"),
        ];
        let found = audit(&rows);
        assert_eq!(found.in_several_splits, [vec![0, 1, 2]]);
        assert_eq!(found.in_several_subcategories, [vec![3, 4]]);
        let overlap = Overlap {
            first: 0,
            second: 1,
            seconds: 8,
        };
        assert_eq!(found.overlaps, [overlap]);
    }

    #[test]
    fn a_group_may_be_anything_and_only_videos_overlap() {
        let own = |group: &str, split| ClipRow {
            group: Some(group.into()),
            youtube_id: None,
            time_start_s: None,
            time_end_s: None,
            ..row("", (0, 0), split, "x")
        };
        let rows = [
            own("g1", Split::Train),
            own("g2", Split::Train),
            own("g1", Split::Test),
        ];
        let found = audit(&rows);
        assert_eq!(found.in_several_splits, [vec![0, 2]]);
        assert!(found.overlaps.is_empty());
        let nobodys = rows.map(|row| ClipRow { group: None, ..row });
        assert!(audit(&nobodys).in_several_splits.is_empty());
    }

    #[test]
    fn a_long_clip_overlaps_all_that_it_covers() {
        let rows = [
            row("a", (0, 30), Split::Train, "x"),
            row("a", (5, 10), Split::Train, "x"),
            row("a", (20, 40), Split::Train, "x"),
        ];
        let seconds: Vec<i32> = audit(&rows).overlaps.iter().map(|o| o.seconds).collect();
        assert_eq!(seconds, [5, 10]);
    }

    #[test]
    fn clips_are_sorted_out_by_their_status() {
        let rows: Vec<ClipRow> = [
            ClipStatus::Ok,
            ClipStatus::Missing,
            ClipStatus::Failed,
            ClipStatus::Partial,
            ClipStatus::Missing,
        ]
        .into_iter()
        .enumerate()
        .map(|(i, status)| ClipRow {
            status,
            ..row(&i.to_string(), (0, 10), Split::Train, "x")
        })
        .collect();
        let found = audit(&rows);
        assert_eq!(found.missing, [1, 4]);
        assert_eq!((found.failed, found.partial), (vec![2], vec![3]));
    }
}
