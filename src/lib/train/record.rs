//! The run directory: what a run leaves, how it is taken up again, and when it is complete.
//!
//! | file | what it holds | published |
//! |---|---|---|
//! | `settings.json` | what can change the result: settings, and a hash of each input | first |
//! | `availability.parquet`, `schedule.parquet` | copies of the tasks that were trained | first |
//! | `history.parquet` | figures of every epoch | after each epoch |
//! | `checkpoints/task-<t>.safetensors` | best weights of task t | after task t |
//! | `checkpoints/task-<t>-state.safetensors` | what the approach carries over (EWC: Fisher information) | after task t |
//! | `metrics.parquet`, `predictions.parquet`, `timing.parquet` | figures, predictions, seconds | after task t |
//! | `progress.json` | which tasks are done; the last file of a task | after task t |
//! | `tensorboard/` | an event file, appended to | as it goes |
//! | `run.json` | the summary; marks the run complete | last |

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::TrainError;
use super::hold::Hold;
use super::plan::{AVAILABILITY_FILE, Plan, SCHEDULE_FILE};
use super::seed_outputs;
use super::settings::TrainConfig;
use crate::artifact::{self, ArtifactError, hash_file};
use crate::model::checkpoint::Loaded;
use crate::run_tables::{self, HistoryRow, MetricRow, PredictionRow, TimingRow};
use crate::table::{self, Provenance};

/// What can change the result.
pub const SETTINGS_FILE: &str = "settings.json";
/// Which tasks are done.
pub const PROGRESS_FILE: &str = "progress.json";
/// The summary; marks the run complete.
pub const RUN_FILE: &str = "run.json";
/// What happened when, as JSON lines; outside every promise of equal bytes.
pub const LOG_FILE: &str = "log.jsonl";
/// The figures of every epoch; with the first of them a run has begun.
const HISTORY_FILE: &str = "history.parquet";
/// How much of the weights to start from was taken, in `settings.json` and `run.json`; absent where it was all.
pub(super) const PRETRAINED_KEY: &str = "pretrained";
/// Folder of the weights.
pub const CHECKPOINTS: &str = "checkpoints";
/// Version of the run directory's layout.
const VERSION: u32 = 1;

/// How a task went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOutcome {
    /// The epoch whose weights are kept.
    pub best_epoch: u32,
    /// Epochs trained.
    pub epochs: u32,
    /// Why it ended: `epochs`, `early stop` or `rate spent`.
    pub ended_by: String,
    /// Listed clips without frames: train, validation, test.
    pub unusable: [usize; 3],
    /// Clips whose frames could not be read, so far.
    pub skipped: Vec<String>,
}

/// Which tasks are done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Progress {
    /// Done tasks in order.
    pub tasks: Vec<TaskOutcome>,
    /// Bytes of the event file that belong to them.
    pub tensorboard_bytes: u64,
}

/// What is left to do in a run directory.
#[derive(Debug)]
pub enum Opened {
    /// The run is complete; this is its summary.
    Complete(Value, Record),
    /// Some tasks, perhaps all, are still to be trained.
    Unfinished(Record),
}

/// A run directory with the tables in memory as the files hold them.
#[derive(Debug)]
pub struct Record {
    hold: Hold,
    folder: PathBuf,
    /// How much of the weights to start from was taken, where it was not all.
    partial: Option<String>,
    categories: Vec<String>,
    provenance: Provenance,
    /// Which tasks are done.
    pub progress: Progress,
    /// Rows of `history.parquet`.
    pub history: Vec<HistoryRow>,
    /// Rows of `metrics.parquet`.
    pub metrics: Vec<MetricRow>,
    /// Rows of `predictions.parquet`.
    pub predictions: Vec<PredictionRow>,
    /// Rows of `timing.parquet`.
    pub timing: Vec<TimingRow>,
}

impl Record {
    /// Opens the run directory of `config`, makes it where it is missing, and reads what is done.
    ///
    /// # Errors
    /// When it holds a run under other settings that has finished an epoch, or files cannot be read or written.
    pub(super) fn open(
        config: &TrainConfig,
        plan: &Plan,
        pretrained: Option<&Loaded>,
        hold: Hold,
    ) -> Result<Opened, TrainError> {
        let folder = &config.out;
        let partial = pretrained.filter(|loaded| !loaded.fills_the_model());
        let partial = partial.map(Loaded::share);
        let mut provenance = Provenance::of(&config.settings);
        provenance
            .settings
            .insert("scenario".into(), plan.scenario.clone().into());
        provenance.inputs.clone_from(&plan.inputs);
        if let Some(pretrained) = &config.pretrained {
            provenance
                .inputs
                .insert("pretrained".into(), hash_file(pretrained)?);
        }
        claim(folder, &provenance, plan, partial.as_deref())?;
        let parts = [CHECKPOINTS].into_iter().chain(seed_outputs::FOLDERS);
        for part in parts.map(|part| folder.join(part)).chain([folder.clone()]) {
            artifact::sweep(&part)?;
        }
        for name in [AVAILABILITY_FILE, SCHEDULE_FILE] {
            copy(&config.availability.join(name), &folder.join(name))?;
        }
        let mut record = Self {
            hold,
            folder: folder.clone(),
            partial,
            categories: plan.categories.clone(),
            provenance,
            progress: read_json(&folder.join(PROGRESS_FILE))?.unwrap_or_default(),
            history: Vec::new(),
            metrics: Vec::new(),
            predictions: Vec::new(),
            timing: Vec::new(),
        };
        record.read_tables()?;
        match read_json(&folder.join(RUN_FILE))? {
            Some(summary) => Ok(Opened::Complete(summary, record)),
            None => Ok(Opened::Unfinished(record)),
        }
    }

