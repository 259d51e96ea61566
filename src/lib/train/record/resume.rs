//! Where a run goes on: what its done tasks left.

use super::Record;
use crate::clip::Split;
use crate::model::checkpoint;
use crate::tables::PredictionRow;
use crate::train::TrainError;
use crate::train::approach::Approach;
use crate::train::evaluate::judge_rows;
use crate::train::learner::Learner;

impl Record<'_> {
    /// Puts back weights, the approach's state and figures of the tasks that are done.
    ///
    /// # Errors
    /// When a file of theirs is absent, or is not what the run wrote.
    pub(in crate::train) fn resume(
        &mut self,
        learner: &Learner,
        approach: &mut dyn Approach,
    ) -> Result<(), TrainError> {
        let done = self.done();
        let Some(last) = done.checked_sub(1) else {
            return Ok(());
        };
        tracing::info!(
            "{}: {done} of {} tasks are done; going on",
            self.config.out.display(),
            self.data.tasks.len()
        );
        let origin = self.folder.origin(last);
        checkpoint::load_own(&self.folder.checkpoint(last), learner.store(), &origin)?;
        if let Some(path) = self.folder.named_state(last) {
            let state = checkpoint::read_own(&path, &origin)?;
            approach.restore(learner, &path, state)?;
        }
        for task in 0..done {
            let of_task = |row: &&PredictionRow| {
                usize::try_from(row.task) == Ok(task) && row.split == Split::Test
            };
            let rows: Vec<&PredictionRow> =
                self.folder.predictions.iter().filter(of_task).collect();
            let criterion = self.config.settings.criterion;
            self.tested
                .push(judge_rows(&self.data.deal.taxonomy, criterion, &rows)?.figures);
        }
        Ok(())
    }
}
