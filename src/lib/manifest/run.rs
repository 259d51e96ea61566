//! The stage itself: reads labels and index, joins them, publishes the manifest.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::audit::audit;
use super::stored::Stored;
use super::{ManifestConfig, ManifestError, ManifestSummary, card, croissant};
use crate::artifact;
use crate::clip::Split;
use crate::foreign::printable;
use crate::labels::{Label, Labels};
use crate::parquet_file::{self, Provenance};
use crate::shard::{IndexRow, parse_shard_name};
use crate::tables::{ClipRow, ClipStatus};
use crate::taxonomy::Taxonomy;

/// Writes the manifest and says what is in it.
///
/// # Errors
/// When labels or index are missing or unusable, a shard that the index names is absent, or the
/// disk refuses.
pub fn run(config: &ManifestConfig) -> Result<ManifestSummary, ManifestError> {
    if let Some(folder) = config.out.parent() {
        artifact::sweep(folder)?;
    }
    let labels = Labels::read(&config.labels)?;
    let index_file = config.shards.join(IndexRow::FILE);
    let index: Vec<IndexRow> = parquet_file::read(&index_file)?;
    let mut by_clip = HashMap::with_capacity(index.len());
    for row in &index {
        check(row, &index_file)?;
        if by_clip.insert(row.clip_id.as_str(), row).is_some() {
            return Err(ManifestError::Index {
                path: index_file,
                clip: printable(&row.clip_id).into_owned(),
                problem: "stands in it twice",
            });
        }
    }
    shards_are_there(&index, &config.shards)?;
    let rows: Vec<ClipRow> = labels
        .iter()
        .map(|(split, row, label)| {
            let indexed = by_clip.remove(label.clip.to_string().as_str());
            joined(&labels, split, row, label, indexed)
        })
        .collect();
    let mut stored = Stored {
        unlabelled: by_clip.keys().map(|id| (*id).to_owned()).collect(),
        ..Stored::default()
    };
    stored.look(&labels, &config.shards, &index)?;
    let errors: BTreeMap<&str, &str> = index
        .iter()
        .filter_map(|row| Some((row.clip_id.as_str(), row.error.as_deref()?)))
        .collect();
    let mut found = audit(&rows);
    let files = index.iter().map(|row| (row.clip_id.as_str(), row));
    found.add_files(&rows, &files.collect());
    let summary = ManifestSummary::new(
        &labels.taxonomy,
        &rows,
        &found,
        &errors,
        &stored,
        config.listed,
    );
    let settings = serde_json::json!({ Taxonomy::SETTING: labels.taxonomy.to_json() });
    let mut provenance = Provenance::of(&settings);
    for file in labels.files().iter().chain([&index_file]) {
        provenance = provenance.with_input(file)?;
    }
    parquet_file::write(&config.out, &rows, &provenance)?;
    croissant::write(&config.out, &rows)?;
    card::write(&config.out, &summary, &provenance)?;
    Ok(summary)
}

/// A clip has frames exactly where its row says where they lie.
fn check(row: &IndexRow, index: &Path) -> Result<(), ManifestError> {
    let problem = match (row.status.is_usable(), &row.shard, row.shard_row) {
        (true, Some(shard), Some(0..)) if parse_shard_name(shard).is_some() => return Ok(()),
        (true, Some(_), Some(0..)) => "lies in a file whose name is no shard's",
        (false, None, None) => return Ok(()),
        (true, _, _) => "has frames, but no place in a shard",
        (false, _, _) => "has no frames, but a place in a shard",
    };
    Err(ManifestError::Index {
        path: index.to_owned(),
        clip: printable(&row.clip_id).into_owned(),
        problem,
    })
}

fn shards_are_there(index: &[IndexRow], folder: &Path) -> Result<(), ManifestError> {
    let shards: BTreeSet<&String> = index.iter().filter_map(|r| r.shard.as_ref()).collect();
    for shard in shards {
        let path = folder.join(shard);
        if !path.is_file() {
            return Err(ManifestError::ShardMissing { path });
        }
    }
    Ok(())
}

fn joined(
    labels: &Labels,
    split: Split,
    row: usize,
    label: &Label,
    indexed: Option<&IndexRow>,
) -> ClipRow {
    let clip_id = label.clip.to_string();
    let is_withdrawn = labels.withdrawn.contains(&clip_id);
    let indexed = indexed.filter(|_| !is_withdrawn);
    let status = if is_withdrawn {
        ClipStatus::Withdrawn
    } else {
        indexed.map_or(ClipStatus::Missing, |r| r.status)
    };
    // Rows, classes and seconds (six digits) are far below 2^31.
    let int = |n: usize| i32::try_from(n).unwrap_or(i32::MAX);
    let seconds = |s: Option<u32>| s.map(|s| i32::try_from(s).unwrap_or(i32::MAX));
    ClipRow {
        clip_id,
        group: label.group.clone(),
        youtube_id: label.clip.youtube_id().map(str::to_owned),
        time_start_s: seconds(label.clip.start_s()),
        time_end_s: seconds(label.clip.end_s()),
        split,
        source_split: label.source_split.clone(),
        row: int(row),
        category: labels.taxonomy.categories()[label.class].name.clone(),
        label: int(label.class),
        subcategory: label.subcategory.clone(),
        shard: indexed.and_then(|r| r.shard.clone()),
        shard_row: indexed.and_then(|r| r.shard_row),
        status,
    }
}
