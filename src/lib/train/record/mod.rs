//! What a run leaves, behind one door: the loop tells the record one thing for each event.
//!
//! | file of a run | what it holds | published |
//! |---|---|---|
//! | `settings.json` | what can change the result: settings, a hash of each input, and the machine | first |
//! | `availability.parquet`, `schedule.parquet` | copies of the tasks that were trained | first |
//! | `history.parquet`, `timing.parquet` | figures and seconds of every epoch | after each epoch |
//! | `checkpoints/task-<t>-epoch-<e>-<part>-<batches>.safetensors` | the task under way, whole; the two newest | as it goes; gone when the task is done |
//! | `checkpoints/task-<t>.safetensors` | best weights of task t | after task t |
//! | `checkpoints/task-<t>-unlearned.safetensors` | weights that had unlearned what task t withdraws | before task t trains |
//! | `checkpoints/task-<t>-state.safetensors` | what the approach carries over, if anything | after task t |
//! | `metrics.parquet`, `predictions.parquet` | figures, predictions | after task t |
//! | `seen.parquet` | which clips done tasks trained on and chose by | after task t |
//! | `progress.json` | which tasks are done, and the hashes of what they left | last of task t |
//! | `tensorboard/` | an event file, appended to | as it goes |
//! | `model_card.md` | settings, inputs, figures and machine, for people | before the last |
//! | `run.json` | the summary, and the machine; marks the run complete | last |
//!
//! `extend` lets a run go beyond what it was begun for, `folder` owns the directory and its tables,
//! `of_rank` lets one of several ranks write and the others go on from the same, `rows` makes their rows, [`tensorboard`] and [`seed_outputs`] write for other readers, `resume`
//! puts back what done tasks left, `task_checkpoint` keeps the task under way, `origins` says where
//! weights come from, `summary` what a run comes to.

mod claim;
pub(super) mod extend;
mod folder;
mod hold;
mod of_rank;
mod origins;
mod resume;
mod rows;
pub mod seed_outputs;
mod summary;
mod task_checkpoint;
pub mod tensorboard;

use std::collections::BTreeMap;
use std::path::PathBuf;

pub(super) use folder::origin;
pub(super) use hold::Hold;
pub(super) use of_rank::{Begun, RankRecord, from_first, share};
pub(super) use origins::is_foreign;
pub(super) use rows::EpochEnd;
pub use summary::TrainSummary;
pub(super) use task_checkpoint::{TaskCheckpoint, TaskFacts};

use super::TrainError;
use super::approach::Kept;
use super::evaluate::Evaluation;
use super::learner::Learner;
use super::profile::{Clock, Phase};
use super::settings::TrainConfig;
use super::stages::stages;
use super::task_sequence::TaskSequence;
use crate::clip::Split;
use crate::metrics::Figures;
use crate::model::checkpoint::{self, Loaded};
use crate::parquet_file::{self, Provenance};
use crate::run_record::{
    Extension, Machine, REMEDIES, TaskHashes, TaskOutcome, positions, unlearned_file,
};
use crate::tables::{HistoryRow, SeenRow};
use folder::RunFolder;
use seed_outputs::{SeedOutputs, Transcript};
use task_checkpoint::Found;
use tensorboard::EventLog;

/// What ended a task that was passed over.
const PASSED_OVER: &str = "no clips";

/// What is left to do in a run directory.
pub(super) enum Opened<'a> {
    /// Nothing: the run is complete.
    Complete(Box<TrainSummary>),
    /// Some tasks, perhaps all, are still to be trained.
    Unfinished(Box<Record<'a>>),
}

/// A task that is over: the best weights are in place.
pub(super) struct TaskEnd {
    pub(super) task: usize,
    /// The epoch whose weights are kept.
    pub(super) best_epoch: u32,
    /// Epochs trained.
    pub(super) epochs: u32,
    /// What ended the last one.
    pub(super) ended_by: String,
    /// The validation set, then the test set.
    pub(super) evaluations: [Evaluation; 2],
    /// What the approach must have again for the next task.
    pub(super) state: Kept,
    /// Clips whose frames could not be read so far.
    pub(super) skipped: Vec<String>,
    /// What unlearning cost at the task's start, by the names of the figures.
    pub(super) unlearning: Vec<(String, Option<f64>)>,
}

