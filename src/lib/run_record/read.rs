//! Reading a run directory: everything that it promises is compared on the way, in one pass.

use std::collections::BTreeMap;
use std::path::Path;

use super::{
    PROGRESS_FILE, RUN_FILE, Rows, RunHead, RunProgress, RunRecordError, RunSummary, SETTINGS_FILE,
    differences, document,
};
use crate::artifact::hash_file;
use crate::parquet_file::{self, Format, Table};
use crate::tables::{AvailabilityRow, ScheduleRow};
use crate::tables::{
    HistoryRow, MetricRow, PREDICTIONS, PredictionRow, TimingRow, read_predictions,
};

/// A run directory whose files are those that the run wrote.
#[derive(Clone, Debug)]
pub struct RunRecord {
    /// Which run it is.
    pub head: RunHead,
    /// Which tasks are done.
    pub progress: RunProgress,
    /// The summary of a complete run.
    pub summary: Option<RunSummary>,
    /// The categories that `predictions.parquet` has a probability for; empty where no task is
    /// done.
    pub categories: Vec<String>,
    /// Rows of `history.parquet` of done tasks, as those of the other tables.
    pub history: Vec<HistoryRow>,
    /// Rows of `history.parquet` of the task after them, whose epochs no hash covers yet: it is
    /// under way, or a killed run left them.
    pub under_way: Vec<HistoryRow>,
    /// Rows of `metrics.parquet`.
    pub metrics: Vec<MetricRow>,
    /// Rows of `predictions.parquet`.
    pub predictions: Vec<PredictionRow>,
}

impl RunRecord {
    /// Reads the run directory `folder`; `None` where it holds no `settings.json`.
    ///
    /// Documents come first and tables after them, so that a run that goes on meanwhile is read as
    /// it was at a task's end.
    ///
    /// # Errors
    /// When a file of a done task is missing or damaged, or belongs to another run; the error names
    /// it.
    pub fn read(folder: &Path) -> Result<Option<Self>, RunRecordError> {
        let Some(head) = document::read::<RunHead>(&folder.join(SETTINGS_FILE))? else {
            return Ok(None);
        };
        let summary = document::read::<RunSummary>(&folder.join(RUN_FILE))?;
        let progress = document::read::<RunProgress>(&folder.join(PROGRESS_FILE))?;
        let hashed = head.hashed && progress.as_ref().is_none_or(|p| p.hashed);
        if !hashed {
            tracing::info!(
                "{}: it was written before run directories were hashed and is read unchecked",
                folder.display()
            );
        }
        let mut record = Self {
            head: head.value,
            progress: progress.map(|p| p.value).unwrap_or_default(),
            summary: summary.map(|s| s.value),
            categories: Vec::new(),
            history: Vec::new(),
            under_way: Vec::new(),
            metrics: Vec::new(),
            predictions: Vec::new(),
        };
        record.compare_documents(folder)?;
        record.compare_inputs(folder)?;
        compare_files(folder, &record.progress.files)?;
        record.read_history(folder)?;
        if !record.progress.tasks.is_empty() {
            record.read_tables(folder)?;
        }
        for task in 0..record.progress.tasks.len() {
            record.compare_task(folder, task)?;
        }
        Ok(Some(record))
    }

