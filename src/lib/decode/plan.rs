//! Which clips are to be decoded: those of which nothing is known, or nothing that still holds.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::SystemTime;

use super::source::{ClipFiles, Source};
use super::stored::{KnownClip, Stored};
use super::summary::FailureCounts;
use super::{DecodeConfig, Retry};
use crate::clip::Split;
use crate::labels::Labels;
use crate::media::limits::Exceeded;
use crate::shard::{Cause, IndexRow, Ranges, SourceFacts};
use crate::tables::ClipStatus;

/// A labelled clip and what is known about it.
pub(super) struct Entry {
    pub(super) clip_id: String,
    pub(super) split: Split,
    /// Its row in the split's label table.
    pub(super) label_row: usize,
    pub(super) source: Option<Source>,
    /// What else has the clip's name, in the order in which it is tried.
    pub(super) others: Vec<Source>,
    /// Its row of the index; none where it is to be decoded.
    pub(super) row: Option<IndexRow>,
    /// Whether it has been withdrawn: it is not decoded, and no limit counts it.
    pub(super) withdrawn: bool,
}

impl Entry {
    /// Whether it has been withdrawn and its bytes are still there.
    pub(super) fn is_to_be_erased(&self) -> bool {
        let is_stored = self.row.as_ref().is_some_and(|row| row.shard.is_some());
        self.withdrawn && (self.source.is_some() || is_stored)
    }
}

/// The clips that a run is to see to.
pub(super) struct Clips<'a> {
    pub(super) config: &'a DecodeConfig,
    pub(super) labels: &'a Labels,
    pub(super) sources: &'a ClipFiles,
    pub(super) ranges: Ranges,
}

impl Clips<'_> {
    /// Every labelled clip of this run, or of its part, in order, with its row where that is known
    /// and still holds. `folder` is the run's own.
    pub(super) fn plan(&self, folder: &Path, stored: &Stored) -> Vec<Entry> {
        let now = SystemTime::now();
        let mut compared = BTreeSet::new();
        let mut failures = FailureCounts::default();
        let (mut counted, mut entries) = (0, Vec::new());
        for (split, label_row, label) in self.labels.iter() {
            let clip_id = label.clip.to_string();
            let found = self.sources.of(&label.clip, &label.subcategory);
            let known = stored.known.get(&clip_id).map_or(&[][..], Vec::as_slice);
            let withdrawn = self.labels.withdrawn.contains(&clip_id);
            if !withdrawn {
                counted += 1;
                failures.add_known(known, !found.is_empty());
            }
            let place = self.ranges.place(split, label_row);
            if self.config.part.is_some_and(|part| !part.owns(place)) {
                continue;
            }
            let row = if withdrawn {
                Some(withdrawn_row(&clip_id, split, known))
            } else if found.is_empty() {
                Some(missing(
                    &clip_id,
                    split,
                    self.sources.near_miss(&label.clip),
                ))
            } else {
                let mut comparison = Comparison {
                    config: self.config,
                    compared: &mut compared,
                };
                comparison.current(known, split, &found).cloned()
            };
            let mut found = found.into_iter();
            entries.push(Entry {
                clip_id,
                split,
                label_row,
                source: found.next(),
                others: found.collect(),
                row,
                withdrawn,
            });
        }
        Stored::remember_comparison(folder, &compared, now);
        let too_many = failures.exceed(counted, self.config.max_failed);
        for entry in &mut entries {
            entry.row = entry
                .row
                .take()
                .filter(|row| !is_tried_again(row, self.config, too_many));
        }
        entries
    }
}

impl FailureCounts {
    /// Counts a clip by what was known of it before its file was looked at. So every part of a run
    /// comes to the same number without looking at the others' files.
    fn add_known(&mut self, known: &[KnownClip], has_file: bool) {
        if !has_file {
            self.missing += 1;
        } else if let Some(first) = known.first()
            && !known.iter().any(|clip| clip.row.status.is_usable())
        {
            self.add(&first.row);
        }
    }
}