/// Everything that a run leaves.
pub(super) struct Record<'a> {
    config: &'a TrainConfig,
    data: &'a TaskSequence,
    folder: RunFolder,
    events: EventLog,
    /// Copies of what is printed, where the seed's files are asked for.
    transcript: Option<Transcript>,
    /// The test figures of the tasks done.
    tested: Vec<Figures>,
    /// Where the task under way was stopped.
    under_way: Option<TaskCheckpoint>,
    /// The stage of each task.
    stages: Vec<usize>,
}

impl<'a> Record<'a> {
    /// Opens the run directory of `config`, which is held, and reads what is done. `machine` is
    /// what this process computes on, `pretrained` what `learner` has taken of the weights to start
    /// from.
    ///
    /// # Errors
    /// As [`RunFolder::open`], and when the files of people who asked for more cannot be written.
    pub(super) fn open(
        config: &'a TrainConfig,
        data: &'a TaskSequence,
        learner: &Learner,
        pretrained: Option<&Loaded>,
        machine: Machine,
        extension: Extension,
        hold: Hold,
    ) -> Result<Opened<'a>, TrainError> {
        let (mut folder, summary) =
            RunFolder::open(config, data, pretrained, machine, extension, hold)?;
        if let Some(summary) = summary {
            tracing::info!("{} is complete; nothing to do", config.out.display());
            let missing = !folder
                .path()
                .join(seed_outputs::names::SUMMARY_FILE)
                .exists();
            if config.seed_outputs && missing {
                SeedOutputs {
                    config,
                    data,
                    folder: &folder,
                }
                .of_complete_run(learner.store())?;
            }
            let summary = TrainSummary::new(config, summary, true);
            return Ok(Opened::Complete(Box::new(summary)));
        }
        let found = Found::newest(&folder, data)?;
        folder.go_on(found.iter().flat_map(Found::rows).collect())?;
        let keep_bytes = found
            .as_ref()
            .map_or(folder.progress.tensorboard_bytes, |f| f.tensorboard_bytes);
        let events = folder.path().join(tensorboard::FOLDER);
        let transcript = config
            .seed_outputs
            .then(|| Transcript::start(folder.path()));
        Ok(Opened::Unfinished(Box::new(Self {
            events: EventLog::open(&events, keep_bytes)?,
            transcript: transcript.transpose()?,
            tested: Vec::new(),
            under_way: found.map(|found| found.checkpoint),
            stages: stages(&config.settings, data),
            config,
            data,
            folder,
        })))
    }

    /// Tasks done.
    pub(super) fn done(&self) -> usize {
        self.folder.done()
    }

    /// The last good weights in the run directory: those of the newest checkpoint of the task under
    /// way, or of the last task done.
    pub(super) fn last_weights(&self) -> Option<PathBuf> {
        let run = self.folder.path();
        // Where the folder cannot be listed, it is not said what lies there.
        let kept = positions(run).unwrap_or_default();
        if let Some(newest) = kept.last() {
            return Some(run.join(newest.file()));
        }
        let last = self.folder.progress.last_trained()?;
        Some(self.folder.checkpoint(last))
    }

    /// How many trainings the weights come from that `task` begins with.
    pub(super) fn stage(&self, task: usize) -> usize {
        self.stages[task]
    }

    /// What the header of a checkpoint of `task` says.
    fn metadata(&self, task: usize) -> Result<BTreeMap<String, String>, TrainError> {
        let is_anew = self.config.settings.is_first(self.stage(task));
        self.folder.metadata(task, is_anew)
    }

    /// Clips whose frames could not be read in done tasks.
    pub(super) fn skipped(&self) -> &[String] {
        let last = self.folder.progress.tasks.last();
        last.map_or(&[], |task| &task.skipped)
    }

    /// Training begins, or goes on; the model holds the weights of the last task done.
    pub(super) fn training_begins(&self, learner: &Learner) -> Result<(), TrainError> {
        let Some(outputs) = self.seed_outputs()? else {
            return Ok(());
        };
        outputs.at_start()?;
        // A run may have been killed between a task's end and its files.
        match self.folder.progress.last_trained() {
            Some(last) => outputs.after_task(last, learner.store()),
            None => Ok(()),
        }
    }

    /// A task begins; the model holds the weights of its first epoch.
    pub(super) fn task_begins(&self, task: usize, learner: &Learner) -> Result<(), TrainError> {
        let lists = &self.data.tasks[task];
        let passed_over: usize = lists.unusable.iter().sum();
        self.say(&format!(
            "task {task} of {}: {} clips to train on, {} to validate, {} to test{}",
            self.data.tasks.len(),
            lists.train.len(),
            lists.validation.len(),
            lists.test.len(),
            if passed_over == 0 {
                String::new()
            } else {
                format!("; {passed_over} listed clips have no frames and are passed over")
            },
        ))?;
        match self.seed_outputs()? {
            Some(outputs) => outputs.at_start_of_task(learner.store()),
            None => Ok(()),
        }
    }

    /// The model has unlearned what `task` withdraws: publishes its weights, which an audit reads.
    pub(super) fn unlearned(&self, task: usize, learner: &Learner) -> Result<(), TrainError> {
        self.folder.still_there()?;
        let path = self.folder.path().join(unlearned_file(task));
        let metadata = self.metadata(task)?;
        Ok(checkpoint::save(&path, learner.store(), &metadata)?)
    }

    /// A task has nothing to train on, or nothing to choose by: it is done, and leaves no weights and no rows.
    pub(super) fn task_passed_over(&mut self, task: usize) -> Result<(), TrainError> {
        let unusable = self.data.tasks[task].unusable;
        self.say(&format!(
            "task {task} of {}: none of the {} clips to train on or none of the {} to validate has frames; it is passed over",
            self.data.tasks.len(),
            unusable[Split::Train as usize],
            unusable[Split::Validation as usize],
        ))?;
        self.folder.publish_task(TaskOutcome {
            ended_by: PASSED_OVER.to_owned(),
            unusable,
            skipped: self.skipped().to_vec(),
            // There is nothing that could be changed.
            hashes: Some(TaskHashes::default()),
            ..TaskOutcome::default()
        })
    }

    /// An epoch is over.
    pub(super) fn epoch_ended(&mut self, end: &EpochEnd<'_>) -> Result<(), TrainError> {
        self.folder.history.extend(rows::history(end));
        self.folder.publish_history()?;
        self.folder.timing.extend(rows::seconds_of_epoch(end));
        self.folder.publish_timing()?;
        self.events.epoch(end)?;
        self.say(&end.to_string())?;
        match self.seed_outputs()? {
            Some(outputs) if !end.ends_task => outputs.after_epoch(end.best_epoch),
            _ => Ok(()),
        }
    }

    /// The run's settings, and the hashes of its inputs.
    pub(super) fn provenance(&self) -> &Provenance {
        self.folder.provenance()
    }

    /// What tasks that another run has trained saw of clips that no list has any more.
    pub(super) fn seen_elsewhere(&self, rows: &[SeenRow]) -> Result<(), TrainError> {
        let path = self.folder.path().join(SeenRow::FILE);
        Ok(parquet_file::write(&path, rows, self.folder.provenance())?)
    }

    /// The epochs of a task that another run has trained.
    pub(super) fn epochs_taken_over(&mut self, history: Vec<HistoryRow>) {
        self.folder.history.extend(history);
    }

    /// A task is over: publishes its weights, the approach's state and the tables, and, last, that
    /// it is done. Of the state `progress.json` has the name, where there is any.
    pub(super) fn task_ended(
        &mut self,
        end: TaskEnd,
        learner: &Learner,
        clock: &mut Clock,
    ) -> Result<(), TrainError> {
        let task = end.task;
        self.write_figures(&end)?;
        self.folder.still_there()?;
        let mut metadata = self.metadata(task)?;
        clock.time(Phase::Checkpoint, || {
            checkpoint::save(&self.folder.checkpoint(task), learner.store(), &metadata)?;
            let Kept { tensors, remedies } = &end.state;
            if tensors.is_empty() {
                return Ok(());
            }
            let remedies = serde_json::json!(remedies).to_string();
            metadata.insert(REMEDIES.to_owned(), remedies);
            checkpoint::write(&self.folder.state(task), tensors, &metadata)
        })?;
        if self.config.profile {
            self.say(&format!("task {task}: {}", clock.report_lap()))?;
        }
        self.folder
            .timing
            .extend(rows::seconds_of_phases(task, clock));
        self.folder.progress.tensorboard_bytes = self.events.bytes()?;
        self.folder.publish_task(TaskOutcome {
            best_epoch: end.best_epoch,
            epochs: end.epochs,
            ended_by: end.ended_by,
            unusable: self.data.tasks[task].unusable,
            skipped: end.skipped,
            hashes: None,
        })?;
        match self.seed_outputs()? {
            Some(outputs) => outputs.after_task(task, learner.store()),
            None => Ok(()),
        }
    }

    /// The last task is over: publishes the summary, which marks the run complete.
    pub(super) fn run_ended(self) -> Result<TrainSummary, TrainError> {
        let facts = summary::facts(self.config, self.data, &self.folder);
        if let Some(outputs) = self.seed_outputs()? {
            outputs.at_end()?;
        }
        self.folder.complete(&facts)?;
        let summary = TrainSummary::new(self.config, facts, false);
        if let Some(transcript) = &self.transcript {
            transcript.stdout(&summary.to_string())?;
        }
        Ok(summary)
    }

    /// The figures and predictions of a task in tables, events and words.
    fn write_figures(&mut self, end: &TaskEnd) -> Result<(), TrainError> {
        let task = end.task;
        let step = if self.config.settings.compat.final_metrics_at_last_epoch {
            end.epochs - 1
        } else {
            end.best_epoch
        };
        let [_, test] = &end.evaluations;
        self.tested.push(test.metrics.figures.clone());
        let forgotten =
            crate::metrics::forgetting_of_figures(&self.tested.iter().collect::<Vec<_>>());
        self.folder.metrics.extend(rows::unlearning(end));
        let splits = [Split::Validation, Split::Test];
        for (split, evaluation) in splits.into_iter().zip(&end.evaluations) {
            let forgotten = (split == Split::Test).then_some(&forgotten);
            let taxonomy = &self.data.deal.taxonomy;
            let folder = &mut self.folder;
            let mut rows: Vec<_> =
                rows::metrics(task, split, evaluation, forgotten, taxonomy).collect();
            if split == Split::Test {
                rows.extend(rows::continual(self.data, task, &self.tested));
                // Stable: within a metric rows stay in class and taxonomy order.
                rows.sort_by(|a, b| a.metric.cmp(&b.metric));
            }
            folder.metrics.extend(rows);
            let list = self.data.tasks[task].list(split);
            folder
                .predictions
                .extend(evaluation.rows(rows::number(task), split, list));
            folder
                .timing
                .push(rows::seconds_of_evaluation(task, split, evaluation));
            self.events.task(task, step, split, evaluation, taxonomy)?;
        }
        self.say(&format!(
            "task {task} done: test mAP {}, accuracy {}, forgetting of mAP {}",
            rows::shown(test.metrics.figures.mean_ap),
            rows::shown(test.metrics.figures.accuracy),
            rows::shown(forgotten.mean_ap),
        ))
    }

    /// Says something on stderr and in the log.
    fn say(&self, line: &str) -> Result<(), TrainError> {
        tracing::info!("{line}");
        match &self.transcript {
            Some(transcript) => Ok(transcript.stderr(line)?),
            None => Ok(()),
        }
    }

    /// The seed's files, where they are asked for and the directory is still there.
    fn seed_outputs(&self) -> Result<Option<SeedOutputs<'_>>, TrainError> {
        if !self.config.seed_outputs {
            return Ok(None);
        }
        self.folder.still_there()?;
        Ok(Some(SeedOutputs {
            config: self.config,
            data: self.data,
            folder: &self.folder,
        }))
    }
}