    /// The run directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How much of the weights to start from was taken, `partly (71 of 383)`; none where it was all, or there were none.
    #[must_use]
    pub fn partial(&self) -> Option<&str> {
        self.partial.as_deref()
    }

    /// Looks whether the run directory and what was published there are still there, before more is.
    ///
    /// # Errors
    /// [`TrainError::Vanished`].
    pub fn still_there(&self) -> Result<(), TrainError> {
        let mut files = vec![self.folder.join(SETTINGS_FILE)];
        if self.done() > 0 {
            files.push(self.folder.join(PROGRESS_FILE));
        }
        files.extend((0..self.done()).map(|task| self.checkpoint(task)));
        self.hold.check(&self.folder, files.iter())
    }

    /// The categories in class order.
    #[must_use]
    pub fn categories(&self) -> &[String] {
        &self.categories
    }

    /// Tasks done.
    #[must_use]
    pub fn done(&self) -> usize {
        self.progress.tasks.len()
    }

    /// Where the best weights of `task` lie.
    #[must_use]
    pub fn checkpoint(&self, task: usize) -> PathBuf {
        self.folder
            .join(CHECKPOINTS)
            .join(format!("task-{task}.safetensors"))
    }

    /// Where the approach's state after `task` lies.
    #[must_use]
    pub fn state(&self, task: usize) -> PathBuf {
        self.folder
            .join(CHECKPOINTS)
            .join(format!("task-{task}-state.safetensors"))
    }

    /// What a checkpoint's header says of itself.
    #[must_use]
    pub fn metadata(&self, task: usize) -> BTreeMap<String, String> {
        BTreeMap::from([
            (
                "incdec.crate_version".to_owned(),
                env!("CARGO_PKG_VERSION").to_owned(),
            ),
            (
                "incdec.settings".to_owned(),
                Value::Object(self.provenance.settings.clone()).to_string(),
            ),
            ("incdec.task".to_owned(), task.to_string()),
            (
                "incdec.categories".to_owned(),
                Value::from(self.categories.clone()).to_string(),
            ),
        ])
    }

    /// Publishes the figures of the epochs so far.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn publish_history(&mut self) -> Result<(), TrainError> {
        self.still_there()?;
        self.history.sort_by(|a, b| {
            (a.task, a.epoch, a.split, &a.metric).cmp(&(b.task, b.epoch, b.split, &b.metric))
        });
        Ok(table::write(
            &self.folder.join(HISTORY_FILE),
            &self.history,
            &self.provenance,
        )?)
    }

    /// Publishes all tables and, last, that one more task is done.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn publish_task(&mut self, outcome: TaskOutcome) -> Result<(), TrainError> {
        self.publish_history()?;
        table::write(
            &self.folder.join("metrics.parquet"),
            &self.metrics,
            &self.provenance,
        )?;
        let predictions = self.folder.join("predictions.parquet");
        run_tables::write_predictions(
            &predictions,
            &self.categories,
            &self.predictions,
            &self.provenance,
        )?;
        table::write(
            &self.folder.join("timing.parquet"),
            &self.timing,
            &self.provenance,
        )?;
        self.progress.tasks.push(outcome);
        write_json(&self.folder.join(PROGRESS_FILE), &self.progress)
    }

    /// Publishes the summary, which marks the run complete.
    ///
    /// # Errors
    /// When the disk refuses, or what was published is no longer there.
    pub fn complete(&self, summary: &Value) -> Result<(), TrainError> {
        self.still_there()?;
        write_json(&self.folder.join(RUN_FILE), summary)?;
        // What was removed while the last file was being published must not pass for a finished run.
        self.still_there()
    }

    /// Reads the rows of done tasks; what a killed run left of another task is dropped.
    fn read_tables(&mut self) -> Result<(), TrainError> {
        let done = i32::try_from(self.done()).unwrap_or(i32::MAX);
        if done == 0 {
            return Ok(());
        }
        self.history = table::read(&self.folder.join(HISTORY_FILE))?;
        self.metrics = table::read(&self.folder.join("metrics.parquet"))?;
        self.timing = table::read(&self.folder.join("timing.parquet"))?;
        self.predictions =
            run_tables::read_predictions(&self.folder.join("predictions.parquet"))?.1;
        self.history.retain(|row| row.task < done);
        self.metrics.retain(|row| row.task < done);
        self.timing.retain(|row| row.task < done);
        self.predictions.retain(|row| row.task < done);
        Ok(())
    }
}

