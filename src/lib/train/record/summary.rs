//! What a run comes to: `run.json`, and a few lines on stdout.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{PRETRAINED_KEY, Record};
use crate::clip::Split;
use crate::metrics::mean_defined;
use crate::tables::MetricRow;
use crate::train::plan::Plan;
use crate::train::settings::{Settings, TrainConfig};

/// The figures that the summary is made of.
const FIGURES: [&str; 3] = ["mean_ap", "mean_ap_weighted", "accuracy"];

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Summary {
    /// The run directory.
    pub folder: PathBuf,
    /// Whether the run had been completed before, so that nothing was done.
    pub was_complete: bool,
    /// What `run.json` holds.
    pub facts: Value,
}

impl Summary {
    pub(in crate::train) fn new(config: &TrainConfig, facts: Value, was_complete: bool) -> Self {
        Self {
            folder: config.out.clone(),
            was_complete,
            facts,
        }
    }
}

impl std::fmt::Display for Summary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = |value: &Value| {
            value
                .as_f64()
                .map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"))
        };
        let mut table = String::from("task  best epoch  test mAP  accuracy  forgetting of mAP\n");
        for task in self.facts["tasks"].as_array().into_iter().flatten() {
            // Writing into a string cannot fail.
            let _ = writeln!(
                table,
                "{:>4}  {:>10}  {:>8}  {:>8}  {:>17}",
                task["task"],
                task["best_epoch"],
                text(&task["mean_ap"]),
                text(&task["accuracy"]),
                text(&task["mean_ap_forgetting"])
            );
        }
        write!(
            f,
            "{table}{} of {}: mean test mAP {}, mean forgetting {}{}",
            self.facts["approach"].as_str().unwrap_or_default(),
            self.folder.display(),
            text(&self.facts["mean_ap"]),
            text(&self.facts["mean_ap_forgetting"]),
            if self.was_complete {
                " (complete before; nothing was done)"
            } else {
                ""
            },
        )
    }
}

/// The content of `run.json`: the figures of each task, their means over tasks, and what was passed over.
pub(in crate::train) fn summarise(plan: &Plan, settings: &Settings, record: &Record) -> Value {
    let find = |task: usize, metric: &str| -> Option<&MetricRow> {
        record.metrics.iter().find(|row| {
            usize::try_from(row.task) == Ok(task)
                && row.split == Split::Test
                && row.metric == metric
                && row.class.is_none()
        })
    };
    let done = record.done();
    let tasks: Vec<Value> = record
        .progress
        .tasks
        .iter()
        .enumerate()
        .map(|(task, outcome)| {
            let mut entry = json!({
                "task": task,
                "best_epoch": outcome.best_epoch,
                "epochs": outcome.epochs,
                "ended_by": outcome.ended_by,
                "unusable_clips": outcome.unusable.iter().sum::<usize>(),
            });
            for metric in FIGURES {
                let row = find(task, metric);
                entry[metric] = json!(row.and_then(|row| row.value));
                entry[format!("{metric}_forgetting")] = json!(row.and_then(|row| row.forgetting));
            }
            entry
        })
        .collect();
    let mut summary = json!({
        "format": "incdec.run-summary",
        "version": 1,
        "run_id": record.run_id(),
        "approach": settings.approach.to_string(),
        "scenario": plan.scenario,
        "seed": settings.seed,
        "categories": plan.categories,
        "skipped_clips": record.progress.tasks.last().map(|outcome| outcome.skipped.clone()).unwrap_or_default(),
        "tasks": tasks,
    });
    if let Some(partial) = record.partial() {
        summary[PRETRAINED_KEY] = partial.into();
    }
    for metric in FIGURES {
        summary[metric] = json!(mean_defined(
            (0..done).map(|task| find(task, metric)?.value)
        ));
        let forgetting = (1..done).map(|task| find(task, metric)?.forgetting);
        summary[format!("{metric}_forgetting")] = json!(mean_defined(forgetting));
    }
    summary
}