fn missing(clip_id: &str, split: Split, near_miss: Option<String>) -> IndexRow {
    let near_miss = near_miss.map_or_else(String::new, |near_miss| format!("; {near_miss}"));
    IndexRow::without_frames(
        clip_id.to_owned(),
        split,
        SourceFacts::default(),
        ClipStatus::Missing,
        Some(format!("there is no file of this clip{near_miss}")),
    )
}

/// The row of a withdrawn clip. Where its frames are stored the index goes on saying so, until they
/// are erased.
fn withdrawn_row(clip_id: &str, split: Split, known: &[KnownClip]) -> IndexRow {
    let stored = known
        .iter()
        .map(|clip| &clip.row)
        .find(|row| row.split == split && row.shard.is_some());
    stored
        .cloned()
        .unwrap_or_else(|| IndexRow::withdrawn(clip_id.to_owned(), split))
}

/// Compares what is there of a clip with what is known of it.
struct Comparison<'a> {
    config: &'a DecodeConfig,
    /// Shards with a clip whose file was read to see that it is the same.
    compared: &'a mut BTreeSet<String>,
}

impl Comparison<'_> {
    /// The row of those known that is of the very file that is there now. A whole clip is known by
    /// its size where nothing of that name has changed since its shard was written; in all other
    /// cases the hash decides: another file may have the size of the one before.
    fn current<'r>(
        &mut self,
        known: &'r [KnownClip],
        split: Split,
        sources: &[Source],
    ) -> Option<&'r IndexRow> {
        let sizes: Vec<i64> = sources.iter().map(Source::bytes).collect();
        let is_of_size = |KnownClip { row, .. }: &&KnownClip| {
            row.split == split && row.source_bytes.is_some_and(|bytes| sizes.contains(&bytes))
        };
        let clips: Vec<&KnownClip> = known.iter().filter(is_of_size).collect();
        match clips[..] {
            [] => return None,
            [KnownClip { row, written }]
                // Of several, each was tried.
                if (row.status == ClipStatus::Ok || sources.len() > 1)
                    && are_older(sources, *written) =>
            {
                return Some(row);
            }
            // It took too long already to hash it.
            [KnownClip { row, .. }] if row.source_blake3.is_none() && exceeded(row).is_some() => {
                return Some(row);
            }
            _ => {}
        }
        let mut rows: Vec<&IndexRow> = clips.into_iter().map(|clip| &clip.row).collect();
        let hash = sources[0].hash(&self.config.clip, self.config.limits);
        rows.retain(|row| row.source_blake3 == hash);
        let usable = rows.iter().find(|row| row.status.is_usable());
        let row = usable.or(rows.first()).copied()?;
        // Where the likeliest file gives nothing another may, so all are tried again.
        if sources.len() > 1 && !row.status.is_usable() {
            return None;
        }
        self.compared.extend(row.shard.clone());
        Some(row)
    }
}

/// Whether all of them are older than what a row was published with.
fn are_older(sources: &[Source], written: Option<SystemTime>) -> bool {
    let is_older = |source: &Source| Some(source.changed()? < written?);
    sources.iter().all(|source| is_older(source) == Some(true))
}

/// The limit that a clip has exceeded, where that is why it has no frames.
fn exceeded(row: &IndexRow) -> Option<Exceeded> {
    row.error.as_deref().and_then(Exceeded::parse)
}

/// Whether a clip of an unchanged file is decoded once more: one that the machine kept from being
/// decoded, where that is asked for, where the limit that it met has changed, or where there are
/// too many failures and it met no limit.
fn is_tried_again(row: &IndexRow, config: &DecodeConfig, too_many: bool) -> bool {
    if row.status != ClipStatus::Failed || row.cause == Some(Cause::Damaged) {
        return false;
    }
    let may_succeed = match exceeded(row) {
        Some(limit) => !config.limits.are_still(limit),
        None => too_many,
    };
    config.retry == Retry::Yes || may_succeed
}
