//! Going on from the last task that never knew a withdrawn clip: its weights, taken over from a run
//! that stays as it is.

use std::path::Path;

use super::Run;
use crate::clip::Split;
use crate::model::checkpoint;
use crate::parquet_file;
use crate::run_record::{
    Part, RunHead, RunRecord, checkpoint_file, differences, listed, state_file,
};
use crate::tables::{AvailabilityRow, HistoryRow};
use crate::train::TrainError;
use crate::train::approach::Kept;
use crate::train::record::{RankRecord, TaskEnd, origin};
use crate::train::withdrawals;
use crate::withdrawn::Withdrawn;

impl Run<'_> {
    /// Takes the tasks over that `old` has done before the first that trained on or validated with
    /// a withdrawn clip. Weights, the approach's state and the figures of epochs are those of
    /// `old`; each task is evaluated once more, on its lists without the withdrawn clips.
    ///
    /// # Errors
    /// When `old` is no run, one under other settings, one whose lists are others, or damaged.
    pub(super) fn take_over(
        &mut self,
        old: &Path,
        withdrawn: &Withdrawn,
    ) -> Result<(), TrainError> {
        let RankRecord::First(ours) = &self.record else {
            // One process alone does this, as `TrainConfig::check` has seen to.
            return Ok(());
        };
        let ours = ours.provenance();
        let record = RunRecord::read(old)?.ok_or_else(|| TrainError::NotARun {
            folder: old.to_owned(),
        })?;
        let version = RunHead::read(&self.config.out)?.map_or(0, |head| head.version);
        let mut found = differences("version", &record.head.version, &version);
        found.extend(differences(
            "settings",
            &record.head.settings,
            &ours.settings,
        ));
        let pretrained =
            |inputs: &std::collections::BTreeMap<String, String>| inputs.get("pretrained").cloned();
        found.extend(differences(
            "pretrained",
            &pretrained(&record.head.inputs),
            &pretrained(&ours.inputs),
        ));
        if !found.is_empty() {
            return Err(TrainError::NotTakenOver {
                folder: old.to_owned(),
                why: format!("it is another run: {}", listed(&found)),
            });
        }
        let seen = withdrawals::seen_of(withdrawn, old, &record.progress)?;
        let first_seen = seen
            .first()
            .and_then(|row| usize::try_from(row.first_task).ok());
        let done = record.progress.tasks.len();
        let clean = first_seen
            .map_or(done, |task| task.min(done))
            .min(self.data.tasks.len());
        self.same_lists(old, withdrawn, clean)?;
        tracing::info!(
            "{}: {clean} of {done} done tasks never knew a withdrawn clip and are taken over",
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

    /// Takes one task over, as if it had been trained here.
    fn take_task(&mut self, old: &Path, record: &RunRecord, task: usize) -> Result<(), TrainError> {
        let head = &record.head;
        let from = origin(&head.id(), &head.settings, &head.categories, task);
        checkpoint::load_own(
            &old.join(checkpoint_file(task)),
            self.learner.store(),
            &from,
        )?;
        let outcome = record.progress.tasks[task].clone();
        let state = old.join(state_file(task));
        let named = outcome.hashes.as_ref().map_or(state.exists(), |hashes| {
            hashes.files.contains_key(&state_file(task))
        });
        if named {
            let tensors = checkpoint::read_own(&state, &from)?;
            self.approach.restore(&self.learner, &state, tensors)?;
        }
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
        };
        self.record
            .task_ended(end, &self.learner, &mut self.feed.clock)
    }

    /// Refuses a run whose training and validation lists of clean tasks are others than ours, the
    /// withdrawn clips' frames apart.
    fn same_lists(
        &self,
        old: &Path,
        withdrawn: &Withdrawn,
        clean: usize,
    ) -> Result<(), TrainError> {
        let lists = |folder: &Path| -> Result<Vec<AvailabilityRow>, TrainError> {
            let mut rows: Vec<AvailabilityRow> =
                parquet_file::read_any(&folder.join(AvailabilityRow::FILE))?;
            rows.retain(|row| {
                usize::try_from(row.task).is_ok_and(|task| task < clean) && row.split != Split::Test
            });
            for row in &mut rows {
                row.usable &= !withdrawn.contains(&row.clip_id);
            }
            Ok(rows)
        };
        if lists(old)? == lists(&self.config.availability)? {
            return Ok(());
        }
        Err(TrainError::NotTakenOver {
            folder: old.to_owned(),
            why: "its lists are not those of --availability without the withdrawn clips".into(),
        })
    }
}
