//! What may be wrong with the files of labelled clips: pure, from the manifest's rows and those of
//! the index.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::audit::Audit;
use crate::tables::{ClipRow, IndexRow};

/// The share of its labelled length below which a clip is called short. Videos that were cut at key
/// frames lose a second or two; what has less than half misses what the label is about.
const SHORT_SHARE: f64 = 0.5;

/// A clip that is much shorter than its label says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ShortClip {
    /// The row.
    pub row: usize,
    /// The length of its file in seconds.
    pub seconds: f64,
    /// The length that its label says, in seconds.
    pub labelled_s: i32,
}

impl Audit {
    /// Adds what the files say, each clip's row of the index found by its id.
    pub fn add_files(&mut self, rows: &[ClipRow], index: &HashMap<&str, &IndexRow>) {
        let mut same: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for (i, row) in rows
            .iter()
            .enumerate()
            .filter(|(_, r)| r.status.is_usable())
        {
            let Some(file) = index.get(row.clip_id.as_str()) else {
                continue;
            };
            self.short.extend(short(i, row, file));
            if let Some(hash) = &file.source_blake3 {
                same.entry(hash).or_default().push(i);
            }
        }
        for clips in same.into_values().filter(|clips| clips.len() > 1) {
            let splits: BTreeSet<_> = clips.iter().map(|&i| rows[i].split).collect();
            if splits.len() > 1 {
                self.same_in_several_splits.push(clips);
            } else {
                self.same_in_one_split.push(clips);
            }
        }
        // By the first clip, as the rows are.
        self.same_in_several_splits.sort();
        self.same_in_one_split.sort();
    }
}

fn short(i: usize, row: &ClipRow, file: &IndexRow) -> Option<ShortClip> {
    let labelled_s = row.time_end_s? - row.time_start_s?;
    let counted = |fps: f64| file.source_frames_decoded as f64 / fps;
    let by_frames = file.source_fps.filter(|&fps| fps > 0.0).map(counted);
    let seconds = file.source_duration_s.or(by_frames)?;
    (seconds < f64::from(labelled_s) * SHORT_SHARE).then_some(ShortClip {
        row: i,
        seconds,
        labelled_s,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::Split;
    use crate::manifest::audit::tests::row;
    use crate::tables::{ClipStatus, SourceFacts};

    fn file(clip_id: &str, seconds: Option<f64>, hash: &str) -> IndexRow {
        let source = SourceFacts {
            duration_s: seconds,
            fps: Some(25.0),
            frames_decoded: 50,
            blake3: Some(hash.to_owned()),
            ..SourceFacts::default()
        };
        IndexRow::without_frames(clip_id.into(), Split::Train, source, ClipStatus::Ok, None)
    }

    fn found(rows: &[ClipRow], files: &[IndexRow]) -> Audit {
        let index = files.iter().map(|f| (f.clip_id.as_str(), f)).collect();
        let mut found = Audit::default();
        found.add_files(rows, &index);
        found
    }

    #[test]
    fn clips_much_shorter_than_their_label_are_found_with_both_lengths() {
        let rows = [
            row("a", (0, 10), Split::Train, "x"),
            row("b", (0, 10), Split::Train, "x"),
            row("c", (0, 10), Split::Train, "x"),
        ];
        let ids: Vec<&str> = rows.iter().map(|r| r.clip_id.as_str()).collect();
        let files = [
            file(ids[0], Some(8.0), "1"),
            file(ids[1], Some(4.9), "2"),
            // Counted: 50 frames at 25 a second.
            file(ids[2], None, "3"),
        ];
        let short = found(&rows, &files).short;
        let lengths: Vec<(usize, f64, i32)> = short
            .iter()
            .map(|s| (s.row, s.seconds, s.labelled_s))
            .collect();
        assert_eq!(lengths, [(1, 4.9, 10), (2, 2.0, 10)]);
    }

    #[test]
    fn the_same_bytes_under_several_ids_are_found_unless_nothing_came_of_them() {
        let rows = [
            row("a", (0, 2), Split::Train, "x"),
            row("b", (0, 2), Split::Train, "x"),
            row("c", (0, 2), Split::Test, "x"),
            row("d", (0, 2), Split::Train, "x"),
            row("e", (0, 2), Split::Train, "x"),
            ClipRow {
                status: ClipStatus::Failed,
                ..row("f", (0, 2), Split::Test, "x")
            },
        ];
        let hashes = ["p", "q", "q", "p", "r", "r"];
        let files: Vec<IndexRow> = rows
            .iter()
            .zip(hashes)
            .map(|(row, hash)| file(&row.clip_id, Some(2.0), hash))
            .collect();
        let found = found(&rows, &files);
        assert_eq!(found.same_in_several_splits, [vec![1, 2]]);
        assert_eq!(found.same_in_one_split, [vec![0, 3]]);
    }
}
