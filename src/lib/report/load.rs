//! What a run directory holds, read into memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use arrow::array::{BooleanArray, Int32Array, StringArray};
use serde_json::{Map, Value};

use super::ReportError;
use super::run_figures::RunFigures;
use crate::clip::Split;
use crate::metrics::Criterion;
use crate::parquet_file::{self, Table, TableError};
use crate::run_record::{Machine, RunHead, RunRecord, SETTINGS_FILE};
use crate::tables::{
    AvailabilityRow, Change, HistoryRow, MetricRow, PredictionRow, predictions_hash,
};
use crate::taxonomy::{Category, Taxonomy, TaxonomyError};
use crate::withdrawn::Withdrawn;

/// Predictions, by task.
pub(super) type PredictionsByTask = BTreeMap<i32, Vec<PredictionRow>>;

/// One run as its directory has it.
#[derive(Clone, Debug)]
pub(super) struct Run {
    pub(super) folder: PathBuf,
    /// The directory's name.
    pub(super) name: String,
    /// The run's id.
    pub(super) id: String,
    /// What it computed on, where the run recorded it.
    pub(super) machine: Option<Machine>,
    /// The hash over all its predictions.
    pub(super) prediction_hash: String,
    /// Other directories with the same run.
    pub(super) copies: Vec<PathBuf>,
    pub(super) scenario: String,
    /// The approach with its preset: finetune with everything frozen is feature extraction.
    pub(super) approach: String,
    pub(super) seed: u64,
    /// The seed that the tasks were dealt with, where it is recorded.
    pub(super) tasks_seed: Option<u64>,
    pub(super) criterion: Criterion,
    /// Everything that can change the result, as the run recorded it.
    pub(super) settings: Map<String, Value>,
    pub(super) start: Start,
    /// What is missing; none where the run says that all its tasks are done.
    pub(super) unfinished: Option<Unfinished>,
    /// Clips whose frames could not be read, by id.
    pub(super) skipped: Vec<String>,
    /// Clips that it was judged with and that were withdrawn since.
    pub(super) withdrawn_since: usize,
    /// Those of the list of withdrawn clips that its predictions still name.
    pub(super) withdrawn_held: usize,
    pub(super) taxonomy: Taxonomy,
    pub(super) clips: TaskClips,
    pub(super) figures: RunFigures,
    /// Predictions for the test set.
    pub(super) predictions: PredictionsByTask,
    /// The same on the validation sets of the tasks.
    pub(super) validation: PredictionsByTask,
    pub(super) predictions_file: PathBuf,
    pub(super) history: Vec<HistoryRow>,
}

/// What an unfinished run has not done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unfinished {
    pub(super) tasks: usize,
    pub(super) done: usize,
    /// Epochs of the task after those that are done.
    pub(super) epochs: usize,
}

impl Unfinished {
    /// What `record` lacks. A directory that does not say how many tasks its run has is taken for
    /// what it holds.
    fn of(record: &RunRecord) -> Option<Self> {
        let epochs: BTreeSet<i32> = record.under_way.iter().map(|row| row.epoch).collect();
        (record.summary.is_none() && record.head.tasks > 0).then_some(Self {
            tasks: record.head.tasks,
            done: record.progress.tasks.len(),
            epochs: epochs.len(),
        })
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tasks,
            done,
            epochs,
        } = self;
        write!(f, "{done} of {tasks} tasks are done")?;
        match tasks - done {
            0 => f.write_str("; only the summary is missing"),
            1 => write!(
                f,
                "; missing is task {done}, which has {epochs} epochs so far"
            ),
            _ => write!(
                f,
                "; missing are tasks {done} to {}, the first of which has {epochs} epochs so far",
                tasks - 1
            ),
        }
    }
}

/// What a run's weights were before its first task.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// New.
    Scratch,
    /// The backbone of a file.
    Pretrained,
    /// What of a file fits the backbone, as the run recorded it: `partly (71 of 383)`.
    Partly(String),
}

impl fmt::Display for Start {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scratch => f.write_str("from scratch"),
            Self::Pretrained => f.write_str("pretrained weights"),
            Self::Partly(share) => write!(f, "pretrained weights, {share}"),
        }
    }
}

