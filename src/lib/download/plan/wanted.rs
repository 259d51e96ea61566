//! Which clips are asked for, by the label tables and the filters.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::classes::named;
use super::planned::WantedClip;
use crate::clip::Split;
use crate::download::config::DownloadConfig;
use crate::download::error::DownloadError;
use crate::download::ledger::find_clip;
use crate::labels::Labels;
use crate::withdrawn::ERASE_COMMAND;

/// Classes that an error lists.
const LISTED_CLASSES: usize = 50;

/// The clips that are asked for, by id.
pub(crate) struct Wanted {
    /// Those to have as files.
    pub(crate) clips: BTreeMap<String, WantedClip>,
    /// Those that have been withdrawn, with their subcategories: they are never fetched.
    pub(crate) withdrawn: BTreeMap<String, String>,
    /// Those that exist as frames, with their subcategories.
    pub(crate) frames: BTreeMap<String, String>,
}

impl Wanted {
    /// The clips that the tables name and the filters let through.
    pub(crate) fn choose(labels: &Labels, config: &DownloadConfig) -> Result<Self, DownloadError> {
        let mut clips = choose_clips(labels, config)?;
        let withdrawn = take_withdrawn(&mut clips, labels);
        let mut frames = BTreeMap::new();
        if let Some(folder) = &config.frame_folders {
            clips.retain(|id, clip| {
                let as_frames = has_frames(folder, id);
                if as_frames {
                    frames.insert(id.clone(), clip.subcategory.clone());
                }
                !as_frames
            });
        }
        Ok(Self {
            clips,
            withdrawn,
            frames,
        })
    }

    /// Counts the withdrawn clips, and warns where the bytes of some are still there.
    pub(crate) fn count_withdrawn(&self, config: &DownloadConfig) -> usize {
        let is_held = |(id, subcategory): &(&String, &String)| {
            let file = find_clip(&config.raw, subcategory, id, |_| true);
            let frames = config.frame_folders.as_ref();
            file.is_some() || frames.is_some_and(|folder| has_frames(folder, id))
        };
        let held = self.withdrawn.iter().filter(is_held).count();
        if held > 0 {
            tracing::warn!(
                "{held} withdrawn clips still have files; erase them with `{ERASE_COMMAND}`"
            );
        }
        self.withdrawn.len()
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

fn choose_clips(
    labels: &Labels,
    config: &DownloadConfig,
) -> Result<BTreeMap<String, WantedClip>, DownloadError> {
    let known: BTreeSet<&str> = labels
        .iter()
        .map(|(_, _, l)| l.subcategory.as_str())
        .collect();
    let classes = named(&config.classes, &known).map_err(|class| {
        let mut listed: Vec<&str> = known.iter().copied().take(LISTED_CLASSES).collect();
        if known.len() > LISTED_CLASSES {
            listed.push("...");
        }
        DownloadError::Class {
            class,
            known: listed.join(", "),
        }
    })?;
    let mut counts: BTreeMap<(Split, &str), usize> = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    for (split, _, label) in labels.iter() {
        let class_wanted = classes.is_empty() || classes.contains(&label.subcategory);
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