    /// The rows of the tables.
    #[must_use]
    pub fn rows(&self) -> Rows<'_> {
        Rows {
            history: &self.history,
            metrics: &self.metrics,
            categories: &self.categories,
            predictions: &self.predictions,
        }
    }

    /// Whether `progress.json` and `run.json` are of the run that `settings.json` is of.
    fn compare_documents(&self, folder: &Path) -> Result<(), RunRecordError> {
        let ours = self.head.id();
        let summary = self.summary.as_ref().map_or("", |summary| &summary.run_id);
        for (name, theirs) in [
            (PROGRESS_FILE, self.progress.run_id.as_str()),
            (RUN_FILE, summary),
        ] {
            if !theirs.is_empty() && theirs != ours {
                return Err(RunRecordError::OtherRun {
                    path: folder.join(name),
                    differences: differences("run_id", &theirs, &ours),
                });
            }
        }
        let (done, tasks) = (self.progress.tasks.len(), self.head.tasks);
        if self.summary.is_some() && done < tasks {
            return Err(RunRecordError::Incomplete {
                path: folder.join(PROGRESS_FILE),
                done,
                tasks,
            });
        }
        Ok(())
    }

    /// Whether the copies of the tasks, where they are there, are those that the run was given.
    fn compare_inputs(&self, folder: &Path) -> Result<(), RunRecordError> {
        let inputs = self.progress.inputs_now(&self.head.inputs);
        let copies = [AvailabilityRow::FILE, ScheduleRow::FILE].map(str::to_owned);
        let given = copies.into_iter().filter_map(|name| {
            let hash = inputs.get(&name)?.clone();
            folder.join(&name).exists().then_some((name, hash))
        });
        compare_files(folder, &given.collect())
    }

    /// Reads the figures of the epochs, which are there before the first task is done.
    fn read_history(&mut self, folder: &Path) -> Result<(), RunRecordError> {
        let path = folder.join(HistoryRow::FILE);
        if self.progress.tasks.is_empty() && !path.exists() {
            return Ok(());
        }
        self.compare_provenance(&path, &HistoryRow::FORMAT)?;
        self.history = parquet_file::read(&path)?;
        self.under_way.clone_from(&self.history);
        let done = self.done();
        self.history.retain(|row| row.task < done);
        self.under_way.retain(|row| row.task == done);
        Ok(())
    }

    /// Tasks done, as tables count them.
    fn done(&self) -> i32 {
        i32::try_from(self.progress.tasks.len()).unwrap_or(i32::MAX)
    }

    /// Reads the tables of done tasks, each of which must say that it is of this run.
    fn read_tables(&mut self, folder: &Path) -> Result<(), RunRecordError> {
        let done = self.done();
        self.compare_provenance(&folder.join(MetricRow::FILE), &MetricRow::FORMAT)?;
        self.compare_provenance(&folder.join(PredictionRow::FILE), &PREDICTIONS)?;
        let timing = folder.join(TimingRow::FILE);
        if timing.exists() {
            self.compare_provenance(&timing, &TimingRow::FORMAT)?;
        }
        self.metrics = parquet_file::read(&folder.join(MetricRow::FILE))?;
        (self.categories, self.predictions) = read_predictions(&folder.join(PredictionRow::FILE))?;
        self.metrics.retain(|row| row.task < done);
        self.predictions.retain(|row| row.task < done);
        Ok(())
    }

    fn compare_provenance(&self, path: &Path, format: &Format) -> Result<(), RunRecordError> {
        let theirs = parquet_file::provenance(path, format)?;
        let mut found = differences("settings", &theirs.settings, &self.head.settings);
        found.extend(differences("inputs", &theirs.inputs, &self.head.inputs));
        if found.is_empty() {
            return Ok(());
        }
        Err(RunRecordError::OtherRun {
            path: path.to_owned(),
            differences: found,
        })
    }

    /// Whether what `task` left is what it wrote.
    fn compare_task(&self, folder: &Path, task: usize) -> Result<(), RunRecordError> {
        let Some(hashes) = &self.progress.tasks[task].hashes else {
            return Ok(());
        };
        compare_files(folder, &hashes.files)?;
        for (name, hash) in self.rows().hashes(folder, task)? {
            if hashes
                .rows
                .get(&name)
                .is_some_and(|written| *written != hash)
            {
                return Err(RunRecordError::changed(
                    &folder.join(name),
                    format!("the part of task {task}"),
                ));
            }
        }
        Ok(())
    }
}

/// Whether the files have the hashes that are written beside their names.
fn compare_files(folder: &Path, written: &BTreeMap<String, String>) -> Result<(), RunRecordError> {
    for (name, hash) in written {
        let path = folder.join(name);
        if hash_file(&path)? != *hash {
            return Err(RunRecordError::changed(&path, "its content"));
        }
    }
    Ok(())
}
