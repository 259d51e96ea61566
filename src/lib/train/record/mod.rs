//! The run directory: what a run leaves, how it is taken up again, and when it is complete.
//!
//! | file | what it holds | published |
//! |---|---|---|
//! | `settings.json` | what can change the result: settings, a hash of each input, and the machine | first |
//! | `availability.parquet`, `schedule.parquet` | copies of the tasks that were trained | first |
//! | `history.parquet` | figures of every epoch | after each epoch |
//! | `checkpoints/task-<t>.safetensors` | best weights of task t | after task t |
//! | `checkpoints/task-<t>-state.safetensors` | what the approach carries over (EWC: Fisher information) | after task t |
//! | `metrics.parquet`, `predictions.parquet`, `timing.parquet` | figures, predictions, seconds | after task t |
//! | `progress.json` | which tasks are done, and the hashes of what they left; the last file of a task | after task t |
//! | `tensorboard/` | an event file, appended to | as it goes |
//! | `run.json` | the summary; marks the run complete | last |
//!
//! What is read again is compared first ([`RunRecord::read`]).

pub(in crate::train) mod hold;
pub(in crate::train) mod logbook;
pub mod seed_outputs;
pub(in crate::train) mod summary;
pub mod tensorboard;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::artifact::{self, ArtifactError, hash_file};
use crate::model::checkpoint::Loaded;
use crate::parquet_file::{self, Provenance};
use crate::run_record::{
    self, CHECKPOINTS, Machine, PROGRESS_FILE, Progress, RUN_FILE, Rows, RunHead, RunRecord,
    SETTINGS_FILE, Subcategory, TaskOutcome, checkpoint_file, run_id, state_file,
};
use crate::tables::{self, HistoryRow, MetricRow, PredictionRow, TimingRow};
use crate::tables::{AvailabilityRow, ScheduleRow};
use crate::train::TrainError;
use crate::train::plan::Plan;
use crate::train::settings::TrainConfig;
use hold::Hold;