/// Clips of one category in one task's training list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Flow {
    /// There from the start of the run or from the task before.
    pub(super) kept: usize,
    pub(super) arrived: usize,
    pub(super) removed: usize,
    /// In the list, and in that of withdrawn clips; in none of the other counts.
    pub(super) withdrawn: usize,
}

impl Flow {
    pub(super) fn listed(self) -> usize {
        self.kept + self.arrived + self.withdrawn
    }
}

/// What the tasks have, counted.
#[derive(Clone, Debug, Default)]
pub(super) struct TaskClips {
    /// Training clips by task and category.
    pub(super) train: BTreeMap<(i32, String), Flow>,
    /// Training clips in the list, by task and subcategory.
    pub(super) subcategories: BTreeMap<(i32, String), usize>,
    /// Clips in the lists, by task and split.
    pub(super) listed: BTreeMap<(i32, Split), usize>,
    /// Of these, clips without frames, which are passed over.
    pub(super) unusable: BTreeMap<(i32, Split), usize>,
    /// The number of tasks that were dealt.
    pub(super) tasks: i32,
}

/// Reads a run directory whose every file is what the run wrote.
pub(super) fn load(folder: &Path, withdrawn: &Withdrawn) -> Result<Run, ReportError> {
    let not_a_run = |file| ReportError::NotARun {
        path: folder.to_owned(),
        file,
    };
    let record = RunRecord::read(folder)?.ok_or_else(|| not_a_run(SETTINGS_FILE))?;
    let unfinished = Unfinished::of(&record);
    if unfinished.is_none() && !folder.join(MetricRow::FILE).exists() {
        return Err(not_a_run(MetricRow::FILE));
    }
    let figures = RunFigures::new(record.metrics);
    if unfinished.is_none() && figures.tasks().is_empty() {
        return Err(ReportError::Empty {
            path: folder.to_owned(),
        });
    }
    let prediction_hash = predictions_hash(
        &record.categories,
        &record.predictions.iter().collect::<Vec<_>>(),
    );
    let predictions_file = folder.join(PredictionRow::FILE);
    let prediction_hash = prediction_hash.map_err(|source| TableError::Arrow {
        path: predictions_file.clone(),
        source,
    })?;
    let predicted = record.predictions.iter().map(|row| row.clip_id.as_str());
    let held: BTreeSet<&str> = predicted.filter(|id| withdrawn.contains(id)).collect();
    let withdrawn_held = held.len();
    let (mut predictions, mut validation) = (PredictionsByTask::new(), PredictionsByTask::new());
    for row in record.predictions {
        let of_split = match row.split {
            Split::Test => &mut predictions,
            Split::Validation => &mut validation,
            Split::Train => continue,
        };
        of_split.entry(row.task).or_default().push(row);
    }
    let (head, settings) = (&record.head, &record.head.settings);
    let text = |key: &str| settings.get(key).and_then(Value::as_str);
    let scenario = Some(head.scenario.as_str()).filter(|s| !s.is_empty());
    let criterion = text("criterion").and_then(|c| c.parse().ok());
    Ok(Run {
        folder: folder.to_owned(),
        name: name(folder),
        id: head.id(),
        machine: head.machine.clone(),
        prediction_hash,
        copies: Vec::new(),
        scenario: scenario
            .or_else(|| text("scenario"))
            .unwrap_or("unknown scenario")
            .to_owned(),
        approach: approach(settings),
        seed: settings.get("seed").and_then(Value::as_u64).unwrap_or(0),
        tasks_seed: head.tasks_seed,
        criterion: criterion.unwrap_or(Criterion::Multilabel),
        start: start(head),
        unfinished,
        withdrawn_since: record.progress.withdrawn_since() + withdrawn_held,
        withdrawn_held,
        skipped: record
            .progress
            .tasks
            .last()
            .map(|task| task.skipped.clone())
            .unwrap_or_default(),
        taxonomy: taxonomy(folder, head, record.categories, &predictions)?,
        settings: head.extended_settings(),
        clips: count_clips(&folder.join(AvailabilityRow::FILE), withdrawn)?,
        figures,
        predictions,
        validation,
        predictions_file,
        history: record.history.into_iter().chain(record.under_way).collect(),
    })
}

