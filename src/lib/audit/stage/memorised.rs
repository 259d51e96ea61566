//! The clips that heads memorise most: those whose loss is largest, beside that of heads that saw
//! them, where they were not seen (Feldman, <https://arxiv.org/abs/1906.05271>). A forget set of them
//! is the hardest of its size.

use std::collections::HashMap;
use std::fmt;
use std::path::PathBuf;

use rand::RngExt;
use serde::Serialize;

use super::AuditStageError;
use super::models::Matrix;
use super::runs::{ListedClip, lists};
use super::shadows::Kernel;
use crate::artifact;
use crate::audit::lira::{FEWEST_SHADOWS, SHADOWS};
use crate::audit::scores::clip_losses;
use crate::audit::{AuditError, mean};
use crate::clip::Split;
use crate::metrics::Criterion;
use crate::random::stream;
use crate::tables::{Availability, AvailabilityRow, read_features};
use crate::taxonomy::Taxonomy;

/// Most clips of a list: their products with each other are held in memory, 3.2 GB for so many.
const MOST_CLIPS: usize = 20_000;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct MemorisedConfig {
    /// The feature table.
    pub features: PathBuf,
    /// Folder of `availability.parquet`.
    pub availability: PathBuf,
    /// The task whose train list is looked at; default the last.
    pub task: Option<usize>,
    /// How many clips are listed.
    pub clips: usize,
    /// The file to write.
    pub out: PathBuf,
    /// Ridge heads that are trained, each on a half of the clips drawn for it.
    pub shadows: usize,
    /// The seed of these draws.
    pub seed: u64,
}

impl MemorisedConfig {
    /// The defaults with the three paths that have none.
    #[must_use]
    pub fn new(features: PathBuf, availability: PathBuf, out: PathBuf) -> Self {
        Self {
            features,
            availability,
            task: None,
            clips: 100,
            out,
            shadows: SHADOWS,
            seed: 0,
        }
    }
}

/// What it came to.
#[derive(Clone, Debug, Serialize)]
pub struct MemorisedSummary {
    /// The file.
    pub file: PathBuf,
    /// The task.
    pub task: usize,
    /// Clips of its train list.
    pub clips: usize,
    /// Clips that are listed.
    pub listed: usize,
    /// The memorisation of the first; none for an empty list.
    pub most: Option<f64>,
    /// That of the last.
    pub least: Option<f64>,
}

impl fmt::Display for MemorisedSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
        write!(
            f,
            "{}: {} of the {} clips of task {}, memorisation {} to {}",
            self.file.display(),
            self.listed,
            self.clips,
            self.task,
            text(self.most),
            text(self.least)
        )
    }
}

/// A clip and its memorisation; none where every head saw it, or none did.
type Memorised<'a> = (&'a ListedClip, Option<f64>);

/// Writes the clips of a task's train list that ridge heads memorise most as CSV, the most memorised
/// first, under the columns `clip_id`, `category`, `subcategory` and `memorisation`: the mean loss
/// (multilabel) over heads that never saw the clip less that over those that did.
///
/// # Errors
/// When a table cannot be read, a clip has no feature, or the file cannot be written.
pub fn most_memorised(config: &MemorisedConfig) -> Result<MemorisedSummary, AuditStageError> {
    let refuse = |flag, why| Err(AuditStageError::Setting { flag, why });
    if config.shadows < FEWEST_SHADOWS {
        let why = format!("{}, at least {FEWEST_SHADOWS}", config.shadows);
        return refuse("--shadows", why);
    }
    let tasks = Availability::read(&config.availability.join(AvailabilityRow::FILE))?;
    let last = tasks.rows.last().map_or(0, |row| row.task);
    let task = config.task.or(usize::try_from(last).ok()).unwrap_or(0);
    let list = lists(&tasks, task).train;
    if list.is_empty() || list.len() > MOST_CLIPS {
        let why = format!(
            "task {task} has {} clips to train on, not 1 to {MOST_CLIPS}",
            list.len()
        );
        return refuse("--task", why);
    }
    let kernel = Kernel::alone(&features(config, &list)?, tasks.taxonomy.classes());
    let labels: Vec<usize> = list.iter().map(|clip| clip.class).collect();
    let found = memorisation(&kernel, &labels, config)?;
    let mut ranked: Vec<Memorised<'_>> = list.iter().zip(found).collect();
    let rank = |value: Option<f64>| value.unwrap_or(f64::NEG_INFINITY);
    ranked.sort_by(|(a, of_a), (b, of_b)| {
        let by_value = rank(*of_b).total_cmp(&rank(*of_a));
        by_value.then_with(|| a.id.cmp(&b.id))
    });
    ranked.truncate(config.clips);
    write(config, &tasks.taxonomy, &ranked)?;
    Ok(MemorisedSummary {
        file: config.out.clone(),
        task,
        clips: list.len(),
        listed: ranked.len(),
        most: ranked.first().and_then(|(_, value)| *value),
        least: ranked.last().and_then(|(_, value)| *value),
    })
}