/// What happened when, as JSON lines; outside every promise of equal bytes.
pub const LOG_FILE: &str = "log.jsonl";
/// How much of the weights to start from was taken, in `run.json`; absent where it was all.
pub(in crate::train) const PRETRAINED_KEY: &str = "pretrained";
/// Version of the run directory's layout.
const VERSION: u32 = 1;

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
    run_id: String,
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
    /// Opens the run directory of `config`, makes it where it is missing, and reads what is done. `machine` is what this
    /// process computes on; an unfinished run goes on only where it began.
    ///
    /// # Errors
    /// When it holds a run under other settings that has finished an epoch, or one begun on another machine, a file is not
    /// what the run wrote, or files cannot be read or written.
    pub(in crate::train) fn open(
        config: &TrainConfig,
        plan: &Plan,
        pretrained: Option<&Loaded>,
        machine: Machine,
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
        let head = head(plan, &provenance, partial.clone(), machine);
        claim(folder, &head)?;
        let Some(found) = RunRecord::read(folder)? else {
            return Err(TrainError::NotARun {
                folder: folder.clone(),
            });
        };
        let parts = [CHECKPOINTS].into_iter().chain(seed_outputs::FOLDERS);
        for part in parts.map(|part| folder.join(part)).chain([folder.clone()]) {
            artifact::sweep(&part)?;
        }
        let mut record = Self {
            hold,
            folder: folder.clone(),
            partial,
            categories: plan.categories.clone(),
            run_id: head.run_id.clone(),
            provenance,
            progress: found.progress,
            history: found.history,
            metrics: found.metrics,
            predictions: found.predictions,
            timing: Vec::new(),
        };
        record.read_timing()?;
        if let Some(summary) = found.summary {
            return Ok(Opened::Complete(Value::Object(summary), record));
        }
        same_machine(folder, &found.head, &head)?;
        for name in [AvailabilityRow::FILE, ScheduleRow::FILE] {
            copy(&config.availability.join(name), &folder.join(name))?;
        }
        Ok(Opened::Unfinished(record))
    }

    /// The run directory.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The run's id.
    #[must_use]
    pub fn run_id(&self) -> &str {
        &self.run_id
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
        self.folder.join(checkpoint_file(task))
    }

    /// Where the approach's state after `task` lies.
    #[must_use]
    pub fn state(&self, task: usize) -> PathBuf {
        self.folder.join(state_file(task))
    }

    /// What a checkpoint's header says of itself, this program's version included.
    #[must_use]
    pub fn metadata(&self, task: usize) -> BTreeMap<String, String> {
        let mut metadata = self.origin(task);
        metadata.insert(
            "incdec.crate_version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        );
        metadata
    }

    /// What the header of a checkpoint of this run and of `task` must say.
    #[must_use]
    pub fn origin(&self, task: usize) -> BTreeMap<String, String> {
        BTreeMap::from([
            ("incdec.run_id".to_owned(), self.run_id.clone()),
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
        Ok(parquet_file::write(
            &self.folder.join(HistoryRow::FILE),
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
        parquet_file::write(
            &self.folder.join(MetricRow::FILE),
            &self.metrics,
            &self.provenance,
        )?;
        let predictions = self.folder.join(PredictionRow::FILE);
        tables::write_predictions(
            &predictions,
            &self.categories,
            &self.predictions,
            &self.provenance,
        )?;
        parquet_file::write(
            &self.folder.join(TimingRow::FILE),
            &self.timing,
            &self.provenance,
        )?;
        self.progress.tasks.push(outcome);
        self.progress.run_id.clone_from(&self.run_id);
        let rows = Rows {
            history: &self.history,
            metrics: &self.metrics,
            categories: &self.categories,
            predictions: &self.predictions,
        };
        self.progress.add_hashes(&self.folder, &rows)?;
        Ok(self.progress.write(&self.folder)?)
    }

    /// Publishes the summary, which marks the run complete.
    ///
    /// # Errors
    /// When the disk refuses, or what was published is no longer there.
    pub fn complete(&self, summary: &Value) -> Result<(), TrainError> {
        self.still_there()?;
        run_record::write_summary(&self.folder, summary)?;
        // What was removed while the last file was being published must not pass for a finished run.
        self.still_there()
    }

    /// Reads the seconds of done tasks.
    fn read_timing(&mut self) -> Result<(), TrainError> {
        let done = i32::try_from(self.done()).unwrap_or(i32::MAX);
        if done > 0 {
            self.timing = parquet_file::read(&self.folder.join(TimingRow::FILE))?;
            self.timing.retain(|row| row.task < done);
        }
        Ok(())
    }
}

/// What `settings.json` is to say.
fn head(
    plan: &Plan,
    provenance: &Provenance,
    pretrained: Option<String>,
    machine: Machine,
) -> RunHead {
    let subcategory = |(class, name): &(usize, String)| Subcategory {
        category: plan.categories[*class].clone(),
        subcategory: name.clone(),
    };
    RunHead {
        format: "incdec.run".to_owned(),
        version: VERSION,
        run_id: run_id(provenance),
        scenario: plan.scenario.clone(),
        tasks_seed: plan.tasks_seed,
        tasks: plan.tasks.len(),
        categories: plan.categories.clone(),
        subcategories: plan.subcategories.iter().map(subcategory).collect(),
        settings: provenance.settings.clone(),
        inputs: provenance.inputs.clone(),
        pretrained,
        machine: Some(machine),
    }
}

/// Writes `settings.json` into a new run directory; in one that has it, checks that it is the same run. The settings of a
/// start that finished no epoch bind nobody: others replace them, so that a failed start needs no other directory.
fn claim(folder: &Path, ours: &RunHead) -> Result<(), TrainError> {
    let Some(theirs) = RunHead::read(folder)? else {
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
        return Ok(ours.write(folder)?);
    };
    let differences = theirs.differences(ours);
    let begun = [HistoryRow::FILE, PROGRESS_FILE, RUN_FILE]
        .iter()
        .any(|name| folder.join(name).exists());
    if begun && !differences.is_empty() {
        return Err(TrainError::OtherRun {
            folder: folder.to_owned(),
            differences,
        });
    }
    let machines = theirs.machine.as_ref().zip(ours.machine.as_ref());
    let moved = machines.is_some_and(|(there, here)| !there.differences(here).is_empty());
    if begun || (differences.is_empty() && !moved) {
        return Ok(());
    }
    tracing::info!(
        "{}: a start under other settings finished no epoch here and is replaced",
        folder.display()
    );
    remove_start(folder)?;
    Ok(ours.write(folder)?)
}

/// Removes what a start that finished no epoch left beside its settings.
fn remove_start(folder: &Path) -> Result<(), TrainError> {
    let copies = [AvailabilityRow::FILE, ScheduleRow::FILE].into_iter();
    let files = copies.chain(seed_outputs::START_FILES);
    for path in files.map(|name| folder.join(name)).filter(|p| p.exists()) {
        fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
    }
    let folder = folder.join(seed_outputs::SUBCATEGORIES);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(ArtifactError::at("remove", &folder))?;
    }
    Ok(())
}

/// Checks that an unfinished run goes on where it began. One of a version before, which does not know, goes on here.
fn same_machine(folder: &Path, theirs: &RunHead, ours: &RunHead) -> Result<(), TrainError> {
    let (Some(there), Some(here)) = (&theirs.machine, &ours.machine) else {
        return Ok(ours.write(folder)?);
    };
    let differences = there.differences(here);
    if differences.is_empty() {
        return Ok(());
    }
    Err(TrainError::OtherMachine {
        folder: folder.to_owned(),
        differences,
    })
}

/// Copies `from` to `to` where it differs; a missing source is passed over.
fn copy(from: &Path, to: &Path) -> Result<(), TrainError> {
    if from.exists() {
        let bytes = fs::read(from).map_err(ArtifactError::at("read", from))?;
        artifact::publish_if_changed(to, &bytes)?;
    }
    Ok(())
}
