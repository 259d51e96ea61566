//! Where a run goes on: what its done tasks left.

use super::Record;
use crate::clip::Split;
use crate::metrics::{FigureRow, Names, figures_of};
use crate::model::checkpoint;
use crate::tables::MetricRow;
use crate::train::TrainError;
use crate::train::approach::Approach;
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
        if done > 0 {
            tracing::info!(
                "{}: {done} of {} tasks are done; going on",
                self.config.out.display(),
                self.data.tasks.len()
            );
        }
        let Some(last) = self.folder.progress.last_trained() else {
            return Ok(());
        };
        let origin = self.folder.origin(last);
        checkpoint::load_own(&self.folder.checkpoint(last), learner.store(), &origin)?;
        if let Some(path) = self.folder.named_state(last) {
            let state = checkpoint::read_own(&path, &origin)?;
            approach.restore(learner, &path, state)?;
        }
        // From the metrics as they were judged: predictions of clips withdrawn since are gone.
        let taxonomy = &self.data.deal.taxonomy;
        let categories = taxonomy.category_names();
        let subcategories: Vec<(usize, String)> = taxonomy
            .subcategories()
            .map(|(class, name)| (class, name.to_owned()))
            .collect();
        let names = Names {
            categories: &categories,
            subcategories: &subcategories,
        };
        let outcomes = &self.folder.progress.tasks;
        for task in (0..done).filter(|&task| outcomes[task].was_trained()) {
            let of_task = |row: &&MetricRow| {
                usize::try_from(row.task) == Ok(task) && row.split == Split::Test
            };
            let rows = self.folder.metrics.iter().filter(of_task);
            let rows: Vec<FigureRow> = rows.map(figure_row).collect();
            self.tested.push(figures_of(&rows, names));
        }
        Ok(())
    }
}

fn figure_row(row: &MetricRow) -> FigureRow {
    FigureRow {
        metric: row.metric.clone(),
        category: row.category.clone(),
        subcategory: row.subcategory.clone(),
        value: row.value,
        forgetting: row.forgetting,
    }
}
