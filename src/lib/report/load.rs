//! What a run directory holds, read into memory.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use arrow::array::{Array, BooleanArray, Int32Array, RecordBatch, StringArray};
use serde_json::{Map, Value};

use super::ReportError;
use crate::artifact::ArtifactError;
use crate::clip::Split;
use crate::metrics::Criterion;
use crate::run_tables::{HistoryRow, MetricRow, PredictionRow, read_predictions};
use crate::stage_tables::AvailabilityRow;
use crate::table::{self, Table, TableError};

/// One run as its directory has it.
#[derive(Clone, Debug)]
pub(super) struct Run {
    /// The directory's name.
    pub(super) name: String,
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
    /// Clips whose frames could not be read and that were passed over.
    pub(super) skipped: Vec<String>,
    /// Whether the run says that all its tasks are done.
    pub(super) complete: bool,
    /// Categories in class order.
    pub(super) categories: Vec<String>,
    /// Class and name of each subcategory, in the taxonomy's order.
    pub(super) subcategories: Vec<(usize, String)>,
    pub(super) availability: Availability,
    pub(super) figures: Figures,
    /// Predictions for the test set, by task.
    pub(super) predictions: BTreeMap<i32, Vec<PredictionRow>>,
    pub(super) predictions_file: PathBuf,
    pub(super) history: Vec<HistoryRow>,
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
}

impl Flow {
    pub(super) fn listed(self) -> usize {
        self.kept + self.arrived
    }
}

/// What the tasks have, counted.
#[derive(Clone, Debug, Default)]
pub(super) struct Availability {
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

/// The figures of `metrics.parquet` by what they are about.
#[derive(Clone, Debug, Default)]
pub(super) struct Figures(BTreeMap<FigureKey, (Option<f64>, Option<f64>)>);

/// Task, split, metric, class, subcategory.
pub(super) type FigureKey = (i32, Split, String, Option<String>, Option<String>);

impl Figures {
    fn new(rows: Vec<MetricRow>) -> Self {
        let rows = rows.into_iter().map(|r| {
            let key = (r.task, r.split, r.metric, r.class, r.subcategory);
            (key, (r.value, r.forgetting))
        });
        Self(rows.collect())
    }

    /// The tasks that were evaluated, in order.
    pub(super) fn tasks(&self) -> Vec<i32> {
        let tasks: BTreeSet<i32> = self.0.keys().map(|k| k.0).collect();
        tasks.into_iter().collect()
    }

    /// Value and forgetting of an overall figure.
    pub(super) fn overall(&self, task: i32, split: Split, metric: &str) -> Measured {
        self.get(task, split, metric, None, None)
    }

    /// Value and forgetting of any figure; nothing where there is no such row.
    pub(super) fn get(
        &self,
        task: i32,
        split: Split,
        metric: &str,
        class: Option<&str>,
        subcategory: Option<&str>,
    ) -> Measured {
        let text = |t: Option<&str>| t.map(str::to_owned);
        let key = (
            task,
            split,
            metric.to_owned(),
            text(class),
            text(subcategory),
        );
        let (value, forgetting) = self.0.get(&key).copied().unwrap_or_default();
        Measured { value, forgetting }
    }

    pub(super) fn iter(
        &self,
    ) -> impl Iterator<Item = (&FigureKey, &(Option<f64>, Option<f64>))> + '_ {
        self.0.iter()
    }
}

/// A figure and what was forgotten of it.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Measured {
    pub(super) value: Option<f64>,
    pub(super) forgetting: Option<f64>,
}

/// Reads a run directory.
pub(super) fn load(folder: &Path) -> Result<Run, ReportError> {
    let recorded = read_settings(folder)?;
    let metrics = folder.join("metrics.parquet");
    if !metrics.exists() {
        return Err(ReportError::NotARun {
            path: folder.to_owned(),
            file: "metrics.parquet",
        });
    }
    let figures = Figures::new(table::read(&metrics)?);
    if figures.tasks().is_empty() {
        return Err(ReportError::Empty {
            path: folder.to_owned(),
        });
    }
    let predictions_file = folder.join("predictions.parquet");
    let (categories, rows) = read_predictions(&predictions_file)?;
    let mut predictions: BTreeMap<i32, Vec<PredictionRow>> = BTreeMap::new();
    for row in rows.into_iter().filter(|r| r.split == Split::Test) {
        predictions.entry(row.task).or_default().push(row);
    }
    let subcategories = subcategories(&recorded, &categories, &predictions);
    let settings = object(&recorded, "settings");
    let text = |map: &Map<String, Value>, key: &str| {
        let text = map.get(key).and_then(Value::as_str);
        text.map(str::to_owned)
    };
    let scenario = text(&recorded, "scenario").or_else(|| text(&settings, "scenario"));
    let criterion = text(&settings, "criterion").and_then(|c| c.parse().ok());
    Ok(Run {
        name: folder
            .canonicalize()
            .ok()
            .as_deref()
            .unwrap_or(folder)
            .file_name()
            .map_or_else(
                || "run".to_owned(),
                |name| name.to_string_lossy().into_owned(),
            ),
        scenario: scenario.unwrap_or_else(|| "unknown scenario".into()),
        approach: approach(&settings),
        seed: settings.get("seed").and_then(Value::as_u64).unwrap_or(0),
        tasks_seed: recorded.get("tasks_seed").and_then(Value::as_u64),
        criterion: criterion.unwrap_or(Criterion::Multilabel),
        start: start(&recorded),
        skipped: read_skipped(&folder.join("progress.json"))?,
        complete: folder.join("run.json").exists(),
        settings,
        categories,
        subcategories,
        availability: read_availability(&folder.join("availability.parquet"))?,
        figures,
        predictions,
        predictions_file,
        history: read_if_there(&folder.join("history.parquet"))?,
    })
}

