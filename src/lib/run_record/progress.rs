//! `progress.json`: which tasks are done, and the hashes of what they left.

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{
    PROGRESS_FILE, RunRecordError, SETTINGS_FILE, checkpoint_file, document, state_file,
    unlearned_file,
};
use crate::artifact::hash_file;
use crate::parquet_file::{self, TableError};
use crate::tables::{self, HistoryRow, MetricRow, PredictionRow};
use crate::tables::{AvailabilityRow, ScheduleRow};

/// How a task went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskOutcome {
    /// The epoch whose weights are kept.
    pub best_epoch: u32,
    /// Epochs trained; 0 where the task was passed over.
    pub epochs: u32,
    /// Why it ended: `epochs`, `early stop`, `rate spent` or, of a task that was passed over, `no clips`.
    pub ended_by: String,
    /// Listed clips without frames: train, validation, test.
    pub unusable: [usize; 3],
    /// Clips whose frames could not be read, so far.
    pub skipped: Vec<String>,
    /// Hashes of what the task left; absent in a directory of a version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hashes: Option<TaskHashes>,
}

impl TaskOutcome {
    /// Whether it was trained; else it was passed over and left no weights and no rows.
    #[must_use]
    pub fn was_trained(&self) -> bool {
        self.epochs > 0
    }
}

/// Hashes of what a task left.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaskHashes {
    /// The BLAKE3 of files that never change again (weights, the approach's state), by their names
    /// in the run directory.
    pub files: BTreeMap<String, String>,
    /// The hash of the task's rows in each table that grows from task to task, by the table's name.
    pub rows: BTreeMap<String, String>,
}

/// What the erasure of withdrawn clips has changed in a run directory. Its metrics stay as they
/// were judged.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunErasure {
    /// The row of the ledger of withdrawals.
    pub number: i64,
    /// Clips that the run was judged with and that were withdrawn since.
    pub judged: usize,
    /// The BLAKE3 of the inputs that were written anew without the clips, by name.
    pub inputs: BTreeMap<String, String>,
}

/// Which tasks are done.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunProgress {
    /// The run's id; empty in a directory of a version before.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub run_id: String,
    /// Done tasks in order.
    pub tasks: Vec<TaskOutcome>,
    /// Bytes of the event file that belong to them.
    pub tensorboard_bytes: u64,
    /// The BLAKE3 of the files that all tasks share (settings and copies of the tasks), by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, String>,
    /// What was erased from the run since, in order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub erasures: Vec<RunErasure>,
}

impl RunProgress {
    /// The last task that was trained.
    #[must_use]
    pub fn last_trained(&self) -> Option<usize> {
        self.last_trained_before(self.tasks.len())
    }

    /// The last task before `task` that was trained.
    #[must_use]
    pub fn last_trained_before(&self, task: usize) -> Option<usize> {
        let before = &self.tasks[..task.min(self.tasks.len())];
        before.iter().rposition(TaskOutcome::was_trained)
    }

    /// Reads the progress of the run in `folder`; `None` where no task is done.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    pub fn read(folder: &Path) -> Result<Option<Self>, RunRecordError> {
        let document = document::read(&folder.join(PROGRESS_FILE))?;
        Ok(document.map(|document| document.value))
    }

    /// The inputs that a run was given as they are now, after what was erased from them.
    #[must_use]
    pub fn inputs_now(&self, given: &BTreeMap<String, String>) -> BTreeMap<String, String> {
        let mut now = given.clone();
        for erasure in &self.erasures {
            let renewed = erasure.inputs.iter().map(|(k, v)| (k.clone(), v.clone()));
            now.extend(renewed);
        }
        now
    }

    /// Clips that the run was judged with and that were withdrawn since.
    #[must_use]
    pub fn withdrawn_since(&self) -> usize {
        self.erasures.iter().map(|erasure| erasure.judged).sum()
    }

    /// Publishes it in `folder`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn write(&self, folder: &Path) -> Result<(), RunRecordError> {
        document::write(&folder.join(PROGRESS_FILE), self)
    }

    /// Adds the hashes that are missing: of the shared files, and of what each task left. `rows`
    /// are those of `folder`.
    ///
    /// # Errors
    /// When a file cannot be read.
    pub fn add_hashes(&mut self, folder: &Path, rows: &Rows<'_>) -> Result<(), RunRecordError> {
        if self.files.is_empty() {
            let shared = [SETTINGS_FILE, AvailabilityRow::FILE, ScheduleRow::FILE];
            self.files = hashes(folder, shared.map(str::to_owned))?;
        }
        for (task, outcome) in self.tasks.iter_mut().enumerate() {
            if outcome.hashes.is_none() {
                outcome.hashes = Some(TaskHashes {
                    files: hashes(
                        folder,
                        [
                            checkpoint_file(task),
                            state_file(task),
                            unlearned_file(task),
                        ],
                    )?,
                    rows: rows.hashes(folder, task)?,
                });
            }
        }
        Ok(())
    }
}

/// The BLAKE3 of those of the files that are there, by name.
fn hashes(
    folder: &Path,
    names: impl IntoIterator<Item = String>,
) -> Result<BTreeMap<String, String>, RunRecordError> {
    let mut found = BTreeMap::new();
    for name in names {
        let path = folder.join(&name);
        if path.exists() {
            found.insert(name, hash_file(&path)?);
        }
    }
    Ok(found)
}

/// The rows of the tables that grow from task to task.
#[derive(Clone, Copy, Debug)]
pub struct Rows<'a> {
    /// Rows of `history.parquet`.
    pub history: &'a [HistoryRow],
    /// Rows of `metrics.parquet`.
    pub metrics: &'a [MetricRow],
    /// Categories in class order, one probability each.
    pub categories: &'a [String],
    /// Rows of `predictions.parquet`.
    pub predictions: &'a [PredictionRow],
}

impl Rows<'_> {
    /// The hash of the rows of `task` in each table, by the table's name within `folder`.
    ///
    /// # Errors
    /// When a row does not fit its columns.
    pub fn hashes(
        &self,
        folder: &Path,
        task: usize,
    ) -> Result<BTreeMap<String, String>, TableError> {
        let is = |of: i32| usize::try_from(of) == Ok(task);
        let history: Vec<_> = self
            .history
            .iter()
            .filter(|r| is(r.task))
            .cloned()
            .collect();
        let metrics: Vec<_> = self
            .metrics
            .iter()
            .filter(|r| is(r.task))
            .cloned()
            .collect();
        let predictions: Vec<_> = self.predictions.iter().filter(|r| is(r.task)).collect();
        let hashes = [
            (HistoryRow::FILE, parquet_file::rows_hash(&history)),
            (MetricRow::FILE, parquet_file::rows_hash(&metrics)),
            (
                PredictionRow::FILE,
                tables::predictions_hash(self.categories, &predictions),
            ),
        ];
        hashes
            .into_iter()
            .map(|(name, hash)| match hash {
                Ok(hash) => Ok((name.to_owned(), hash)),
                Err(source) => Err(TableError::Arrow {
                    path: folder.join(name),
                    source,
                }),
            })
            .collect()
    }
}
