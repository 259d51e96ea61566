//! Where a run goes on: what its done tasks left.

use super::Run;
use crate::clip::Split;
use crate::model::checkpoint::{self, LoadMode};
use crate::model::state_dict;
use crate::run_tables::PredictionRow;
use crate::train::TrainError;
use crate::train::evaluate::judge_rows;

impl Run<'_> {
    /// Puts back weights, approach and figures of the tasks that are done.
    pub(super) fn resume(&mut self) -> Result<(), TrainError> {
        let done = self.record.done();
        let Some(last) = done.checked_sub(1) else {
            return Ok(());
        };
        tracing::info!(
            "{}: {done} of {} tasks are done; going on",
            self.config.out.display(),
            self.plan.tasks.len()
        );
        checkpoint::load(
            &self.record.checkpoint(last),
            self.learner.store(),
            LoadMode::Exact,
        )?;
        if self.approach.wants_batches() {
            let state = state_dict::read(&self.record.state(last))
                .map_err(checkpoint::CheckpointError::from)?;
            self.approach
                .restore(&self.learner, state.tensors.into_iter().collect());
        }
        for task in 0..done {
            let rows: Vec<&PredictionRow> = self
                .record
                .predictions
                .iter()
                .filter(|row| usize::try_from(row.task) == Ok(task) && row.split == Split::Test)
                .collect();
            self.tested
                .push(judge_rows(&self.plan, self.settings.criterion, &rows)?.figures);
        }
        if let Some(outcome) = self.record.progress.tasks.last() {
            self.feed.skipped.extend(outcome.skipped.iter().cloned());
        }
        Ok(())
    }
}
