//! Checkpoints inside a task: everything that the rest of the task depends on, in one safetensors
//! file, so that a run goes on behind any step with the bytes of one that was never stopped.
//!
//! The tensors lie under the names that the loop gives them; the rest is JSON in the header. Numbers
//! that a result depends on are kept by their bits. No time, path or thread count stands in it, so
//! the same position of the same run has the same bytes. The two newest are kept while a task lasts.

use std::fs;
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::Record;
use super::folder::RunFolder;
use crate::artifact::ArtifactError;
use crate::clip::Split;
use crate::model::checkpoint::{self, CheckpointError};
use crate::model::state_dict::{Sealed, StateDict};
use crate::run_record::{Position, is_sealed_checkpoint, positions, remove_positions};
use crate::tables::HistoryRow;
use crate::train::TrainError;
use crate::train::task_sequence::TaskSequence;
use crate::train::unlearn::Visits;

/// Version of checkpoints inside a task.
const VERSION: &str = "1";
/// Field of the header: the version.
const VERSION_FIELD: &str = "incdec.task_checkpoint";
/// Field of the header: everything that is no tensor.
const FACTS_FIELD: &str = "incdec.facts";

/// A number by its bits, since JSON knows neither infinity nor what is no number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::train) struct Bits(u64);

impl From<f64> for Bits {
    fn from(value: f64) -> Self {
        Self(value.to_bits())
    }
}

impl From<Bits> for f64 {
    fn from(Bits(bits): Bits) -> Self {
        Self::from_bits(bits)
    }
}

/// What the loop keeps beside tensors.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::train) struct TaskFacts {
    /// The learning rate of each group.
    pub(in crate::train) rates: Vec<Bits>,
    /// What the schedule counts.
    pub(in crate::train) schedule_epochs: u32,
    /// The best figure that the schedule has seen.
    pub(in crate::train) schedule_best: Option<Bits>,
    /// The best epoch so far.
    pub(in crate::train) best_epoch: Option<u32>,
    /// Its validation mAP.
    pub(in crate::train) best_mean_ap: Option<Bits>,
    /// Epochs in a row without a better one.
    pub(in crate::train) without_better: u32,
    /// Clips trained on in the epoch under way.
    pub(in crate::train) trained_clips: usize,
    /// The clips judged so far: on the validation set, on the test set.
    pub(in crate::train) judged: [Vec<usize>; 2],
    /// Clips of the validation set and of the test set; none in a checkpoint of a version before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::train) listed: Option<[usize; 2]>,
    /// Clips whose frames could not be read so far.
    pub(in crate::train) skipped: Vec<String>,
    /// What unlearning cost at the task's start; none where nothing was unlearned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::train) unlearning: Option<Visits>,
}

/// What the loop leaves at a position, and finds there again.
#[derive(Debug)]
pub(in crate::train) struct TaskCheckpoint {
    pub(in crate::train) position: Position,
    pub(in crate::train) facts: TaskFacts,
    pub(in crate::train) tensors: StateDict,
}

/// A cell of `history.parquet` of the task under way.
#[derive(Serialize, Deserialize)]
struct Cell {
    epoch: i32,
    split: Split,
    metric: String,
    value: Option<Bits>,
}

/// Everything in the header.
#[derive(Serialize, Deserialize)]
struct Facts {
    task: TaskFacts,
    /// Bytes of the event file at that moment.
    tensorboard_bytes: u64,
    history: Vec<Cell>,
}

/// A checkpoint as it was found, with what the record itself had kept in it.
pub(super) struct Found {
    pub(super) checkpoint: TaskCheckpoint,
    pub(super) tensorboard_bytes: u64,
    history: Vec<Cell>,
}

impl Found {
    /// The newest checkpoint of the first task of `folder` that is not done, if there is one that
    /// can be used. One that cannot is named, and removed; so is what an ended task left.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub(super) fn newest(
        folder: &RunFolder,
        data: &TaskSequence,
    ) -> Result<Option<Self>, TrainError> {
        let task = folder.done();
        remove_positions(folder.path(), |position| position.task == task)?;
        for position in positions(folder.path())?.into_iter().rev() {
            let path = folder.path().join(position.file());
            let found = read(folder, position, &path);
            let found = found.and_then(|found| {
                let task = data.tasks.get(position.task);
                let lists = task.map_or([0; 2], |t| [t.validation.len(), t.test.len()]);
                found.checkpoint.facts.fits(lists).map(|()| found)
            });
            match found {
                Ok(found) => return Ok(Some(found)),
                Err(reason) => {
                    tracing::warn!("{}: {reason}; it is passed over", path.display());
                    fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
                }
            }
        }
        Ok(None)
    }

    /// The rows of the epochs that are done of the task under way.
    pub(super) fn rows(&self) -> impl Iterator<Item = HistoryRow> {
        let task = super::rows::number(self.checkpoint.position.task);
        self.history.iter().map(move |cell| HistoryRow {
            task,
            epoch: cell.epoch,
            split: cell.split,
            metric: cell.metric.clone(),
            value: cell.value.map(f64::from),
        })
    }
}

