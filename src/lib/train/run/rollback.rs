//! Going on from the last task that never knew a withdrawn clip: its weights, taken over from a run
//! that stays as it is.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value};

use super::Run;
use crate::clip::Split;
use crate::model::checkpoint;
use crate::parquet_file::{self, Provenance};
use crate::run_record::{
    Part, RunHead, RunRecord, checkpoint_file, differences, listed, state_file,
};
use crate::tables::{AvailabilityRow, HistoryRow};
use crate::train::TrainError;
use crate::train::approach::Kept;
use crate::train::record::{RankRecord, TaskEnd, origin};
use crate::train::stages::withdraws;
use crate::train::unlearn::Visits;
use crate::train::withdrawals;

/// The settings of unlearning; none where nothing is unlearned.
const METHOD: [&str; 2] = ["unlearn", "unlearn_seed"];
/// Where clips leave that no list lacks: a run that goes on from another may say another task.
pub(super) const FORGET_AT: &str = "forget_at";

/// By which method, under which seed, a run with these settings unlearns.
pub(super) fn method(settings: &Map<String, Value>) -> [Option<&Value>; 2] {
    METHOD.map(|name| settings.get(name))
}

/// Another run, some of whose tasks are taken over.
pub(super) struct TakeOver<'a> {
    /// Its run directory, which stays as it is.
    pub(super) old: &'a Path,
    /// Whether a clip has left: a task that trained on it or chose by it is not taken over.
    pub(super) left: &'a dyn Fn(&str) -> bool,
}

