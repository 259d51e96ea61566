//! What planning and running begin with: the labels, the dataset, its source, and the clips that are wanted.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::DownloadError;
use super::config::DownloadConfig;
use super::plan::WantedClip;
use super::remote::{self, Remote};
use super::sources::{Dataset, Sources};
use super::state::Known;
use crate::clip::Split;
use crate::labels::Labels;
use crate::withdrawn::ERASE_COMMAND;

/// Classes that an error lists.
const LISTED_CLASSES: usize = 50;

/// Everything that planning and running share.
pub(super) struct Session {
    pub(super) labels: Labels,
    pub(super) dataset: Dataset,
    pub(super) remote: Box<dyn Remote>,
    /// Clips asked for, by id, but for those that exist as frames.
    pub(super) wanted: BTreeMap<String, WantedClip>,
    /// Clips asked for that have been withdrawn, with their subcategories: they are never fetched.
    pub(super) withdrawn: BTreeMap<String, String>,
    /// Clips asked for that exist as frames, with their subcategories.
    pub(super) frames: BTreeMap<String, String>,
}

impl Session {
    pub(super) fn open(config: &DownloadConfig) -> Result<Self, DownloadError> {
        let labels = Labels::read(&config.labels)?;
        let dataset = Sources::read(config.sources.as_deref())?
            .dataset(&config.dataset)?
            .clone();
        let source = config.source.as_ref().unwrap_or(&dataset.base);
        let remote = remote::open(source, &config.http)?;
        let mut wanted = choose_clips(&labels, config)?;
        let withdrawn = take_withdrawn(&mut wanted, &labels);
        let mut frames = BTreeMap::new();
        if let Some(folder) = &config.frame_folders {
            wanted.retain(|id, clip| {
                let as_frames = has_frames(folder, id);
                if as_frames {
                    frames.insert(id.clone(), clip.subcategory.clone());
                }
                !as_frames
            });
        }
        Ok(Self {
            labels,
            dataset,
            remote,
            wanted,
            withdrawn,
            frames,
        })
    }

    /// Counts the withdrawn clips, and warns where the bytes of some are still there.
    pub(super) fn count_withdrawn(&self, config: &DownloadConfig) -> usize {
        let is_held = |(id, subcategory): &(&String, &String)| {
            let file = config.raw.join(subcategory).join(format!("{id}.mp4"));
            let frames = config.frame_folders.as_ref();
            file.exists() || frames.is_some_and(|folder| has_frames(folder, id))
        };
        let held = self.withdrawn.iter().filter(is_held).count();
        if held > 0 {
            tracing::warn!(
                "{held} withdrawn clips still have files; erase them with `{ERASE_COMMAND}`"
            );
        }
        self.withdrawn.len()
    }

    /// The wanted clips that are neither on disk nor known to be nowhere.
    pub(super) fn open_clips(&self, raw: &Path, known: &Known) -> BTreeMap<String, WantedClip> {
        let on_disk = known.on_disk(raw);
        self.wanted
            .iter()
            .filter(|(id, clip)| {
                !known.is_absent(id) && on_disk.clip(&clip.subcategory, id).is_none()
            })
            .map(|(id, clip)| (id.clone(), clip.clone()))
            .collect()
    }
}

/// Takes the withdrawn clips out of the wanted ones; gives them with their subcategories.
fn take_withdrawn(
    wanted: &mut BTreeMap<String, WantedClip>,
    labels: &Labels,
) -> BTreeMap<String, String> {
    let mut withdrawn = BTreeMap::new();
    wanted.retain(|id, clip| {
        let stays = !labels.withdrawn.contains(id);
        if !stays {
            withdrawn.insert(id.clone(), clip.subcategory.clone());
        }
        stays
    });
    withdrawn
}

/// The clips that the tables name and the filters let through.
fn choose_clips(
    labels: &Labels,
    config: &DownloadConfig,
) -> Result<BTreeMap<String, WantedClip>, DownloadError> {
    let known: BTreeSet<&str> = labels
        .iter()
        .map(|(_, _, l)| l.subcategory.as_str())
        .collect();
    if let Some(class) = config.classes.iter().find(|c| !known.contains(c.as_str())) {
        let mut listed: Vec<&str> = known.iter().copied().take(LISTED_CLASSES).collect();
        if known.len() > LISTED_CLASSES {
            listed.push("...");
        }
        return Err(DownloadError::Class {
            class: class.clone(),
            known: listed.join(", "),
        });
    }
    let mut counts: BTreeMap<(Split, &str), usize> = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    for (split, _, label) in labels.iter() {
        let class_wanted = config.classes.is_empty() || config.classes.contains(&label.subcategory);
        let split_wanted = config.splits.is_empty() || config.splits.contains(&split);
        if !class_wanted || !split_wanted {
            continue;
        }
        let count = counts.entry((split, &label.subcategory)).or_default();
        *count += 1;
        if config.limit.is_some_and(|limit| *count > limit) {
            continue;
        }
        let id = label.clip.to_string();
        if config.only.as_ref().is_some_and(|only| !only.contains(&id)) {
            continue;
        }
        wanted.insert(
            id,
            WantedClip {
                subcategory: label.subcategory.clone(),
                source_split: label.source_split.clone(),
            },
        );
    }
    Ok(wanted)
}

/// Whether a clip's frames lie in `folder/id_<clip>/jpgs`.
fn has_frames(folder: &Path, id: &str) -> bool {
    let jpgs = folder.join(format!("id_{id}")).join("jpgs");
    std::fs::read_dir(jpgs).is_ok_and(|mut entries| {
        entries.any(|e| e.is_ok_and(|e| e.file_name().to_string_lossy().ends_with(".jpg")))
    })
}