/// Writes `settings.json` into a new run directory; in one that has it, checks that it is the same. The settings of a start
/// that finished no epoch bind nobody: others replace them, so that a failed start needs no other directory.
fn claim(
    folder: &Path,
    provenance: &Provenance,
    plan: &Plan,
    partial: Option<&str>,
) -> Result<(), TrainError> {
    let path = folder.join(SETTINGS_FILE);
    let mut ours = serde_json::json!({
        "format": "incdec.run",
        "version": VERSION,
        "scenario": plan.scenario,
        "tasks_seed": plan.tasks_seed,
        "tasks": plan.tasks.len(),
        "categories": plan.categories,
        "subcategories": plan.subcategories.iter().map(|(class, name)| serde_json::json!({
            "category": plan.categories[*class], "subcategory": name,
        })).collect::<Vec<_>>(),
        "settings": provenance.settings,
        "inputs": provenance.inputs,
    });
    if let Some(partial) = partial {
        ours[PRETRAINED_KEY] = partial.into();
    }
    let Some(theirs) = read_json::<Value>(&path)? else {
        fs::create_dir_all(folder).map_err(ArtifactError::at("create folder", folder))?;
        let strangers = fs::read_dir(folder)
            .map_err(ArtifactError::at("list", folder))?
            .filter_map(Result::ok)
            .any(|entry| {
                !entry.file_name().to_string_lossy().starts_with(['.'])
                    && entry.file_name() != LOG_FILE
            });
        if strangers {
            return Err(TrainError::NotARun {
                folder: folder.to_owned(),
            });
        }
        return write_json(&path, &ours);
    };
    let mut differences = Vec::new();
    differ("", &theirs, &ours, &mut differences);
    if differences.is_empty() {
        return Ok(());
    }
    if [HISTORY_FILE, PROGRESS_FILE, RUN_FILE].map(|name| folder.join(name).exists()) == [false; 3]
    {
        tracing::info!(
            "{}: a start under other settings finished no epoch here and is replaced",
            folder.display()
        );
        seed_outputs::remove_start(folder)?;
        return write_json(&path, &ours);
    }
    Err(TrainError::OtherRun {
        folder: folder.to_owned(),
        differences,
    })
}

/// Collects the places where two JSON values differ, with both values.
fn differ(path: &str, theirs: &Value, ours: &Value, differences: &mut Vec<String>) {
    match (theirs, ours) {
        (Value::Object(a), Value::Object(b)) => {
            let mut keys: Vec<&String> = a
                .keys()
                .chain(b.keys().filter(|key| !a.contains_key(*key)))
                .collect();
            keys.sort();
            for key in keys {
                let path = if path.is_empty() {
                    key.clone()
                } else {
                    format!("{path}.{key}")
                };
                let value = |map: &serde_json::Map<String, Value>| {
                    map.get(key).cloned().unwrap_or_default()
                };
                differ(&path, &value(a), &value(b), differences);
            }
        }
        _ if theirs == ours => {}
        _ => differences.push(format!("{path}: {theirs} there, {ours} now")),
    }
}

/// Copies `from` to `to` where it differs; a missing source is passed over.
fn copy(from: &Path, to: &Path) -> Result<(), TrainError> {
    if from.exists() {
        let bytes = fs::read(from).map_err(ArtifactError::at("read", from))?;
        artifact::publish_if_changed(to, &bytes)?;
    }
    Ok(())
}

fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> Result<Option<T>, TrainError> {
    if !path.exists() {
        return Ok(None);
    }
    let bytes = fs::read(path).map_err(ArtifactError::at("read", path))?;
    serde_json::from_slice(&bytes)
        .map(Some)
        .map_err(|source| TrainError::Json {
            path: path.to_owned(),
            source,
        })
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), TrainError> {
    let mut bytes = serde_json::to_vec_pretty(value).map_err(|source| TrainError::Json {
        path: path.to_owned(),
        source,
    })?;
    bytes.push(b'\n');
    Ok(artifact::publish(path, |w| w.write_all(&bytes))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn differences_are_told_by_their_place() {
        let mut found = Vec::new();
        let a = json!({"settings": {"seed": 1, "lr": 0.1}, "tasks": 2});
        let b = json!({"settings": {"seed": 2, "lr": 0.1}, "tasks": 2, "new": true});
        differ("", &a, &b, &mut found);
        assert_eq!(
            found,
            ["new: null there, true now", "settings.seed: 1 there, 2 now"]
        );
    }
}
