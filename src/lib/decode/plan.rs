//! Which clips are to be decoded: those of which nothing is known, or nothing that still holds.

use super::source::{Source, Sources};
use super::stored::Stored;
use super::summary::Failures;
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
    /// Its row of the index; none where it is to be decoded.
    pub(super) row: Option<IndexRow>,
}

/// Every labelled clip in order, with its row where that is known and still holds.
pub(super) fn plan(
    config: &DecodeConfig,
    labels: &Labels,
    sources: &Sources,
    stored: &Stored,
) -> Vec<Entry> {
    let mut entries: Vec<Entry> = labels
        .iter()
        .map(|(split, _, label)| {
            let clip_id = label.clip.to_string();
            let source = sources.of(&label.clip, &label.subcategory);
            let known = stored.known.get(&clip_id).map_or(&[][..], Vec::as_slice);
            let row = match &source {
                None => Some(missing(&clip_id, split)),
                Some(source) => current(config, known, split, source).cloned(),
            };
            Entry {
                clip_id,
                split,
                source,
                row,
            }
        })
        .collect();
    let known = entries.iter().filter_map(|e| e.row.as_ref());
    let too_many = Failures::of(known).exceed(entries.len(), config.max_failed);
    for entry in &mut entries {
        entry.row = entry
            .row
            .take()
            .filter(|row| !is_tried_again(row, config, too_many));
    }
    entries
}

fn missing(clip_id: &str, split: Split) -> IndexRow {
    let reason = Some("there is no file of this clip".to_owned());
    IndexRow::without_frames(
        clip_id.to_owned(),
        split,
        SourceFacts::default(),
        ClipStatus::Missing,
        reason,
    )
}

/// The row of those known that is of the very file that is there now. A whole clip is known by its
/// size; where it is not whole, or there are several rows, the hash decides: a mended file may have
/// the size of the damaged one.
fn current<'a>(
    config: &DecodeConfig,
    known: &'a [IndexRow],
    split: Split,
    source: &Source,
) -> Option<&'a IndexRow> {
    let of_size = |row: &&IndexRow| row.split == split && row.source_bytes == Some(source.bytes());
    let mut rows: Vec<&IndexRow> = known.iter().filter(of_size).collect();
    match rows[..] {
        [] => return None,
        [row] if row.status == ClipStatus::Ok => return Some(row),
        // It took too long already to hash it.
        [row] if row.source_blake3.is_none() && exceeded(row).is_some() => return Some(row),
        _ => {}
    }
    let hash = source.hash(&config.clip, config.limits);
    rows.retain(|row| row.source_blake3 == hash);
    let usable = rows.iter().find(|row| row.status.is_usable());
    usable.or(rows.first()).copied()
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
