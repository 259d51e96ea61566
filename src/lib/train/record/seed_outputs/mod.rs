//! The seed's own output files, for people whose scripts read those: written from the run's tables
//! after each task.
//!
//! Names, shapes, headers and units are the seed's: accuracy and mAP in percent, everything per
//! class in 0..1, three decimals, `nan` for what is undefined. Everything is a function of the
//! tables but the weights and the copies of what was printed, so the files of a complete run can be
//! written later.

mod confusion;
mod errors;
mod logger;
pub(super) mod names;
mod parameters;
mod python;
mod transcript;
mod view;

use tch::nn::VarStore;

use crate::clip::Split;
use crate::model::checkpoint;
use crate::parquet_file;
use crate::tables::ScheduleRow;
use crate::train::TrainError;
use names::{START_FILE, SUBCATEGORIES};

pub(super) use transcript::Transcript;
pub(super) use view::SeedOutputs;

impl SeedOutputs<'_> {
    /// What the seed writes before its first epoch.
    pub(in crate::train::record) fn at_start(&self) -> Result<(), TrainError> {
        parameters::write_parameters(self)?;
        self.write_subcategories()
    }

    /// The seed's `_model.pth`: the weights that a task's first epoch begins with.
    pub(in crate::train::record) fn at_start_of_task(
        &self,
        store: &VarStore,
    ) -> Result<(), TrainError> {
        Ok(checkpoint::save_pytorch(&self.path(START_FILE), store)?)
    }

    /// What the seed rewrites after each epoch that does not end the task: its best epoch so far.
    pub(in crate::train::record) fn after_epoch(&self, best_epoch: u32) -> Result<(), TrainError> {
        for split in [Split::Validation, Split::Test] {
            logger::write_best_epochs(self, split, best_epoch)?;
        }
        Ok(())
    }

    /// What the seed writes when the tasks up to now are done.
    pub(in crate::train::record) fn after_tasks(&self) -> Result<(), TrainError> {
        for split in [Split::Validation, Split::Test] {
            logger::write(self, split)?;
            for task in 0..self.folder.done() {
                confusion::write(self, task, split)?;
                errors::write(self, task, split)?;
            }
        }
        Ok(())
    }

    /// The seed's `best_mAP_task_<t>_model.pth`.
    pub(in crate::train::record) fn after_task(
        &self,
        task: usize,
        store: &VarStore,
    ) -> Result<(), TrainError> {
        checkpoint::save_pytorch(
            &self.path(&format!("best_mAP_task_{task}_model.pth")),
            store,
        )?;
        self.after_tasks()
    }

    /// What the seed writes at the very end.
    pub(in crate::train::record) fn at_end(&self) -> Result<(), TrainError> {
        parameters::write_average_time(self)?;
        parameters::write_summary(self)
    }

    /// Writes everything of a complete run anew from its tables and checkpoints; `store` is a model
    /// of its shape.
    pub(in crate::train::record) fn of_complete_run(
        &self,
        store: &VarStore,
    ) -> Result<(), TrainError> {
        self.at_start()?;
        for task in 0..self.folder.done() {
            let origin = self.folder.origin(task);
            checkpoint::load_own(&self.folder.checkpoint(task), store, &origin)?;
            checkpoint::save_pytorch(
                &self.path(&format!("best_mAP_task_{task}_model.pth")),
                store,
            )?;
        }
        self.after_tasks()?;
        self.at_end()
    }

    /// `subcategories_task/task_<t>`: a line for each category with its subcategories of that task,
    /// in their order, padded with empty fields to the longest line.
    fn write_subcategories(&self) -> Result<(), TrainError> {
        if self.data.deal.schedule_file.is_none() {
            return Ok(());
        }
        let rows: Vec<ScheduleRow> = parquet_file::read(&self.path(ScheduleRow::FILE))?;
        for task in 0..self.tasks() {
            let categories = self.taxonomy().categories().iter();
            let lines: Vec<Vec<&str>> = categories
                .map(|category| of_category(&rows, task, &category.name))
                .collect();
            let width = lines.iter().map(Vec::len).max().unwrap_or(0);
            self.write_table(&format!("{SUBCATEGORIES}/task_{task}"), |writer| {
                lines.into_iter().try_for_each(|mut line| {
                    line.resize(width, "");
                    writer.write_record(&line)
                })
            })?;
        }
        Ok(())
    }
}

/// The subcategories of `category` in `task`, in the order of their positions.
fn of_category<'a>(rows: &'a [ScheduleRow], task: usize, category: &str) -> Vec<&'a str> {
    let mut present: Vec<(i32, &str)> = rows
        .iter()
        .filter(|row| usize::try_from(row.task) == Ok(task) && row.category == category)
        .filter_map(|row| Some((row.position?, row.subcategory.as_str())))
        .collect();
    present.sort_unstable();
    present.dedup();
    present.into_iter().map(|(_, name)| name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::ScheduleEvent;

    #[test]
    fn subcategories_stand_in_their_order_without_the_removed() {
        let row = |subcategory: &str, position| ScheduleRow {
            task: 0,
            category: "a".into(),
            subcategory: subcategory.into(),
            position,
            event: ScheduleEvent::Kept,
        };
        let rows = [row("x", Some(1)), row("gone", None), row("y", Some(0))];
        assert_eq!(of_category(&rows, 0, "a"), ["y", "x"]);
        assert_eq!(of_category(&rows, 1, "a"), [""; 0]);
    }
}
