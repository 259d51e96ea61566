//! The run directory: claimed by one run, its tables in memory as the files hold them, each
//! published whole. What is read again is compared first ([`RunRecord::read`]).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::hold::Hold;
use super::seed_outputs::names::{FOLDERS, START_FILES, SUBCATEGORIES};
use crate::artifact::{self, ArtifactError, hash_file};
use crate::model::checkpoint::Loaded;
use crate::parquet_file::{self, Provenance};
use crate::run_record::{
    self, CHECKPOINTS, Machine, PROGRESS_FILE, RUN_FILE, Rows, RunHead, RunProgress, RunRecord,
    RunSummary, SETTINGS_FILE, Subcategory, TaskOutcome, checkpoint_file, run_id, state_file,
};
use crate::tables::{self, AvailabilityRow, ScheduleRow};
use crate::tables::{HistoryRow, MetricRow, PredictionRow, TimingRow};
use crate::train::TrainError;
use crate::train::settings::TrainConfig;
use crate::train::task_sequence::TaskSequence;

/// What happened when, as JSON lines; outside every promise of equal bytes.
pub const LOG_FILE: &str = "log.jsonl";
/// Version of the run directory's layout.
const VERSION: u32 = 1;

/// A run directory with the tables in memory as the files hold them.
#[derive(Debug)]
pub(in crate::train) struct RunFolder {
    hold: Hold,
    path: PathBuf,
    /// How much of the weights to start from was taken, where it was not all.
    partial: Option<String>,
    categories: Vec<String>,
    run_id: String,
    provenance: Provenance,
    /// Which tasks are done.
    pub(super) progress: RunProgress,
    /// Rows of `history.parquet`.
    pub(super) history: Vec<HistoryRow>,
    /// Rows of `metrics.parquet`.
    pub(super) metrics: Vec<MetricRow>,
    /// Rows of `predictions.parquet`.
    pub(super) predictions: Vec<PredictionRow>,
    /// Rows of `timing.parquet`.
    pub(super) timing: Vec<TimingRow>,
}

impl RunFolder {
    /// Opens the run directory of `config`, makes it where it is missing, and reads what is done.
    /// `machine` is what this process computes on; an unfinished run goes on only where it began.
    ///
    /// # Errors
    /// When it holds a run under other settings that has finished an epoch, or one begun on another
    /// machine, a file is not what the run wrote, or files cannot be read or written.
    pub(super) fn open(
        config: &TrainConfig,
        data: &TaskSequence,
        pretrained: Option<&Loaded>,
        machine: Machine,
        hold: Hold,
    ) -> Result<(Self, Option<RunSummary>), TrainError> {
        let folder = &config.out;
        let partial = pretrained.filter(|loaded| !loaded.fills_the_model());
        let partial = partial.map(Loaded::share);
        let mut provenance = Provenance::of(&config.settings);
        provenance
            .settings
            .insert("scenario".into(), data.deal.scenario.clone().into());
        provenance.inputs.clone_from(&data.inputs);
        if let Some(pretrained) = &config.pretrained {
            provenance
                .inputs
                .insert("pretrained".into(), hash_file(pretrained)?);
        }
        let head = head(data, &provenance, partial.clone(), machine);
        claim(folder, &head)?;
        let Some(found) = RunRecord::read(folder)? else {
            return Err(TrainError::NotARun {
                folder: folder.clone(),
            });
        };
        let parts = [CHECKPOINTS].into_iter().chain(FOLDERS);
        for part in parts.map(|part| folder.join(part)).chain([folder.clone()]) {
            artifact::sweep(&part)?;
        }
        let mut record = Self {
            hold,
            path: folder.clone(),
            partial,
            categories: data.deal.taxonomy.category_names(),
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
            return Ok((record, Some(summary)));
        }
        same_machine(folder, &found.head, &head)?;
        for name in [AvailabilityRow::FILE, ScheduleRow::FILE] {
            copy(&config.availability.join(name), &folder.join(name))?;
        }
        Ok((record, None))
    }

    /// The run directory.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The run's id.
    pub(super) fn run_id(&self) -> &str {
        &self.run_id
    }

    /// How much of the weights to start from was taken, `partly (71 of 383)`; none where it was
    /// all, or there were none.
    pub(super) fn partial(&self) -> Option<&str> {
        self.partial.as_deref()
    }

    /// Looks whether the run directory and what was published there are still there, before more
    /// is.
    ///
    /// # Errors
    /// [`TrainError::Vanished`].
    pub(super) fn still_there(&self) -> Result<(), TrainError> {
        let mut files = vec![self.path.join(SETTINGS_FILE)];
        if self.done() > 0 {
            files.push(self.path.join(PROGRESS_FILE));
        }
        files.extend((0..self.done()).map(|task| self.checkpoint(task)));
        self.hold.check(&self.path, files.iter())
    }

