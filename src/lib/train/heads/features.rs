//! The feature table joined with the tasks' lists.

use std::collections::HashMap;
use std::path::Path;
use std::rc::Rc;

use crate::artifact::hash_file;
use crate::clip::Split;
use crate::data::{Dataset, Sample};
use crate::parquet_file;
use crate::tables::{IndexRow, read_features};
use crate::train::TrainError;
use crate::train::task_sequence::TaskSequence;
use crate::unlearning::exact_head::Clip;

/// A clip as heads see it.
#[derive(Clone, Debug, PartialEq)]
pub(in crate::train) struct HeadClip {
    /// Its id.
    pub(super) id: String,
    /// Its class.
    pub(super) class: usize,
    /// The position of its subcategory in its category's list of the taxonomy.
    pub(super) position_in_category: usize,
    /// Its feature, cast to 64 bits, `[d]`.
    pub(super) feature: Rc<[f64]>,
}

impl HeadClip {
    /// Its feature, `[d]`.
    pub(in crate::train) fn feature(&self) -> &[f64] {
        &self.feature
    }

    pub(super) fn exact(&self) -> Clip<'_> {
        Clip {
            id: &self.id,
            feature: &self.feature,
            class: self.class,
        }
    }
}

/// The clips of the lists of every stage (a task that is not passed over) with their features. Takes
/// 8 d bytes a clip.
#[derive(Debug)]
pub(in crate::train) struct Features {
    /// The task of each stage.
    tasks: Vec<usize>,
    train: Vec<Vec<HeadClip>>,
    validation: Vec<Vec<HeadClip>>,
    test: Vec<Vec<HeadClip>>,
    width: usize,
    classes: usize,
}

impl Features {
    /// Reads the table at `path` for the clips of `data`, whose stored bytes the index in `shards`
    /// knows; gives the table's hash, too.
    ///
    /// # Errors
    /// When it cannot be read, lacks a clip, or holds a feature of other bytes.
    pub(in crate::train) fn read(
        path: &Path,
        shards: &Path,
        data: &TaskSequence,
    ) -> Result<(Self, String), TrainError> {
        let hash = hash_file(path)?;
        let (_, rows) = read_features(path)?;
        let width = rows.first().map_or(0, |row| row.feature.len());
        let index: Vec<IndexRow> = parquet_file::read(&shards.join(IndexRow::FILE))?;
        let stored: HashMap<(Split, &str), Option<&str>> = index
            .iter()
            .map(|row| ((row.split, &row.clip_id[..]), row.content.as_deref()))
            .collect();
        let mut features: HashMap<(Split, String), Rc<[f64]>> = HashMap::new();
        for row in rows {
            let content = stored
                .get(&(row.split, &row.clip_id[..]))
                .copied()
                .flatten();
            // Of bytes that are stored no more a feature is none.
            if content == Some(&row.content[..]) {
                let feature = row.feature.into_iter().map(f64::from).collect();
                features.insert((row.split, row.clip_id), feature);
            }
        }
        let place = |subcategory: &str| {
            let place = data.deal.taxonomy.place(subcategory);
            place.map_or(0, |place| place.index)
        };
        let clip = |sample: &Sample, split: Split| {
            let feature = features.get(&(split, sample.clip_id.clone())).cloned();
            Ok(HeadClip {
                feature: feature.ok_or_else(|| TrainError::Feature {
                    path: path.to_owned(),
                    clip: sample.clip_id.clone(),
                    what: "has no feature of the frames that are stored",
                })?,
                id: sample.clip_id.clone(),
                // The lists were checked against the taxonomy.
                class: usize::try_from(sample.label).unwrap_or(usize::MAX),
                position_in_category: place(&sample.subcategory),
            })
        };
        let list = |list: &Dataset, split| -> Result<Vec<HeadClip>, TrainError> {
            list.samples().iter().map(|s| clip(s, split)).collect()
        };
        let trained = (0..data.tasks.len()).filter(|&task| !data.tasks[task].is_empty());
        let tasks: Vec<usize> = trained.collect();
        let lists = |split: Split| -> Result<Vec<Vec<HeadClip>>, TrainError> {
            let tasks = tasks.iter().map(|&task| &data.tasks[task]);
            tasks.map(|task| list(task.list(split), split)).collect()
        };
        let features = Self {
            train: lists(Split::Train)?,
            validation: lists(Split::Validation)?,
            test: lists(Split::Test)?,
            width,
            classes: data.deal.taxonomy.classes(),
            tasks: tasks.clone(),
        };
        Ok((features, hash))
    }

    /// Features of these lists.
    #[cfg(test)]
    pub(super) fn of(train: Vec<Vec<HeadClip>>, width: usize, classes: usize) -> Self {
        let empty = vec![Vec::new(); train.len()];
        Self {
            tasks: (0..train.len()).collect(),
            validation: empty.clone(),
            test: empty,
            train,
            width,
            classes,
        }
    }

    /// The task of each stage.
    pub(in crate::train) fn tasks(&self) -> &[usize] {
        &self.tasks
    }

    /// The clips of one list of `stage`.
    pub(in crate::train) fn list(&self, stage: usize, split: Split) -> &[HeadClip] {
        match split {
            Split::Train => &self.train[stage],
            Split::Validation => &self.validation[stage],
            Split::Test => &self.test[stage],
        }
    }

    /// The ids of every train list.
    pub(super) fn train_ids(&self) -> Vec<Vec<&str>> {
        let ids = self
            .train
            .iter()
            .map(|list| list.iter().map(|clip| &clip.id[..]));
        ids.map(Iterator::collect).collect()
    }

    /// d, the width of a feature.
    pub(super) fn width(&self) -> usize {
        self.width
    }

    pub(super) fn classes(&self) -> usize {
        self.classes
    }
}
