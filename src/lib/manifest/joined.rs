//! Label tables and index, joined: a row for each labelled clip. Publishing it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

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
    index_file: PathBuf,
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
    /// When labels or index are missing or unusable.
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
        Ok(Self {
            labels,
            index_file,
            index,
            rows,
            unlabelled,
        })
    }

    /// What the manifest is made from.
    ///
    /// # Errors
    /// When an input cannot be read.
    pub(super) fn provenance(&self) -> Result<Provenance, ManifestError> {
        let settings = serde_json::json!({ Taxonomy::SETTING: self.labels.taxonomy.to_json() });
        let mut provenance = Provenance::of(&settings);
        for file in self.labels.files().iter().chain([&self.index_file]) {
            provenance = provenance.with_input(file)?;
        }
        Ok(provenance)
    }

    /// Audits the join, publishes the manifest and what lies beside it, and says what is in it.
    /// `astray` are the clips that were found in the shards and should not be there.
    ///
    /// # Errors
    /// When an input cannot be read, or the disk refuses.
    pub(super) fn publish(
        self,
        config: &ManifestConfig,
        astray: BTreeSet<String>,
    ) -> Result<ManifestSummary, ManifestError> {
        let provenance = self.provenance()?;
        let Self {
            labels,
            index,
            rows,
            unlabelled,
            ..
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
        parquet_file::write(&config.out, &rows, &provenance)?;
        croissant::write(&config.out, &rows)?;
        card::write(&config.out, &summary, &provenance)?;
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
