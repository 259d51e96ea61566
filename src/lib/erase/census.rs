//! Every clip that is known anywhere, and which of them a request means.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use walkdir::WalkDir;

use super::EraseError;
use super::config::{Places, Selector};
use super::ids::clip_of_name;
use crate::clip::ClipId;
use crate::labels::Labels;
use crate::parquet_file;
use crate::shard::{Shard, shard_files};
use crate::tables::{AvailabilityRow, IndexRow};
use crate::withdrawn::{Withdrawn, read_ids};

/// The clips that are known somewhere.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// The subcategory of each labelled clip.
    pub(super) labelled: BTreeMap<String, String>,
    /// Clips that lie in a shard, or that the index names.
    pub(super) stored: BTreeSet<String>,
    /// Clips whose file or folder of frames lies somewhere.
    pub(super) files: BTreeSet<String>,
    /// The list of withdrawn clips.
    pub(super) withdrawn: Withdrawn,
}

impl Census {
    /// Counts the clips of label tables, shards, index, files and folders.
    ///
    /// # Errors
    /// When label tables, index or a shard cannot be read.
    pub(super) fn take(places: &Places) -> Result<Self, EraseError> {
        let labels = Labels::read(&places.labels)?;
        let mut census = Self {
            labelled: labels
                .iter()
                .map(|(_, _, label)| (label.clip.to_string(), label.subcategory.clone()))
                .collect(),
            withdrawn: labels.withdrawn,
            ..Self::default()
        };
        census.count_stored(&places.shards)?;
        for folder in [Some(&places.raw), places.frame_folders.as_ref()]
            .into_iter()
            .flatten()
        {
            let entries = WalkDir::new(folder).follow_links(true).into_iter();
            // What cannot be read is named by the search.
            for entry in entries.filter_map(Result::ok) {
                let name = entry.file_name().to_string_lossy();
                let is_clip = entry.file_type().is_file() || name.starts_with("id_");
                if let Some(clip) = clip_of_name(&name).filter(|_| is_clip) {
                    census.files.insert(clip.to_string());
                }
            }
        }
        Ok(census)
    }

    fn count_stored(&mut self, folder: &Path) -> Result<(), EraseError> {
        if !folder.is_dir() {
            return Ok(());
        }
        let index = folder.join(IndexRow::FILE);
        if index.exists() {
            let rows: Vec<IndexRow> = parquet_file::read(&index)?;
            self.stored.extend(rows.into_iter().map(|row| row.clip_id));
        }
        for name in shard_files(folder)?.into_values() {
            let shard = Shard::open(&folder.join(name))?;
            for row in 0..i64::try_from(shard.len()).unwrap_or(i64::MAX) {
                self.stored.insert(shard.clip(row)?.clip_id.to_owned());
            }
        }
        Ok(())
    }

    /// Every clip that is known somewhere.
    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        let known: BTreeSet<&String> = self
            .labelled
            .keys()
            .chain(&self.stored)
            .chain(&self.files)
            .collect();
        known.into_iter()
    }

    /// The clips that any of the selectors chooses.
    ///
    /// # Errors
    /// When a file that a selector names cannot be read, or an id is none.
    pub(super) fn select(&self, selectors: &[Selector]) -> Result<BTreeSet<String>, EraseError> {
        let mut chosen = BTreeSet::new();
        for selector in selectors {
            match selector {
                Selector::Ids(ids) => {
                    for id in ids {
                        chosen.insert(id.parse::<ClipId>()?.to_string());
                    }
                }
                Selector::Clips(file) => chosen.extend(read_ids(file)?),
                Selector::Source(source) => {
                    let of_source = |id: &&String| source_of(id) == Some(source.as_str());
                    chosen.extend(self.all().filter(of_source).cloned());
                }
                Selector::Subcategory(name) => {
                    let labelled = self.labelled.iter().filter(|(_, s)| *s == name);
                    chosen.extend(labelled.map(|(id, _)| id.clone()));
                }
                Selector::Unlabelled => {
                    let stored = self.stored.iter();
                    let stray = stored.filter(|id| !self.labelled.contains_key(*id));
                    chosen.extend(stray.cloned());
                }
                Selector::Departed { availability, task } => {
                    let rows: Vec<AvailabilityRow> = parquet_file::read(availability)?;
                    chosen.extend(departed(&rows, *task));
                }
            }
        }
        Ok(chosen)
    }
}

/// The YouTube id of a clip.
pub(super) fn source_of(id: &str) -> Option<&str> {
    let end = id.len().checked_sub("_000000_000000".len())?;
    id.get(..end)
}

/// The clips that stand in a list before `task` and in none from it on.
fn departed(rows: &[AvailabilityRow], task: i32) -> BTreeSet<String> {
    let listed = rows.iter().filter(|row| row.position.is_some());
    let (before, after): (Vec<_>, Vec<_>) = listed.partition(|row| row.task < task);
    let stay: BTreeSet<&str> = after.iter().map(|row| row.clip_id.as_str()).collect();
    let gone = before
        .iter()
        .filter(|row| !stay.contains(row.clip_id.as_str()));
    gone.map(|row| row.clip_id.clone()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clip::Split;
    use crate::tables::Change;

    #[test]
    fn departed_clips_are_those_that_do_not_come_back() {
        let row = |task, clip: &str, position| AvailabilityRow {
            task,
            split: Split::Train,
            position,
            row: 0,
            clip_id: clip.into(),
            category: String::new(),
            label: 0,
            subcategory: String::new(),
            change: Change::Kept,
            usable: true,
        };
        let rows = [
            row(0, "stays", Some(0)),
            row(0, "leaves", Some(1)),
            row(0, "returns", Some(2)),
            row(1, "stays", Some(0)),
            row(1, "leaves", None),
            row(1, "returns", None),
            row(2, "stays", Some(0)),
            row(2, "returns", Some(1)),
        ];
        assert_eq!(departed(&rows, 1), BTreeSet::from(["leaves".to_owned()]));
        assert!(departed(&rows, 0).is_empty());
        assert_eq!(source_of("a_b_000001_000002"), Some("a_b"));
    }
}
