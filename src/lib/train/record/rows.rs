//! Epochs and tasks as rows of the run's tables: plain functions of what happened.

use std::collections::BTreeSet;
use std::fmt;

use super::TaskEnd;
use crate::clip::Split;
use crate::metrics::{self, Figures, Names};
use crate::tables::{HistoryRow, MetricRow, TimingRow};
use crate::taxonomy::Taxonomy;
use crate::train::evaluate::Evaluation;
use crate::train::forecast::Pace;
use crate::train::profile::{Clock, Phase};
use crate::train::task_sequence::TaskSequence;
use crate::train::trained::Trained;

/// An epoch that is over.
#[derive(Clone, Copy)]
pub(in crate::train) struct EpochEnd<'a> {
    pub(in crate::train) task: usize,
    pub(in crate::train) epoch: u32,
    /// How fast it went, and what is left of the run.
    pub(in crate::train) pace: &'a Pace,
    pub(in crate::train) trained: &'a Trained,
    pub(in crate::train) validation: &'a Evaluation,
    /// The rates it was trained with: of one group, or of head and backbone.
    pub(in crate::train) rates: &'a [f64],
    /// The best epoch of the task so far.
    pub(in crate::train) best_epoch: u32,
    /// Whether the task ends with it.
    pub(in crate::train) ends_task: bool,
}

impl EpochEnd<'_> {
    /// What is measured on the validation set, by its names in `history.parquet` and in events.
    pub(super) fn on_validation(&self) -> [(&'static str, &'static str, Option<f64>); 4] {
        let figures = &self.validation.metrics.figures;
        [
            ("loss", "classification_loss", Some(self.validation.loss)),
            ("accuracy", "accuracy", figures.accuracy),
            ("mean_ap", "mAP", figures.mean_ap),
            ("mean_ap_weighted", "weighted_mAP", figures.mean_ap_weighted),
        ]
    }
}

impl fmt::Display for EpochEnd<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "task {} epoch {}: loss {:.4}, penalty {:.4}, validation loss {:.4}, mAP {}, best epoch {}, {:.1} s; {}",
            self.task,
            self.epoch,
            self.trained.loss(),
            self.trained.penalty(),
            self.validation.loss,
            shown(self.validation.metrics.figures.mean_ap),
            self.best_epoch,
            self.trained.seconds() + self.validation.seconds,
            self.pace,
        )
    }
}

/// A figure for people.
pub(super) fn shown(value: Option<f64>) -> String {
    value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"))
}

/// A task or epoch as tables count it.
pub(super) fn number(value: impl TryInto<i32>) -> i32 {
    value.try_into().unwrap_or(i32::MAX)
}

/// The rows of an epoch in `history.parquet`.
pub(super) fn history(end: &EpochEnd<'_>) -> impl Iterator<Item = HistoryRow> {
    let (task, epoch) = (number(end.task), number(end.epoch));
    let row = move |split| {
        move |(metric, value): (&str, Option<f64>)| HistoryRow {
            task,
            epoch,
            split,
            metric: metric.to_owned(),
            value,
        }
    };
    let on_train = [
        ("loss", Some(end.trained.loss())),
        ("penalty", Some(end.trained.penalty())),
        ("lr_head", end.rates.first().copied()),
        ("lr_backbone", end.rates.last().copied()),
    ];
    let on_validation = end
        .on_validation()
        .map(|(metric, _, value)| (metric, value));
    let on_train = on_train.map(row(Split::Train));
    on_train
        .into_iter()
        .chain(on_validation.map(row(Split::Validation)))
}