fn read_settings(folder: &Path) -> Result<Map<String, Value>, ReportError> {
    let path = folder.join("settings.json");
    let bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            return Err(ReportError::NotARun {
                path: folder.to_owned(),
                file: "settings.json",
            });
        }
        Err(e) => return Err(ArtifactError::at("read", &path)(e).into()),
    };
    serde_json::from_slice(&bytes).map_err(|source| ReportError::Json { path, source })
}

/// What the run recorded of its start.
fn start(recorded: &Map<String, Value>) -> Start {
    match recorded.get("pretrained").and_then(Value::as_str) {
        Some(share) => Start::Partly(share.to_owned()),
        None if object(recorded, "inputs").contains_key("pretrained") => Start::Pretrained,
        None => Start::Scratch,
    }
}

/// The clips that the tasks done so far passed over, as the last of them says.
fn read_skipped(path: &Path) -> Result<Vec<String>, ReportError> {
    let bytes = match fs::read(path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(ArtifactError::at("read", path)(e).into()),
    };
    let progress: Value = serde_json::from_slice(&bytes).map_err(|source| ReportError::Json {
        path: path.to_owned(),
        source,
    })?;
    let tasks = progress["tasks"].as_array();
    let skipped = tasks.and_then(|tasks| tasks.last()?["skipped"].as_array());
    let clips = skipped.into_iter().flatten().filter_map(Value::as_str);
    Ok(clips.map(str::to_owned).collect())
}

fn object(map: &Map<String, Value>, key: &str) -> Map<String, Value> {
    map.get(key)
        .and_then(Value::as_object)
        .cloned()
        .unwrap_or_default()
}

/// The approach's name; finetune with backbone and batch norm frozen goes by the name of its preset.
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

/// Subcategories in the taxonomy's order, as the run recorded them; otherwise those of the test set in their order there.
fn subcategories(
    recorded: &Map<String, Value>,
    categories: &[String],
    predictions: &BTreeMap<i32, Vec<PredictionRow>>,
) -> Vec<(usize, String)> {
    let listed = recorded.get("subcategories").and_then(Value::as_array);
    let mut found: Vec<(usize, String)> = listed
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let category = entry.get("category")?.as_str()?;
            let class = categories.iter().position(|c| c == category)?;
            Some((class, entry.get("subcategory")?.as_str()?.to_owned()))
        })
        .collect();
    if found.is_empty() {
        for row in predictions.values().flatten() {
            let class = usize::try_from(row.label).unwrap_or(0);
            if !found.iter().any(|(_, name)| *name == row.subcategory) {
                found.push((class, row.subcategory.clone()));
            }
        }
        found.sort_by_key(|(class, _)| *class);
    }
    found
}

fn read_if_there<T: Table>(path: &Path) -> Result<Vec<T>, TableError> {
    if path.exists() {
        table::read(path)
    } else {
        Ok(Vec::new())
    }
}

/// Counts the rows of `availability.parquet` column by column: the table may have millions.
fn read_availability(path: &Path) -> Result<Availability, TableError> {
    let mut counted = Availability::default();
    if !path.exists() {
        return Ok(counted);
    }
    let columns = [
        "task",
        "split",
        "category",
        "subcategory",
        "change",
        "usable",
    ];
    for batch in table::read_batches(path, &AvailabilityRow::FORMAT, Some(&columns))? {
        let task = typed::<Int32Array>(path, &batch, "task")?;
        let text = |name| typed::<StringArray>(path, &batch, name);
        let (split, category) = (text("split")?, text("category")?);
        let (subcategory, change) = (text("subcategory")?, text("change")?);
        let usable = typed::<BooleanArray>(path, &batch, "usable")?;
        for i in 0..batch.num_rows() {
            let task = task.value(i);
            counted.tasks = counted.tasks.max(task + 1);
            let Some(of) = Split::ALL.into_iter().find(|s| s.name() == split.value(i)) else {
                continue;
            };
            let listed = change.value(i) != "removed";
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
            match change.value(i) {
                "arrived" => flow.arrived += 1,
                "removed" => flow.removed += 1,
                _ => flow.kept += 1,
            }
        }
    }
    Ok(counted)
}

fn typed<'a, A: Array + 'static>(
    path: &Path,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a A, TableError> {
    let column = batch.column_by_name(name);
    column
        .and_then(|c| c.as_any().downcast_ref())
        .ok_or_else(|| TableError::Column {
            path: path.to_owned(),
            column: name.to_owned(),
        })
}
