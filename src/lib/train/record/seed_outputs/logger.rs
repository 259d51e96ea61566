//! `logger/` (test) and `validation_logger/`: one line a task, rewritten whole, 0 for tasks to
//! come.

use super::python::three_decimals;
use super::view::SeedOutputs;
use crate::clip::Split;
use crate::run_record::TaskOutcome;
use crate::tables::MetricRow;
use crate::train::TrainError;
use crate::train::settings::CriterionName;

/// How a task ends that has had all its epochs.
const ENDED_BY_EPOCHS: &str = "epochs";
/// Overall figures: the seed's file, ours, and the unit's factor.
const OVERALL: [(&str, &str, f64); 3] = [
    ("acc", "accuracy", 100.0),
    ("mean_ap", "mean_ap", 100.0),
    ("map_weighted", "mean_ap_weighted", 100.0),
];
/// Figures per class: the seed's file and ours.
const PER_CLASS: [(&str, &str); 4] = [
    ("ap", "ap_per_class"),
    ("acc_per_class", "accuracy_per_class"),
    ("precision_per_class", "precision_per_class"),
    ("recall_per_class", "recall_per_class"),
];
/// What was forgotten overall.
const FORGOTTEN: [(&str, &str); 2] = [("forg_acc", "accuracy"), ("forg_mean_ap", "mean_ap")];
/// What was forgotten of each class.
const FORGOTTEN_PER_CLASS: [(&str, &str); 4] = [
    ("forg_ap", "ap_per_class"),
    ("forg_recall_per_class", "recall_per_class"),
    ("forg_precision_per_class", "precision_per_class"),
    ("forg_accuracy_per_class", "accuracy_per_class"),
];
/// What was forgotten of each subcategory.
const FORGOTTEN_PER_SUBCATEGORY: [(&str, &str); 4] = [
    ("forg_ap_per_subcategory", "ap_per_subcategory"),
    ("forg_recall_per_subcategory", "recall_per_subcategory"),
    (
        "forg_precision_per_subcategory",
        "precision_per_subcategory",
    ),
    ("forg_accuracy_per_subcategory", "accuracy_per_subcategory"),
];

/// Writes the files of `split`.
pub(super) fn write(outputs: &SeedOutputs<'_>, split: Split) -> Result<(), TrainError> {
    let logger = Logger::new(outputs, split);
    for (file, metric, unit) in OVERALL {
        logger.vector(file, |task| logger.value(task, metric).map(|v| v * unit))?;
    }
    if outputs.config.settings.criterion == CriterionName::Multilabel {
        logger.vector("exact_match", |task| logger.value(task, "exact_match"))?;
    }
    for (file, metric) in FORGOTTEN {
        logger.vector(file, |task| {
            logger
                .forgetting(task, metric, None, None)
                .map(|v| v * 100.0)
        })?;
    }
    let categories = outputs.taxonomy().category_names();
    for (file, metric) in PER_CLASS {
        logger.matrix(file, None, |task| {
            categories
                .iter()
                .map(|c| logger.find(task, metric, Some(c), None)?.value)
                .collect()
        })?;
    }
    for (file, metric) in FORGOTTEN_PER_CLASS {
        logger.matrix(file, None, |task| {
            categories
                .iter()
                .map(|c| logger.forgetting(task, metric, Some(c), None))
                .collect()
        })?;
    }
    let subcategories: Vec<(usize, &str)> = outputs.taxonomy().subcategories().collect();
    let names: Vec<&str> = subcategories.iter().map(|(_, name)| *name).collect();
    let header = format!("# {}", names.join(","));
    for (file, metric) in FORGOTTEN_PER_SUBCATEGORY {
        logger.matrix(file, Some(&header), |task| {
            let of = |(class, name): &(usize, &str)| {
                logger.forgetting(task, metric, Some(&categories[*class]), Some(name))
            };
            subcategories.iter().map(of).collect()
        })?;
    }
    logger.best_epochs(None)
}

/// Writes `best_epoch_tasks.out` of `split` after an epoch of the task that is under way, whose
/// best epoch is `best` so far.
pub(super) fn write_best_epochs(
    outputs: &SeedOutputs<'_>,
    split: Split,
    best: u32,
) -> Result<(), TrainError> {
    Logger::new(outputs, split).best_epochs(Some(best))
}

struct Logger<'a> {
    outputs: &'a SeedOutputs<'a>,
    split: Split,
    folder: &'static str,
}

impl<'a> Logger<'a> {
    fn new(outputs: &'a SeedOutputs<'a>, split: Split) -> Self {
        Self {
            outputs,
            split,
            folder: if split == Split::Test {
                "logger"
            } else {
                "validation_logger"
            },
        }
    }