impl Run<'_> {
    /// Takes the tasks over that a run has done before the first that trained on or validated with
    /// a clip that has left. Weights, the approach's state and the figures of epochs are those of
    /// the other run; each task is evaluated once more, on its lists without the clips that left.
    /// Where the other run unlearns by another method, its tasks before the first that withdraws
    /// something are taken, which know nothing of a method. What is to be forgotten has not left for
    /// them.
    ///
    /// # Errors
    /// When it is no run, one under other settings, one whose lists are others, or damaged.
    pub(super) fn take_over(&mut self, from: &TakeOver<'_>) -> Result<(), TrainError> {
        let RankRecord::First(own) = &self.record else {
            // One process alone does this, as `TrainConfig::check` has seen to.
            return Ok(());
        };
        let ours = own.provenance();
        let old = from.old;
        let record = RunRecord::read(old)?.ok_or_else(|| TrainError::NotARun {
            folder: old.to_owned(),
        })?;
        self.same_run(old, &record, ours)?;
        let seen = withdrawals::seen_of(from.left, old, &record.progress)?;
        let first_seen = seen
            .first()
            .and_then(|row| usize::try_from(row.first_task).ok());
        let done = record.progress.tasks.len();
        let mut clean = first_seen
            .map_or(done, |task| task.min(done))
            .min(self.data.tasks.len());
        if let Some(forgetting) = self.forgetting {
            clean = clean.min(self.settings.forget_at.unwrap_or(clean));
            if own.done() == 0 {
                own.seen_elsewhere(forgetting.gone())?;
            }
        }
        self.same_lists(from, clean)?;
        if method(&record.head.settings) != method(&ours.settings) {
            let withdraws = |task: &usize| withdraws(self.data, *task);
            clean = (0..clean).find(withdraws).unwrap_or(clean);
        }
        tracing::info!(
            "{}: {clean} of {done} done tasks never knew a clip that has left and are taken over",
            old.display()
        );
        for task in self.record.done()..clean {
            if self.data.tasks[task].is_empty() {
                self.record.task_passed_over(task)?;
            } else {
                self.take_task(old, &record, task)?;
            }
        }
        Ok(())
    }

    /// Refuses a run of another version, under settings that make it another, or from other weights.
    fn same_run(
        &self,
        old: &Path,
        record: &RunRecord,
        ours: &Provenance,
    ) -> Result<(), TrainError> {
        let version = RunHead::read(&self.config.out)?.map_or(0, |head| head.version);
        let but_method = |settings: &Map<String, Value>| {
            let mut settings = settings.clone();
            for name in METHOD.iter().chain([&FORGET_AT]) {
                settings.remove(*name);
            }
            settings
        };
        let pretrained = |inputs: &BTreeMap<String, String>| inputs.get("pretrained").cloned();
        let mut found = differences("version", &record.head.version, &version);
        found.extend(differences(
            "settings",
            &but_method(&record.head.settings),
            &but_method(&ours.settings),
        ));
        found.extend(differences(
            "pretrained",
            &pretrained(&record.head.inputs),
            &pretrained(&ours.inputs),
        ));
        if found.is_empty() {
            return Ok(());
        }
        Err(TrainError::NotTakenOver {
            folder: old.to_owned(),
            why: format!("it is another run: {}", listed(&found)),
        })
    }

    /// Takes one task over, as if it had been trained here.
    fn take_task(&mut self, old: &Path, record: &RunRecord, task: usize) -> Result<(), TrainError> {
        self.put_in_place(old, record, task)?;
        let outcome = record.progress.tasks[task].clone();
        let of_task = |row: &&HistoryRow| usize::try_from(row.task) == Ok(task);
        let history = record.history.iter().filter(of_task).cloned().collect();
        if let RankRecord::First(record) = &mut self.record {
            record.epochs_taken_over(history);
        }
        let mut at = self.begin_under_way(task);
        at.enter(Part::BestValidation, self.learner.device());
        let evaluations = self.evaluate_best(&mut at)?;
        let end = TaskEnd {
            task,
            best_epoch: outcome.best_epoch,
            epochs: outcome.epochs,
            ended_by: outcome.ended_by,
            evaluations,
            state: Kept::by(&*self.approach),
            skipped: outcome.skipped,
            unlearning: unlearning(record, task),
        };
        self.record
            .task_ended(end, &self.learner, &mut self.feed.clock)
    }

    /// Puts weights and the approach's state in place as the run in `folder` has left them after
    /// `task`.
    pub(super) fn put_in_place(
        &mut self,
        folder: &Path,
        record: &RunRecord,
        task: usize,
    ) -> Result<(), TrainError> {
        let head = &record.head;
        let from = origin(&head.id(), &head.settings, &head.categories, task);
        checkpoint::load_own(
            &folder.join(checkpoint_file(task)),
            self.learner.store(),
            &from,
        )?;
        let outcome = &record.progress.tasks[task];
        let state = folder.join(state_file(task));
        let named = outcome.hashes.as_ref().map_or(state.exists(), |hashes| {
            hashes.files.contains_key(&state_file(task))
        });
        if named {
            let tensors = checkpoint::read_own(&state, &from)?;
            self.approach.restore(&self.learner, &state, tensors)?;
        }
        Ok(())
    }

    /// Refuses a run whose training and validation lists of clean tasks are others than ours, the
    /// frames of clips that have left apart.
    fn same_lists(&self, from: &TakeOver<'_>, clean: usize) -> Result<(), TrainError> {
        let lists = |folder: &Path| -> Result<Vec<AvailabilityRow>, TrainError> {
            let mut rows: Vec<AvailabilityRow> =
                parquet_file::read_any(&folder.join(AvailabilityRow::FILE))?;
            rows.retain(|row| {
                usize::try_from(row.task).is_ok_and(|task| task < clean) && row.split != Split::Test
            });
            for row in &mut rows {
                row.usable &= !(from.left)(&row.clip_id);
            }
            Ok(rows)
        };
        if lists(from.old)? == lists(&self.config.out)? {
            return Ok(());
        }
        Err(TrainError::NotTakenOver {
            folder: from.old.to_owned(),
            why: "its lists are not those of --availability without the withdrawn clips".into(),
        })
    }
}

/// What unlearning cost a run at the start of `task`.
fn unlearning(record: &RunRecord, task: usize) -> Vec<(String, Option<f64>)> {
    let rows = record.metrics.iter().filter(|row| {
        usize::try_from(row.task) == Ok(task) && row.metric.starts_with(Visits::METRIC)
    });
    rows.map(|row| (row.metric.clone(), row.value)).collect()
}