    /// Tasks done.
    pub(super) fn done(&self) -> usize {
        self.progress.tasks.len()
    }

    /// Where the best weights of `task` lie.
    pub(super) fn checkpoint(&self, task: usize) -> PathBuf {
        self.path.join(checkpoint_file(task))
    }

    /// Where the approach's state after `task` lies.
    pub(super) fn state(&self, task: usize) -> PathBuf {
        self.path.join(state_file(task))
    }

    /// Where the approach's state after `task` lies, if `progress.json` names it. A version before
    /// named nothing: what lies there counts.
    pub(super) fn named_state(&self, task: usize) -> Option<PathBuf> {
        let path = self.state(task);
        let named = match &self.progress.tasks.get(task)?.hashes {
            Some(hashes) => hashes.files.contains_key(&state_file(task)),
            None => path.exists(),
        };
        named.then_some(path)
    }

    /// What a checkpoint's header says of itself, this program's version included.
    pub(super) fn metadata(&self, task: usize) -> BTreeMap<String, String> {
        let mut metadata = self.origin(task);
        metadata.insert(
            "incdec.crate_version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        );
        metadata
    }

    /// What the header of a checkpoint of this run and of `task` must say.
    pub(super) fn origin(&self, task: usize) -> BTreeMap<String, String> {
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
    pub(super) fn publish_history(&mut self) -> Result<(), TrainError> {
        self.still_there()?;
        self.history.sort_by(|a, b| {
            (a.task, a.epoch, a.split, &a.metric).cmp(&(b.task, b.epoch, b.split, &b.metric))
        });
        Ok(parquet_file::write(
            &self.path.join(HistoryRow::FILE),
            &self.history,
            &self.provenance,
        )?)
    }

    /// Publishes all tables and, last, that one more task is done.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn publish_task(&mut self, outcome: TaskOutcome) -> Result<(), TrainError> {
        self.publish_history()?;
        parquet_file::write(
            &self.path.join(MetricRow::FILE),
            &self.metrics,
            &self.provenance,
        )?;
        let predictions = self.path.join(PredictionRow::FILE);
        tables::write_predictions(
            &predictions,
            &self.categories,
            &self.predictions,
            &self.provenance,
        )?;
        parquet_file::write(
            &self.path.join(TimingRow::FILE),
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
        self.progress.add_hashes(&self.path, &rows)?;
        Ok(self.progress.write(&self.path)?)
    }

    /// Publishes the summary, which marks the run complete.
    ///
    /// # Errors
    /// When the disk refuses, or what was published is no longer there.
    pub(super) fn complete(&self, summary: &RunSummary) -> Result<(), TrainError> {
        self.still_there()?;
        run_record::write_summary(&self.path, summary)?;
        // What was removed while the last file was being published must not pass for a finished
        // run.
        self.still_there()
    }

    /// Reads the seconds of done tasks.
    fn read_timing(&mut self) -> Result<(), TrainError> {
        let done = i32::try_from(self.done()).unwrap_or(i32::MAX);
        if done > 0 {
            self.timing = parquet_file::read(&self.path.join(TimingRow::FILE))?;
            self.timing.retain(|row| row.task < done);
        }
        Ok(())
    }
}

/// What `settings.json` is to say.
fn head(
    data: &TaskSequence,
    provenance: &Provenance,
    pretrained: Option<String>,
    machine: Machine,
) -> RunHead {
    let categories = data.deal.taxonomy.category_names();
    let subcategories = data.deal.taxonomy.subcategories();
    let subcategories = subcategories.map(|(class, name)| Subcategory {
        category: categories[class].clone(),
        subcategory: name.to_owned(),
    });
    RunHead {
        format: "incdec.run".to_owned(),
        version: VERSION,
        run_id: run_id(provenance),
        scenario: data.deal.scenario.clone(),
        tasks_seed: data.deal.seed,
        tasks: data.tasks.len(),
        subcategories: subcategories.collect(),
        categories,
        settings: provenance.settings.clone(),
        inputs: provenance.inputs.clone(),
        pretrained,
        machine: Some(machine),
    }
}

/// Writes `settings.json` into a new run directory; in one that has it, checks that it is the same
/// run. The settings of a start that finished no epoch bind nobody: others replace them, so that a
/// failed start needs no other directory.
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
    let files = copies.chain(START_FILES);
    for path in files.map(|name| folder.join(name)).filter(|p| p.exists()) {
        fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
    }
    let folder = folder.join(SUBCATEGORIES);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(ArtifactError::at("remove", &folder))?;
    }
    Ok(())
}

/// Checks that an unfinished run goes on where it began. One of a version before, which does not
/// know, goes on here.
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
