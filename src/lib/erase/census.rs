//! Every clip that is known anywhere, and which of them a request means.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use walkdir::{DirEntry, WalkDir};

use super::EraseError;
use super::config::{Places, Selector};
use super::ids::clip_of_name;
use super::stores::Stores;
use crate::clip::ClipId;
use crate::clip::path::{has_video_ending, without_ending};
use crate::foreign::composed;
use crate::labels::Labels;
use crate::parquet_file;
use crate::shard::{RemoteShards, Shard, parts_place, shard_files};
use crate::tables::{AvailabilityRow, IndexRow, Kind, LedgerRow};
use crate::withdrawn::{Withdrawn, read_ids};

/// What the label tables say of a clip.
#[derive(Debug)]
pub(super) struct Labelled {
    pub(super) subcategory: String,
    /// What is withdrawn together with it; none where nothing is.
    pub(super) group: Option<String>,
}

/// The clips that are known somewhere.
#[derive(Debug, Default)]
pub(super) struct Census {
    /// The labelled clips.
    pub(super) labelled: BTreeMap<String, Labelled>,
    /// Clips that lie in a shard, or that the index names.
    pub(super) stored: BTreeSet<String>,
    /// The hashes of each clip's file that an index or the download's ledger has.
    pub(super) sources: BTreeMap<String, BTreeSet<String>>,
    /// Clips whose file or folder of frames lies somewhere.
    pub(super) files: BTreeSet<String>,
    /// The list of withdrawn clips.
    pub(super) withdrawn: Withdrawn,
}

impl Census {
    /// Counts the clips of label tables, shards, index, stores, files and folders.
    ///
    /// # Errors
    /// When label tables, index, the download's ledger or a shard cannot be read.
    pub(super) fn take(places: &Places, stores: &Stores) -> Result<Self, EraseError> {
        let labels = Labels::read(&places.labels)?;
        let mut census = Self {
            labelled: labels
                .iter()
                .map(|(_, _, label)| {
                    let labelled = Labelled {
                        subcategory: label.subcategory.clone(),
                        group: label.group.clone(),
                    };
                    (label.clip.to_string(), labelled)
                })
                .collect(),
            withdrawn: labels.withdrawn,
            ..Self::default()
        };
        census.count_stored(&places.shards)?;
        for part in parts_place(&places.shards).folders()? {
            census.count_stored(&part)?;
        }
        for store in stores.reached() {
            census.count_store(store);
        }
        census.count_downloads(&places.data.join(LedgerRow::FILE))?;
        census.count_files(&places.raw);
        if let Some(folder) = &places.frame_folders {
            census.count_files(folder);
        }
        Ok(census)
    }

    /// Counts files and folders that have the name of a clip, and videos by their path.
    fn count_files(&mut self, root: &Path) {
        // What cannot be read is named by the search.
        let entries = WalkDir::new(root).follow_links(true).into_iter();
        let entries = entries.filter_map(Result::ok);
        self.files
            .extend(entries.filter_map(|entry| clip_at(root, &entry)));
    }

    fn count_stored(&mut self, folder: &Path) -> Result<(), EraseError> {
        if !folder.is_dir() {
            return Ok(());
        }
        let index = folder.join(IndexRow::FILE);
        if index.exists() {
            self.count_index(&parquet_file::read::<IndexRow>(&index)?);
        }
        for name in shard_files(folder)?.into_values() {
            let shard = Shard::open(&folder.join(name))?;
            for row in 0..i64::try_from(shard.len()).unwrap_or(i64::MAX) {
                self.stored.insert(shard.clip(row)?.clip_id);
            }
        }
        Ok(())
    }

    fn count_index(&mut self, rows: &[IndexRow]) {
        for row in rows {
            self.stored.insert(row.clip_id.clone());
            self.count_source(&row.clip_id, row.source_blake3.as_ref());
        }
    }

    fn count_source(&mut self, clip: &str, hash: Option<&String>) {
        if let Some(hash) = hash {
            let of_clip = self.sources.entry(clip.to_owned()).or_default();
            of_clip.insert(hash.clone());
        }
    }

    fn count_downloads(&mut self, ledger: &Path) -> Result<(), EraseError> {
        if !ledger.exists() {
            return Ok(());
        }
        let rows: Vec<LedgerRow> = parquet_file::read(ledger)?;
        for row in rows.iter().filter(|row| row.kind == Kind::Clip) {
            self.count_source(&row.name, row.blake3.as_ref());
        }
        Ok(())
    }

