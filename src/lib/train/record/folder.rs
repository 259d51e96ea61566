//! The run directory: claimed by one run, its tables in memory as the files hold them, each
//! published whole. What is read again is compared first ([`RunRecord::read`]).

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::claim::{VERSION, claim, same_machine};
use super::hold::Hold;
use super::origins::Origins;
use super::seed_outputs::names::FOLDERS;
use crate::artifact::{self, ArtifactError, hash_file};
use crate::model::checkpoint::{Loaded, header};
use crate::parquet_file::{self, Provenance};
use crate::run_record::{
    self, CHECKPOINTS, Extension, Machine, PRETRAINED_INPUT, PROGRESS_FILE, Rows, RunHead,
    RunProgress, RunRecord, RunSummary, SETTINGS_FILE, Subcategory, TaskOutcome, checkpoint_file,
    remove_positions, run_id, state_file,
};
use crate::tables::{self, AvailabilityRow, ErasureRow, ScheduleRow};
use crate::tables::{HistoryRow, MetricRow, PredictionRow, SeenRow, TimingRow};
use crate::train::TrainError;
use crate::train::settings::TrainConfig;
use crate::train::task_sequence::TaskSequence;

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
    /// What the first weights come from, and all weights of a head.
    origins: Origins,
    /// The newest chain value of the ledger of withdrawals.
    withdrawals: Option<String>,
    /// The settings that the shards were decoded with.
    decoding: Map<String, Value>,
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
        extension: Extension,
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
                .insert(PRETRAINED_INPUT.into(), hash_file(pretrained)?);
        }
        let head = RunHead {
            extension,
            ..head(data, &provenance, partial.clone(), machine)
        };
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
            // Its own, whatever has been erased from its inputs since it began.
            run_id: found.head.id(),
            provenance: found.head.provenance(),
            origins: Origins::of(config, &provenance)?,
            withdrawals: match &config.withdrawals {
                Some(ledger) => ErasureRow::newest_chain(ledger)?,
                None => None,
            },
            decoding: data.decoding.clone(),
            progress: found.progress,
            history: found.history,
            metrics: found.metrics,
            predictions: found.predictions,
            timing: Vec::new(),
        };
        if let Some(summary) = found.summary {
            record.read_timing(0)?;
            remove_positions(folder, |_| false)?;
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

    /// The run's settings, and the hashes of its inputs.
    pub(super) fn provenance(&self) -> &Provenance {
        &self.provenance
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
        let trained = (0..self.done()).filter(|&task| self.progress.tasks[task].was_trained());
        files.extend(trained.map(|task| self.checkpoint(task)));
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

    /// What a checkpoint's header says of itself, this program's version, its parents and the state
    /// of the ledger of withdrawals included and, where the shards say it, how videos become the
    /// frames that it was trained on. `is_anew` says whether its weights began anew.
    ///
    /// # Errors
    /// When the weights before it cannot be read.
    pub(super) fn metadata(
        &self,
        task: usize,
        is_anew: bool,
    ) -> Result<BTreeMap<String, String>, TrainError> {
        let mut metadata = self.origin(task);
        if !self.decoding.is_empty() {
            let decoding = Value::Object(self.decoding.clone()).to_string();
            metadata.insert(header::DECODING.to_owned(), decoding);
        }
        metadata.insert(
            "incdec.crate_version".to_owned(),
            env!("CARGO_PKG_VERSION").to_owned(),
        );
        let parents = self
            .origins
            .parents(&self.path, &self.progress, task, is_anew);
        let parents = serde_json::json!(parents?).to_string();
        metadata.insert(header::PARENTS.to_owned(), parents);
        if let Some(chain) = &self.withdrawals {
            metadata.insert(ErasureRow::CHAIN_KEY.to_owned(), chain.clone());
        }
        Ok(metadata)
    }

    /// What the header of a checkpoint of this run and of `task` must say.
    pub(super) fn origin(&self, task: usize) -> BTreeMap<String, String> {
        origin(
            &self.run_id,
            &self.provenance.settings,
            &self.categories,
            task,
        )
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
        self.publish_timing()?;
        self.progress.tasks.push(outcome);
        self.progress.run_id.clone_from(&self.run_id);
        let rows = Rows {
            history: &self.history,
            metrics: &self.metrics,
            categories: &self.categories,
            predictions: &self.predictions,
        };
        self.progress.add_hashes(&self.path, &rows)?;
        let seen = run_record::seen_by(&self.path, &self.progress)?;
        parquet_file::write(&self.path.join(SeenRow::FILE), &seen, &self.provenance)?;
        self.progress.write(&self.path)?;
        Ok(remove_positions(&self.path, |_| false)?)
    }

    /// Publishes the seconds so far.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn publish_timing(&self) -> Result<(), TrainError> {
        Ok(parquet_file::write(
            &self.path.join(TimingRow::FILE),
            &self.timing,
            &self.provenance,
        )?)
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

    /// Goes on behind the epochs of the task under way that `rows` are the figures of.
    ///
    /// # Errors
    /// When the seconds so far cannot be read.
    pub(super) fn go_on(&mut self, rows: Vec<HistoryRow>) -> Result<(), TrainError> {
        let epochs = rows.iter().map(|row| row.epoch + 1).max().unwrap_or(0);
        self.history.extend(rows);
        self.read_timing(epochs)
    }

    /// Reads the seconds of done tasks, and of so many epochs of the next.
    fn read_timing(&mut self, epochs: i32) -> Result<(), TrainError> {
        let done = i32::try_from(self.done()).unwrap_or(i32::MAX);
        if done > 0 || epochs > 0 {
            self.timing = parquet_file::read(&self.path.join(TimingRow::FILE))?;
            let is_done = |row: &TimingRow| {
                row.task < done || (row.task == done && row.epoch.is_some_and(|e| e < epochs))
            };
            self.timing.retain(is_done);
        }
        Ok(())
    }
}

/// What the header of a checkpoint of a run and of `task` must say.
pub(in crate::train) fn origin(
    run_id: &str,
    settings: &Map<String, Value>,
    categories: &[String],
    task: usize,
) -> BTreeMap<String, String> {
    let settings = Value::Object(settings.clone()).to_string();
    BTreeMap::from([
        (header::RUN_ID.to_owned(), run_id.to_owned()),
        (header::SETTINGS.to_owned(), settings),
        (header::TASK.to_owned(), task.to_string()),
        (
            header::CATEGORIES.to_owned(),
            Value::from(categories.to_vec()).to_string(),
        ),
    ])
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
        extension: Extension::default(),
        machine: Some(machine),
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
