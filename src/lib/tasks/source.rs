//! The labelled clips, from label tables or from a manifest.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};

use super::availability::Tables;
use super::{LabelSource, TasksError};
use crate::clip::{ClipId, Split};
use crate::foreign::printable;
use crate::labels::Labels;
use crate::parquet_file::{self, Table};
use crate::tables::ClipRow;
use crate::taxonomy::Taxonomy;

/// A labelled clip as far as dealing needs it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelledClip {
    /// The clip's id.
    pub clip_id: String,
    /// What it may not be divided from, where the labels say so.
    pub group: Option<String>,
    /// Its class.
    pub class: usize,
    /// Its subcategory, as an index into the category's list of the taxonomy.
    pub subcategory: usize,
    /// Whether it has frames.
    pub usable: bool,
}

/// The labelled clips of the three splits with their taxonomy.
#[derive(Clone, Debug)]
pub struct Source {
    /// Categories and subcategories.
    pub taxonomy: Taxonomy,
    /// The clips of each split by row, in the order of [`Split::ALL`].
    pub clips: [Vec<LabelledClip>; 3],
    /// The files that were read, for lineage.
    pub files: Vec<PathBuf>,
}

impl Source {
    /// Reads label tables or a manifest.
    ///
    /// # Errors
    /// When a file is missing, malformed or contradicts itself.
    pub fn read(from: &LabelSource) -> Result<Self, TasksError> {
        match from {
            LabelSource::Labels(folder) => Ok(Self::from_labels(&Labels::read(folder)?)),
            LabelSource::Manifest(file) => Self::from_manifest(file),
        }
    }

    /// Takes the frames of these clips away, as if they had never been there; their places in the draws stay.
    pub(super) fn without(&mut self, ids: &BTreeSet<String>) {
        for clip in self.clips.iter_mut().flatten() {
            clip.usable &= !ids.contains(&clip.clip_id);
        }
    }

    /// Where each clip belongs: what dealing needs to know.
    #[must_use]
    pub fn tables(&self) -> Tables {
        Tables {
            sizes: sizes(&self.taxonomy),
            places: self
                .clips
                .each_ref()
                .map(|clips| clips.iter().map(|c| (c.class, c.subcategory)).collect()),
        }
    }

    fn from_labels(labels: &Labels) -> Self {
        let taxonomy = labels.taxonomy.clone();
        let clips = Split::ALL.map(|split| {
            let clips = labels.of(split).iter();
            clips
                .map(|label| (label.clip.to_string(), label))
                .map(|(clip_id, label)| LabelledClip {
                    usable: !labels.withdrawn.contains(&clip_id),
                    clip_id,
                    group: label.group.clone(),
                    class: label.class,
                    // The tables were checked against the taxonomy, so the subcategory is found.
                    subcategory: taxonomy.place(&label.subcategory).map_or(0, |p| p.index),
                })
                .collect()
        });
        Self {
            taxonomy,
            clips,
            files: labels.files().to_vec(),
        }
    }

    fn from_manifest(path: &Path) -> Result<Self, TasksError> {
        let settings = parquet_file::provenance(path, &ClipRow::FORMAT)?.settings;
        let taxonomy = Taxonomy::of_settings(path, &settings)?;
        let mut clips: [Vec<LabelledClip>; 3] = Default::default();
        let mut seen = HashSet::new();
        for row in parquet_file::read::<ClipRow>(path)? {
            let contradiction = |problem| TasksError::Manifest {
                path: path.to_owned(),
                clip: printable(&row.clip_id).into_owned(),
                problem,
            };
            if ClipId::of_either_kind(&row.clip_id).is_err() {
                return Err(contradiction("that is no clip's id".to_owned()));
            }
            if !seen.insert(row.clip_id.clone()) {
                return Err(contradiction("it stands in the manifest twice".to_owned()));
            }
            if let Some(problem) = row.misplaced() {
                return Err(contradiction(problem));
            }
            let of_split = &mut clips[row.split as usize];
            if usize::try_from(row.row) != Ok(of_split.len()) {
                return Err(contradiction(format!(
                    "row {} of {} stands where row {} belongs",
                    row.row,
                    row.split,
                    of_split.len()
                )));
            }
            let place = taxonomy
                .place(&row.subcategory)
                .filter(|p| usize::try_from(row.label) == Ok(p.class))
                .filter(|p| taxonomy.categories()[p.class].name == row.category)
                .ok_or_else(|| {
                    contradiction(format!(
                        "{} of {} as class {} is not in the manifest's taxonomy",
                        printable(&row.subcategory),
                        printable(&row.category),
                        row.label
                    ))
                })?;
            of_split.push(LabelledClip {
                clip_id: row.clip_id,
                // A manifest of a version before has no groups, but it knows the videos.
                group: row.group.or(row.youtube_id),
                class: place.class,
                subcategory: place.index,
                usable: row.status.is_usable(),
            });
        }
        Ok(Self {
            taxonomy,
            clips,
            files: vec![path.to_owned()],
        })
    }
}

/// The number of subcategories of each category.
fn sizes(taxonomy: &Taxonomy) -> Vec<usize> {
    let categories = taxonomy.categories().iter();
    categories.map(|c| c.subcategories.len()).collect()
}
