//! The seed's own output files, for people whose scripts read those: written from the run's tables after each task.
//!
//! Names, shapes, headers and units are the seed's: accuracy and mAP in percent, everything per class in 0..1, three
//! decimals, `nan` for what is undefined. Everything is a function of the tables but the weights and the copies of what was
//! printed, so the files of a complete run can be written later.

mod confusion;
mod errors;
mod logger;
mod parameters;
mod python;
mod transcript;

use std::path::{Path, PathBuf};

use tch::nn::VarStore;

use super::TrainError;
use super::plan::Plan;
use super::record::Record;
use super::settings::TrainConfig;
use crate::artifact;
use crate::clip::Split;
use crate::model::checkpoint;
use crate::parquet_file;
use crate::tables::ScheduleRow;

pub(super) use transcript::Transcript;

/// The last of the seed's files.
pub(super) const SUMMARY_FILE: &str = "summary.csv";

/// What is written before the first epoch.
const PARAMETERS_FILE: &str = "parameters.csv";
/// The weights that the running task began with.
const START_FILE: &str = "_model.pth";
/// What is written before a run's first epoch is done, beside [`SUBCATEGORIES`].
pub(super) const START_FILES: [&str; 2] = [PARAMETERS_FILE, START_FILE];
/// Folder of the subcategories of each task.
pub(super) const SUBCATEGORIES: &str = "subcategories_task";
/// The folders of the seed's files within the run directory.
pub(super) const FOLDERS: [&str; 5] = [
    SUBCATEGORIES,
    "logger",
    "validation_logger",
    "confusion_matrices",
    "error_analysis",
];

/// The tables of a run as the seed's files need them.
pub(super) struct SeedOutputs<'a> {
    pub(super) config: &'a TrainConfig,
    pub(super) plan: &'a Plan,
    pub(super) record: &'a Record,
}

impl SeedOutputs<'_> {
    /// Where the files go: the run directory takes the place of the seed's `<approach>_<8 letters or digits>`.
    fn folder(&self) -> &Path {
        self.record.folder()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder().join(name)
    }

    /// The number of tasks that were dealt; after `--stop-after-first-task` most of them never come.
    fn tasks(&self) -> usize {
        self.plan.dealt
    }

    /// The seed's data folder, in which `Videos/` and `Info/` lie: the one that holds the shards.
    fn data_path(&self) -> String {
        let path = self
            .config
            .shards
            .parent()
            .filter(|p| !p.as_os_str().is_empty());
        path.map_or_else(|| ".".to_owned(), |p| p.display().to_string())
    }

    /// What the seed writes before its first epoch.
    pub(super) fn at_start(&self) -> Result<(), TrainError> {
        parameters::write_parameters(self)?;
        self.write_subcategories()
    }

    /// The seed's `_model.pth`: the weights that a task's first epoch begins with.
    pub(super) fn at_start_of_task(&self, store: &VarStore) -> Result<(), TrainError> {
        Ok(checkpoint::save_pytorch(&self.path(START_FILE), store)?)
    }

    /// What the seed rewrites after each epoch that does not end the task: its best epoch so far.
    pub(super) fn after_epoch(&self, best_epoch: u32) -> Result<(), TrainError> {
        for split in [Split::Validation, Split::Test] {
            logger::write_best_epochs(self, split, best_epoch)?;
        }
        Ok(())
    }

    /// What the seed writes when the tasks up to now are done.
    pub(super) fn after_tasks(&self) -> Result<(), TrainError> {
        for split in [Split::Validation, Split::Test] {
            logger::write(self, split)?;
            for task in 0..self.record.done() {
                confusion::write(self, task, split)?;
                errors::write(self, task, split)?;
            }
        }
        Ok(())
    }

    /// The seed's `best_mAP_task_<t>_model.pth`.
    pub(super) fn after_task(&self, task: usize, store: &VarStore) -> Result<(), TrainError> {
        checkpoint::save_pytorch(
            &self.path(&format!("best_mAP_task_{task}_model.pth")),
            store,
        )?;
        self.after_tasks()
    }

    /// What the seed writes at the very end.
    pub(super) fn at_end(&self) -> Result<(), TrainError> {
        parameters::write_average_time(self)?;
        parameters::write_summary(self)
    }

    /// Writes everything of a complete run anew from its tables and checkpoints; `store` is a model of its shape.
    pub(super) fn of_complete_run(&self, store: &VarStore) -> Result<(), TrainError> {
        self.at_start()?;
        for task in 0..self.record.done() {
            let origin = self.record.origin(task);
            checkpoint::load_own(&self.record.checkpoint(task), store, &origin)?;
            checkpoint::save_pytorch(
                &self.path(&format!("best_mAP_task_{task}_model.pth")),
                store,
            )?;
        }
        self.after_tasks()?;
        self.at_end()
    }

    /// `subcategories_task/task_<t>`: a line for each category with its subcategories of that task, in their order, padded
    /// with empty fields to the longest line.
    fn write_subcategories(&self) -> Result<(), TrainError> {
        if !["decremental", "incremental-decremental"].contains(&self.plan.scenario.as_str()) {
            return Ok(());
        }
        let rows: Vec<ScheduleRow> = parquet_file::read(&self.path(ScheduleRow::FILE))?;
        for task in 0..self.tasks() {
            let lines: Vec<Vec<&str>> = self
                .plan
                .categories
                .iter()
                .map(|category| of_category(&rows, task, category))
                .collect();
            let width = lines.iter().map(Vec::len).max().unwrap_or(0);
            let mut writer = csv::WriterBuilder::new()
                .has_headers(false)
                .from_writer(Vec::new());
            for mut line in lines {
                line.resize(width, "");
                writer.write_record(&line)?;
            }
            self.write(&format!("{SUBCATEGORIES}/task_{task}"), &finished(writer)?)?;
        }
        Ok(())
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), TrainError> {
        Ok(artifact::publish(&self.path(name), |w| w.write_all(bytes))?)
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

/// The bytes of a CSV writer.
fn finished(writer: csv::Writer<Vec<u8>>) -> Result<Vec<u8>, TrainError> {
    writer
        .into_inner()
        .map_err(|e| TrainError::Csv(e.into_error().into()))
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
