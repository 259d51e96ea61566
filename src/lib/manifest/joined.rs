//! Label tables and index, joined: a row for each labelled clip. Publishing it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use super::audit::audit;
use super::stored::Stored;
use super::{ManifestConfig, ManifestError, ManifestSummary, card, croissant};
use crate::clip::Split;
use crate::foreign::printable;
use crate::labels::{Label, Labels};
use crate::parquet_file::{self, Provenance};
use crate::shard::{IndexRow, index_file, parse_shard_name};
use crate::tables::{ClipRow, ClipStatus};
use crate::taxonomy::Taxonomy;

/// Label tables and index, joined.
pub(super) struct Joined {
    pub(super) labels: Labels,
    /// What the manifest is made from.
    pub(super) made_from: Provenance,
    index: Vec<IndexRow>,
    /// The rows of the manifest.
    rows: Vec<ClipRow>,
    /// Clips of the index that no label table names.
    unlabelled: BTreeSet<String>,
}

impl Joined {
    /// Reads and joins them.
    ///
    /// # Errors
    /// When labels or index are missing or unusable, or cannot be read.
    pub(super) fn read(config: &ManifestConfig) -> Result<Self, ManifestError> {
        let labels = Labels::read(&config.labels)?;
        let index_file = index_file(&config.shards)?;
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
        let rows = labels
            .iter()
            .map(|(split, row, label)| {
                let indexed = by_clip.remove(label.clip.to_string().as_str());
                joined(&labels, split, row, label, indexed)
            })
            .collect();
        let unlabelled = by_clip.keys().map(|id| (*id).to_owned()).collect();
        let settings = serde_json::json!({ Taxonomy::SETTING: labels.taxonomy.to_json() });
        let mut made_from = Provenance::of(&settings);
        for file in labels.files().iter().chain([&index_file]) {
            made_from = made_from.with_input(file)?;
        }
        Ok(Self {
            labels,
            made_from,
            index,
            rows,
            unlabelled,
        })
    }

    /// Audits the join, publishes the manifest and what lies beside it, and says what is in it.
    /// `astray` are the clips that were found in the shards and should not be there.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn publish(
        self,
        config: &ManifestConfig,
        astray: BTreeSet<String>,
    ) -> Result<ManifestSummary, ManifestError> {
        let Self {
            labels,
            made_from,
            index,
            rows,
            unlabelled,
        } = self;
        let stored = Stored::new(&labels, &index, unlabelled, astray);
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
        parquet_file::write(&config.out, &rows, &made_from)?;
        croissant::write(&config.out, &rows)?;
        card::write(&config.out, &summary, &made_from)?;
        Ok(summary)
    }
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
