//! Which clips are to be decoded: those of which nothing is known, or nothing that still holds.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::source::{ClipFiles, Source};
use super::stored::Stored;
use super::summary::FailureCounts;
use super::{DecodeConfig, Retry};
use crate::clip::Split;
use crate::labels::Labels;
use crate::media::limits::Exceeded;
use crate::shard::{Cause, IndexRow, SourceFacts};
use crate::tables::ClipStatus;

/// A labelled clip and what is known about it.
pub(super) struct Entry {
    pub(super) clip_id: String,
    pub(super) split: Split,
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

/// Every labelled clip in order, with its row where that is known and still holds.
pub(super) fn plan(
    config: &DecodeConfig,
    labels: &Labels,
    sources: &ClipFiles,
    stored: &Stored,
) -> Vec<Entry> {
    let now = SystemTime::now();
    let mut compared = BTreeSet::new();
    let mut entries: Vec<Entry> = labels
        .iter()
        .map(|(split, _, label)| {
            let clip_id = label.clip.to_string();
            let found = sources.of(&label.clip, &label.subcategory);
            let known = stored.known.get(&clip_id).map_or(&[][..], Vec::as_slice);
            let withdrawn = labels.withdrawn.contains(&clip_id);
            let row = if withdrawn {
                Some(withdrawn_row(&clip_id, split, known))
            } else if found.is_empty() {
                Some(missing(&clip_id, split, sources.near_miss(&label.clip)))
            } else {
                let mut comparison = Comparison {
                    config,
                    stored,
                    compared: &mut compared,
                };
                comparison.current(known, split, &found).cloned()
            };
            let mut found = found.into_iter();
            Entry {
                clip_id,
                split,
                source: found.next(),
                others: found.collect(),
                row,
                withdrawn,
            }
        })
        .collect();
    Stored::remember_comparison(&config.out, &compared, now);
    let counted = entries.iter().filter(|e| !e.withdrawn);
    let known = counted.clone().filter_map(|e| e.row.as_ref());
    let too_many = FailureCounts::of(known).exceed(counted.count(), config.max_failed);
    for entry in &mut entries {
        entry.row = entry
            .row
            .take()
            .filter(|row| !is_tried_again(row, config, too_many));
    }
    entries
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
fn withdrawn_row(clip_id: &str, split: Split, known: &[IndexRow]) -> IndexRow {
    let stored = known
        .iter()
        .find(|row| row.split == split && row.shard.is_some());
    stored
        .cloned()
        .unwrap_or_else(|| IndexRow::withdrawn(clip_id.to_owned(), split))
}

/// Compares what is there of a clip with what is known of it.
struct Comparison<'a> {
    config: &'a DecodeConfig,
    stored: &'a Stored,
    /// Shards with a clip whose file was read to see that it is the same.
    compared: &'a mut BTreeSet<String>,
}

impl Comparison<'_> {
    /// The row of those known that is of the very file that is there now. A whole clip is known by
    /// its size where nothing of that name has changed since its shard was written; in all other
    /// cases the hash decides: another file may have the size of the one before.
    fn current<'r>(
        &mut self,
        known: &'r [IndexRow],
        split: Split,
        sources: &[Source],
    ) -> Option<&'r IndexRow> {
        let sizes: Vec<i64> = sources.iter().map(Source::bytes).collect();
        let is_of_size = |row: &&IndexRow| {
            row.split == split && row.source_bytes.is_some_and(|bytes| sizes.contains(&bytes))
        };
        let mut rows: Vec<&IndexRow> = known.iter().filter(is_of_size).collect();
        match rows[..] {
            [] => return None,
            [row] if row.status == ClipStatus::Ok && self.is_older(sources, row) => {
                return Some(row);
            }
            // Each of them was tried.
            [row] if sources.len() > 1 && self.is_older(sources, row) => return Some(row),
            // It took too long already to hash it.
            [row] if row.source_blake3.is_none() && exceeded(row).is_some() => return Some(row),
            _ => {}
        }
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

    /// Whether all of them are older than what the row was published with.
    fn is_older(&self, sources: &[Source], row: &IndexRow) -> bool {
        let written = self.stored.written(row);
        let is_older = |source: &Source| Some(source.changed()? < written?);
        sources.iter().all(|source| is_older(source) == Some(true))
    }
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
