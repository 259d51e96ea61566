//! Where a run goes on: what its done tasks left.

use super::Run;
use crate::clip::Split;
use crate::model::checkpoint;
use crate::tables::PredictionRow;
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
        let origin = self.record.origin(last);
        checkpoint::load_own(&self.record.checkpoint(last), self.learner.store(), &origin)?;
        if self.approach.wants_batches() {
            let path = self.record.state(last);
            let state = checkpoint::read_own(&path, &origin)?;
            self.approach.restore(&self.learner, &path, state)?;
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