/// What the run recorded of its start.
fn start(head: &RunHead) -> Start {
    match &head.pretrained {
        Some(share) => Start::Partly(share.clone()),
        None if head.inputs.contains_key("pretrained") => Start::Pretrained,
        None => Start::Scratch,
    }
}

/// The directory's name.
fn name(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    folder.file_name().map_or_else(
        || "run".to_owned(),
        |name| name.to_string_lossy().into_owned(),
    )
}

/// The approach's name; finetune with backbone and batch norm frozen goes by the name of its
/// preset.
fn approach(settings: &Map<String, Value>) -> String {
    let name = settings.get("approach").and_then(Value::as_str);
    let name = name.unwrap_or("unknown approach");
    let on = |key: &str| settings.get(key).and_then(Value::as_bool).unwrap_or(false);
    if name == "finetune" && on("freeze_backbone") && on("freeze_bn") {
        "feature-extraction".into()
    } else {
        name.into()
    }
}

/// The categories that there are predictions for, where there are any, with the subcategories that
/// the run recorded; otherwise with those of the test set in their order there.
fn taxonomy(
    folder: &Path,
    head: &RunHead,
    predicted: Vec<String>,
    predictions: &PredictionsByTask,
) -> Result<Taxonomy, TaxonomyError> {
    let recorded = &head.subcategories;
    let categories = if predicted.is_empty() {
        head.categories.clone()
    } else {
        predicted
    };
    let mut categories: Vec<Category> = categories
        .into_iter()
        .map(|name| Category {
            subcategories: recorded
                .iter()
                .filter(|entry| entry.category == name)
                .map(|entry| entry.subcategory.clone())
                .collect(),
            name,
        })
        .collect();
    if recorded.is_empty() {
        let mut seen = BTreeSet::new();
        for row in predictions.values().flatten() {
            let category = usize::try_from(row.label).ok();
            let category = category.and_then(|class| categories.get_mut(class));
            if let Some(category) = category
                && seen.insert(&row.subcategory)
            {
                category.subcategories.push(row.subcategory.clone());
            }
        }
    }
    Taxonomy::new(&folder.join(SETTINGS_FILE), categories)
}

/// Counts the rows of `availability.parquet` column by column: the table may have millions.
fn count_clips(path: &Path, withdrawn: &Withdrawn) -> Result<TaskClips, TableError> {
    let mut counted = TaskClips::default();
    if !path.exists() {
        return Ok(counted);
    }
    let columns = [
        "task",
        "split",
        "clip_id",
        "category",
        "subcategory",
        "change",
        "usable",
    ];
    let batches = if parquet_file::is_foreign(path)? {
        parquet_file::foreign_batches::<AvailabilityRow>(path)?
    } else {
        parquet_file::read_batches(path, &AvailabilityRow::FORMAT, Some(&columns))?
    };
    for batch in batches {
        let task = parquet_file::typed_column::<Int32Array>(path, &batch, "task")?;
        let text = |name| parquet_file::typed_column::<StringArray>(path, &batch, name);
        let (split, category, clip) = (text("split")?, text("category")?, text("clip_id")?);
        let (subcategory, change) = (text("subcategory")?, text("change")?);
        let usable = parquet_file::typed_column::<BooleanArray>(path, &batch, "usable")?;
        for i in 0..batch.num_rows() {
            let task = task.value(i);
            counted.tasks = counted.tasks.max(task + 1);
            let Ok(of) = split.value(i).parse::<Split>() else {
                continue;
            };
            let Ok(change) = change.value(i).parse::<Change>() else {
                continue;
            };
            let listed = change != Change::Removed;
            *counted.listed.entry((task, of)).or_default() += usize::from(listed);
            if listed && !usable.value(i) {
                *counted.unusable.entry((task, of)).or_default() += 1;
            }
            if of != Split::Train {
                continue;
            }
            let of_subcategory = (task, subcategory.value(i).to_owned());
            *counted.subcategories.entry(of_subcategory).or_default() += usize::from(listed);
            let flow = counted.train.entry((task, category.value(i).to_owned()));
            let flow = flow.or_default();
            match change {
                Change::Removed => flow.removed += 1,
                _ if withdrawn.contains(clip.value(i)) => flow.withdrawn += 1,
                Change::Arrived => flow.arrived += 1,
                Change::Initial | Change::Kept => flow.kept += 1,
            }
        }
    }
    Ok(counted)
}