/// The features of a list's clips with a 1 behind each, `[N, d + 1]`.
fn features(config: &MemorisedConfig, list: &[ListedClip]) -> Result<Matrix, AuditStageError> {
    let (_, rows) = read_features(&config.features)?;
    let width = rows.first().map_or(0, |row| row.feature.len());
    let train = rows.iter().filter(|row| row.split == Split::Train);
    let by_id: HashMap<&str, &Vec<f32>> =
        train.map(|row| (&row.clip_id[..], &row.feature)).collect();
    let mut values = Vec::with_capacity(list.len() * (width + 1));
    for clip in list {
        let feature = by_id
            .get(&clip.id[..])
            .ok_or_else(|| AuditStageError::NoClip {
                model: config.features.clone(),
                clip: clip.id.clone(),
                what: "a clip to train on",
            })?;
        values.extend(feature.iter().map(|f| f64::from(*f)));
        values.push(1.0);
    }
    Ok(Matrix {
        values,
        count: list.len(),
        width: width + 1,
    })
}

/// The memorisation of each clip over heads that each have about half of them.
fn memorisation(
    kernel: &Kernel,
    labels: &[usize],
    config: &MemorisedConfig,
) -> Result<Vec<Option<f64>>, AuditStageError> {
    // Losses by clip of heads that never saw it, and of those that did.
    let mut losses = vec![[Vec::new(), Vec::new()]; labels.len()];
    for shadow in 0..config.shadows as u64 {
        let mut rng = stream(config.seed, "memorised", &[shadow]);
        let seen: Vec<bool> = labels.iter().map(|_| rng.random_bool(0.5)).collect();
        let Some(logits) = kernel.logits(labels, &seen)? else {
            continue;
        };
        let measured = || -> Result<Vec<f64>, AuditError> {
            clip_losses(Criterion::Multilabel, logits.rows()?, labels)
        };
        let found = measured().map_err(AuditStageError::of("shadow heads"))?;
        for ((of_clip, seen), loss) in losses.iter_mut().zip(&seen).zip(found) {
            of_clip[usize::from(*seen)].push(loss);
        }
    }
    let value = |[never, seen]: &[Vec<f64>; 2]| Some(mean(never)? - mean(seen)?);
    Ok(losses.iter().map(value).collect())
}

fn write(
    config: &MemorisedConfig,
    taxonomy: &Taxonomy,
    ranked: &[Memorised<'_>],
) -> Result<(), AuditStageError> {
    let categories = taxonomy.category_names();
    let subcategories: Vec<&str> = taxonomy.subcategories().map(|s| s.1).collect();
    artifact::publish(&config.out, |file| {
        let mut csv = csv::Writer::from_writer(file);
        csv.write_record(["clip_id", "category", "subcategory", "memorisation"])?;
        for (clip, value) in ranked {
            let category = categories.get(clip.class).map_or("", String::as_str);
            let subcategory = subcategories.get(clip.subcategory).copied();
            let value = value.map_or_else(String::new, |value| value.to_string());
            let subcategory = subcategory.unwrap_or_default();
            csv.write_record([&clip.id[..], category, subcategory, &value[..]])?;
        }
        csv.flush()
    })?;
    Ok(())
}