    /// Counts what lies in a store. What cannot be read is named by the search.
    fn count_store(&mut self, store: &RemoteShards) {
        self.count_index(store.index());
        for (_, clips) in store.clips() {
            let clips = clips.into_iter().flatten();
            self.stored.extend(clips.map(|clip| clip.clip_id));
        }
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
                        chosen.insert(ClipId::of_either_kind(id)?.to_string());
                    }
                }
                Selector::Clips(file) => chosen.extend(read_ids(file)?),
                Selector::Source(source) => {
                    let is_of = |id: &&String| {
                        self.source_of(id).as_ref() == Some(source)
                            || video_of(id).as_ref() == Some(source)
                    };
                    chosen.extend(self.all().filter(is_of).cloned());
                }
                Selector::Subcategory(name) => {
                    let labelled = self.labelled.iter();
                    let labelled = labelled.filter(|(_, label)| label.subcategory == *name);
                    chosen.extend(labelled.map(|(id, _)| id.clone()));
                }
                Selector::Unlabelled => {
                    let stored = self.stored.iter();
                    let stray = stored.filter(|id| !self.labelled.contains_key(*id));
                    chosen.extend(stray.cloned());
                }
                Selector::Departed { availability, task } => {
                    let rows: Vec<AvailabilityRow> = parquet_file::read_any(availability)?;
                    chosen.extend(departed(&rows, *task));
                }
            }
        }
        Ok(self.as_known(chosen))
    }

    /// The ids as labels and stored clips spell them: a path may come in another form of Unicode.
    fn as_known(&self, chosen: BTreeSet<String>) -> BTreeSet<String> {
        if chosen.iter().all(|id| id.is_ascii()) {
            return chosen;
        }
        let known = self.all().filter(|id| !id.is_ascii());
        let known: BTreeMap<_, _> = known.map(|id| (composed(id), id)).collect();
        let spelt = |id: String| {
            known
                .get(&composed(&id))
                .map_or(id.clone(), |k| (*k).clone())
        };
        chosen.into_iter().map(spelt).collect()
    }

    /// What a clip belongs to: the group that its label has, else its YouTube id.
    pub(super) fn source_of(&self, id: &str) -> Option<String> {
        match self.labelled.get(id) {
            Some(label) => label.group.clone(),
            None => video_of(id),
        }
    }
}

/// The clip that a file or folder below `root` is of: by its name, of a video else by its path.
pub(super) fn clip_at(root: &Path, entry: &DirEntry) -> Option<String> {
    let name = entry.file_name().to_string_lossy();
    let is_file = entry.file_type().is_file();
    if let Some(clip) = clip_of_name(&name).filter(|_| is_file || name.starts_with("id_")) {
        return Some(clip.to_string());
    }
    let is_video = is_file && has_video_ending(entry.path());
    let relative = entry.path().strip_prefix(root).ok();
    relative.filter(|_| is_video).and_then(without_ending)
}

/// The YouTube id of a clip that is a piece of such a video.
pub(super) fn video_of(id: &str) -> Option<String> {
    id.parse::<ClipId>().ok()?.youtube_id().map(str::to_owned)
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
            group: None,
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
    }

    #[test]
    fn a_clip_belongs_to_its_group_or_to_its_video() {
        let mut census = Census::default();
        let label = |group: Option<&str>| Labelled {
            subcategory: "walk".into(),
            group: group.map(str::to_owned),
        };
        let labelled = [
            ("walk/a", label(Some("person 3"))),
            ("walk/b", label(None)),
            ("v_000001_000002", label(Some("person 3"))),
        ];
        census.labelled = labelled.map(|(id, label)| (id.to_owned(), label)).into();
        census.stored = ["v_000003_000004", "caf\u{e9}/c"].map(str::to_owned).into();
        let of = |source: &str| census.select(&[Selector::Source(source.into())]).unwrap();
        let ids = |ids: &[&str]| {
            ids.iter()
                .map(|id| (*id).to_owned())
                .collect::<BTreeSet<_>>()
        };
        assert_eq!(of("person 3"), ids(&["v_000001_000002", "walk/a"]));
        assert_eq!(of("v"), ids(&["v_000001_000002", "v_000003_000004"]));
        let decomposed = Selector::Ids(vec!["cafe\u{301}/c".into()]);
        assert_eq!(census.select(&[decomposed]).unwrap(), ids(&["caf\u{e9}/c"]));
    }
}
