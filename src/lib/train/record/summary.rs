//! What a run comes to: `run.json`, and a few lines on stdout.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use serde::Serialize;

use super::folder::RunFolder;
use crate::clip::Split;
use crate::metrics::mean_defined;
use crate::run_record::{RunFigures, RunSummary, TaskFigures};
use crate::tables::MetricRow;
use crate::train::settings::TrainConfig;
use crate::train::task_sequence::TaskSequence;

/// How a run ended.
#[derive(Clone, Debug, Serialize)]
pub struct TrainSummary {
    /// The run directory.
    pub folder: PathBuf,
    /// Whether the run had been completed before, so that nothing was done.
    pub was_complete: bool,
    /// What `run.json` holds.
    pub facts: RunSummary,
}

impl TrainSummary {
    pub(super) fn new(config: &TrainConfig, facts: RunSummary, was_complete: bool) -> Self {
        Self {
            folder: config.out.clone(),
            was_complete,
            facts,
        }
    }
}

impl fmt::Display for TrainSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
        let mut table = String::from("task  best epoch  test mAP  accuracy  forgetting of mAP\n");
        for task in &self.facts.tasks {
            // Writing into a string cannot fail.
            let _ = writeln!(
                table,
                "{:>4}  {:>10}  {:>8}  {:>8}  {:>17}",
                task.task,
                task.best_epoch,
                text(task.figures.mean_ap),
                text(task.figures.accuracy),
                text(task.figures.mean_ap_forgetting)
            );
        }
        write!(
            f,
            "{table}{} of {}: mean test mAP {}, mean forgetting {}{}",
            self.facts.approach,
            self.folder.display(),
            text(self.facts.figures.mean_ap),
            text(self.facts.figures.mean_ap_forgetting),
            if self.was_complete {
                " (complete before; nothing was done)"
            } else {
                ""
            },
        )
    }
}

/// The content of `run.json`: the figures of each task, their means over tasks, and what was passed
/// over.
pub(super) fn facts(config: &TrainConfig, data: &TaskSequence, folder: &RunFolder) -> RunSummary {
    let find = |task: usize, metric: &str| -> Option<&MetricRow> {
        folder.metrics.iter().find(|row| {
            usize::try_from(row.task) == Ok(task)
                && row.split == Split::Test
                && row.metric == metric
                && row.category.is_none()
        })
    };
    let done = folder.done();
    let outcomes = folder.progress.tasks.iter().enumerate();
    let tasks = outcomes.map(|(task, outcome)| TaskFigures {
        task,
        best_epoch: outcome.best_epoch,
        epochs: outcome.epochs,
        ended_by: outcome.ended_by.clone(),
        unusable_clips: outcome.unusable.iter().sum(),
        figures: RunFigures::of(|metric| {
            let row = find(task, metric);
            [
                row.and_then(|row| row.value),
                row.and_then(|row| row.forgetting),
            ]
        }),
    });
    let skipped = folder
        .progress
        .tasks
        .last()
        .map(|outcome| outcome.skipped.clone());
    RunSummary {
        format: RunSummary::FORMAT.to_owned(),
        version: RunSummary::VERSION,
        run_id: folder.run_id().to_owned(),
        approach: config.settings.approach.to_string(),
        scenario: data.deal.scenario.clone(),
        seed: config.settings.seed,
        categories: data.deal.taxonomy.category_names(),
        skipped_clips: skipped.unwrap_or_default(),
        tasks: tasks.collect(),
        erasures: folder.progress.erasures.clone(),
        pretrained: folder.partial().map(str::to_owned),
        figures: RunFigures::of(|metric| {
            let values = (0..done).map(|task| find(task, metric)?.value);
            let forgetting = (1..done).map(|task| find(task, metric)?.forgetting);
            [mean_defined(values), mean_defined(forgetting)]
        }),
        // The record itself says on what it was computed.
        ..RunSummary::default()
    }
}