/// The rows of `metrics.parquet` of a task's evaluation on `split`.
pub(super) fn metrics(
    task: usize,
    split: Split,
    evaluation: &Evaluation,
    forgotten: Option<&Figures>,
    taxonomy: &Taxonomy,
) -> impl Iterator<Item = MetricRow> {
    let subcategories = taxonomy.subcategories();
    let names = Names {
        categories: &taxonomy.category_names(),
        subcategories: &subcategories
            .map(|(class, name)| (class, name.to_owned()))
            .collect::<Vec<_>>(),
    };
    let rows = metrics::flatten(&evaluation.metrics, forgotten, names);
    rows.into_iter().map(move |row| MetricRow {
        task: number(task),
        split,
        metric: row.metric,
        category: row.category,
        subcategory: row.subcategory,
        value: row.value,
        forgetting: row.forgetting,
    })
}

/// The rows of `metrics.parquet` of what unlearning cost at a task's start.
pub(super) fn unlearning(end: &TaskEnd) -> impl Iterator<Item = MetricRow> {
    end.unlearning.iter().map(|(metric, value)| MetricRow {
        task: number(end.task),
        split: Split::Train,
        metric: metric.clone(),
        category: None,
        subcategory: None,
        value: *value,
        forgetting: None,
    })
}

/// The rows of `metrics.parquet` of what the tasks up to `task` come to, of which `tested` has the
/// figures, those that were passed over left out: groups are subcategories, their figure the average
/// precision on the test split. A run alone has neither a new model's figures nor those of one
/// trained from scratch, so forward transfer and intransigence are undefined.
pub(super) fn continual(data: &TaskSequence, task: usize, tested: &[Figures]) -> Vec<MetricRow> {
    let names: Vec<&str> = data.deal.taxonomy.subcategories().map(|s| s.1).collect();
    let figures: Vec<_> = tested
        .iter()
        .map(|f| f.ap_per_subcategory.clone())
        .collect();
    let trained = data.tasks[..=task].iter().filter(|task| !task.is_empty());
    let present = trained.map(|lists| {
        let samples = lists.train.samples().iter();
        let groups: BTreeSet<&str> = samples.map(|sample| &sample.subcategory[..]).collect();
        names.iter().map(|name| groups.contains(name)).collect()
    });
    let present: Vec<Vec<bool>> = present.collect();
    let found = metrics::continual(&metrics::Sequence {
        figures: &figures,
        present: &present,
        random: None,
        joint: None,
    });
    let row = |(metric, value): (&str, Option<f64>)| MetricRow {
        task: number(task),
        split: Split::Test,
        metric: metric.to_owned(),
        category: None,
        subcategory: None,
        value,
        forgetting: None,
    };
    found.named().into_iter().map(row).collect()
}

/// The seconds of an epoch's two halves.
pub(super) fn seconds_of_epoch(end: &EpochEnd<'_>) -> [TimingRow; 2] {
    let epoch = Some(number(end.epoch));
    let (trained, validation) = (end.trained, end.validation);
    [
        timing(
            end.task,
            epoch,
            TimingRow::TRAIN,
            trained.seconds(),
            trained.clips(),
        ),
        timing(
            end.task,
            epoch,
            "validation",
            validation.seconds,
            validation.clips.len(),
        ),
    ]
}

/// The seconds of a task's evaluation on `split`.
pub(super) fn seconds_of_evaluation(
    task: usize,
    split: Split,
    evaluation: &Evaluation,
) -> TimingRow {
    let phase = format!("evaluation on {split}");
    timing(
        task,
        None,
        &phase,
        evaluation.seconds,
        evaluation.clips.len(),
    )
}

/// The seconds of `task` in each phase; the clock runs on over tasks.
pub(super) fn seconds_of_phases(task: usize, clock: &mut Clock) -> impl Iterator<Item = TimingRow> {
    let seconds = clock.lap();
    let phases = Phase::ALL.into_iter().zip(seconds);
    phases.map(move |(phase, seconds)| timing(task, None, phase.name(), seconds, 0))
}

fn timing(task: usize, epoch: Option<i32>, phase: &str, seconds: f64, clips: usize) -> TimingRow {
    TimingRow {
        task: number(task),
        epoch,
        phase: phase.to_owned(),
        seconds,
        clips: i64::try_from(clips).unwrap_or(i64::MAX),
    }
}