impl TaskFacts {
    /// Whether the answers that it keeps are about lists of these lengths, the validation set's and the test set's: clips
    /// that were withdrawn since have left them, and with them the places of others.
    fn fits(&self, lists: [usize; 2]) -> Result<(), String> {
        for (which, clips) in self.judged.iter().enumerate() {
            let listed = self.listed.map_or(lists[which], |listed| listed[which]);
            let is_of_list = listed == lists[which] && clips.iter().all(|&c| c < lists[which]);
            if !clips.is_empty() && !is_of_list {
                let name = [Split::Validation, Split::Test][which];
                return Err(format!(
                    "it holds answers about another {name} list than the one of {} clips that there is now",
                    lists[which]
                ));
            }
        }
        Ok(())
    }
}

/// Reads a checkpoint, or says why it cannot be used.
fn read(folder: &RunFolder, position: Position, path: &Path) -> Result<Found, String> {
    let bytes = fs::read(path).map_err(|e| format!("it cannot be read ({e})"))?;
    if !is_sealed_checkpoint(&bytes) {
        return Err("the checkpoint is damaged: its hash is not that of its content".into());
    }
    drop(bytes);
    let mut origin = folder.origin(position.task);
    origin.insert(VERSION_FIELD.to_owned(), VERSION.to_owned());
    let (tensors, metadata) =
        checkpoint::read_own_whole(path, &origin).map_err(|error| error.to_string())?;
    let facts = metadata.get(FACTS_FIELD).map(String::as_str);
    let facts: Facts = serde_json::from_str(facts.unwrap_or_default())
        .map_err(|error| format!("its header makes no sense ({error})"))?;
    Ok(Found {
        checkpoint: TaskCheckpoint {
            position,
            facts: facts.task,
            tensors,
        },
        tensorboard_bytes: facts.tensorboard_bytes,
        history: facts.history,
    })
}

impl Record<'_> {
    /// Publishes a checkpoint of the task under way, and removes all but it and the one before.
    ///
    /// # Errors
    /// When the run directory is gone, or the disk refuses.
    pub(in crate::train) fn keep(&mut self, kept: TaskCheckpoint) -> Result<(), TrainError> {
        let TaskCheckpoint {
            position,
            facts,
            tensors,
        } = kept;
        let task = super::rows::number(position.task);
        let rows = self.folder.history.iter().filter(|row| row.task == task);
        self.events.sync()?;
        let facts = Facts {
            task: facts,
            tensorboard_bytes: self.events.bytes()?,
            history: rows
                .map(|row| Cell {
                    epoch: row.epoch,
                    split: row.split,
                    metric: row.metric.clone(),
                    value: row.value.map(Bits::from),
                })
                .collect(),
        };
        let run = self.folder.path();
        let path = run.join(position.file());
        let text = serde_json::to_string(&facts).map_err(|source| TrainError::Facts {
            path: path.clone(),
            source,
        })?;
        let mut metadata = self.metadata(position.task)?;
        metadata.insert(VERSION_FIELD.to_owned(), VERSION.to_owned());
        metadata.insert(FACTS_FIELD.to_owned(), text);
        let sealed = Sealed::new(&tensors, &metadata).map_err(CheckpointError::from)?;
        // Copying and hashing take long enough for somebody to remove the directory meanwhile, and
        // so does writing.
        self.folder.still_there()?;
        if let Err(error) = sealed.publish(&path) {
            self.folder.still_there()?;
            return Err(error.into());
        }
        let before = positions(run)?.into_iter().filter(|p| *p < position).max();
        remove_positions(run, |p| p == position || Some(p) == before)?;
        Ok(())
    }

    /// Gives away the checkpoint that `task` goes on from, if there is one.
    pub(in crate::train) fn take_checkpoint(&mut self, task: usize) -> Option<TaskCheckpoint> {
        self.under_way
            .take_if(|checkpoint| checkpoint.position.task == task)
    }
}