    fn find(
        &self,
        task: usize,
        metric: &str,
        class: Option<&str>,
        subcategory: Option<&str>,
    ) -> Option<&MetricRow> {
        self.outputs.folder.metrics.iter().find(|row| {
            usize::try_from(row.task) == Ok(task)
                && row.split == self.split
                && row.metric == metric
                && row.category.as_deref() == class
                && row.subcategory.as_deref() == subcategory
        })
    }

    fn value(&self, task: usize, metric: &str) -> Option<f64> {
        self.find(task, metric, None, None)?.value
    }

    /// What was forgotten; the seed leaves it at 0 on the validation set, and in the first task
    /// even where the figure is undefined.
    fn forgetting(
        &self,
        task: usize,
        metric: &str,
        class: Option<&str>,
        subcategory: Option<&str>,
    ) -> Option<f64> {
        if self.split == Split::Validation || task == 0 {
            return Some(0.0);
        }
        self.find(task, metric, class, subcategory)?.forgetting
    }

    /// A value a line; 0 for tasks to come.
    fn vector(&self, file: &str, of_task: impl Fn(usize) -> Option<f64>) -> Result<(), TrainError> {
        let text = self.lines(None, |task| three_decimals(of_task(task)), 1);
        self.outputs
            .write(&format!("{}/{file}.out", self.folder), text.as_bytes())
    }

    /// A line of values for each task; 0 for tasks to come.
    fn matrix(
        &self,
        file: &str,
        header: Option<&str>,
        of_task: impl Fn(usize) -> Vec<Option<f64>>,
    ) -> Result<(), TrainError> {
        let line = |task: usize| {
            let values: Vec<String> = of_task(task).into_iter().map(three_decimals).collect();
            values.join(",")
        };
        let columns = match header {
            Some(_) => self.outputs.taxonomy().subcategories().count(),
            None => self.outputs.taxonomy().classes(),
        };
        let text = self.lines(header, line, columns);
        self.outputs
            .write(&format!("{}/{file}.out", self.folder), text.as_bytes())
    }

    fn lines(
        &self,
        header: Option<&str>,
        of_task: impl Fn(usize) -> String,
        columns: usize,
    ) -> String {
        let zeros = vec!["0.000"; columns].join(",");
        let mut text = String::new();
        if let Some(line) = header {
            text += line;
            text.push('\n');
        }
        for task in 0..self.outputs.tasks() {
            text += &if task < self.outputs.folder.done() {
                of_task(task)
            } else {
                zeros.clone()
            };
            text.push('\n');
        }
        text
    }

    /// The best epoch of each task done, then `under_way`, that of the next one so far; -1 for
    /// tasks not begun.
    fn best_epochs(&self, under_way: Option<u32>) -> Result<(), TrainError> {
        let done = self.outputs.folder.progress.tasks.iter().enumerate();
        let done = done.map(|(task, outcome)| self.last_written_best(task, outcome));
        let known: Vec<Option<u32>> = done.chain(under_way.map(Some)).collect();
        let line = |task: usize| {
            let epoch = known.get(task).copied().flatten();
            epoch.map_or_else(|| "-1\n".to_owned(), |epoch| format!("{epoch}\n"))
        };
        let text: String = (0..self.outputs.tasks()).map(line).collect();
        self.outputs.write(
            &format!("{}/best_epoch_tasks.out", self.folder),
            text.as_bytes(),
        )
    }

    /// The best epoch of a task as the seed last wrote it. It does not write after the epoch in which
    /// early stopping or the rate ends the task, be that the best one: then it is the best before.
    fn last_written_best(&self, task: usize, outcome: &TaskOutcome) -> Option<u32> {
        let last = outcome.epochs.checked_sub(1)?;
        if outcome.best_epoch != last || outcome.ended_by == ENDED_BY_EPOCHS {
            return Some(outcome.best_epoch);
        }
        // `None < Some`, as where the best was chosen.
        let mut best: Option<(u32, Option<f64>)> = None;
        for row in &self.outputs.folder.history {
            let of_task = usize::try_from(row.task).is_ok_and(|t| t == task);
            let epoch = u32::try_from(row.epoch).ok().filter(|epoch| *epoch < last);
            let judged = row.split == Split::Validation && row.metric == "mean_ap";
            if let (true, true, Some(epoch)) = (of_task, judged, epoch)
                && best.is_none_or(|(_, before)| row.value > before)
            {
                best = Some((epoch, row.value));
            }
        }
        best.map(|(epoch, _)| epoch)
    }
}
