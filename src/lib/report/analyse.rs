//! What the page shows of a run beyond the figures that it recorded: confusion, curves, and the
//! level of chance.

use super::load::{Measured, Run};
use super::{CHANCE_QUANTILE, ReportError};
use crate::clip::Split;
use crate::metrics::{
    ChanceLevel, Metrics, Predictions, chance_level, evaluate, mean_and_deviation, mean_defined,
};
use crate::random;
use crate::tables::PredictionRow;

/// A run with what was found out about it.
#[derive(Clone, Debug)]
pub(super) struct Analysis {
    pub(super) run: Run,
    /// One entry for each evaluated task.
    pub(super) tasks: Vec<TaskAnalysis>,
}

/// One task of a run, judged on the test set.
#[derive(Clone, Debug)]
pub(super) struct TaskAnalysis {
    pub(super) task: i32,
    /// The evaluation of the stored predictions; absent where the run stored none.
    pub(super) evaluation: Option<Metrics>,
    /// Mean average precision of the same scores under permuted labels.
    pub(super) chance: Option<ChanceLevel>,
}

impl Analysis {
    pub(super) fn new(run: Run, permutations: usize) -> Result<Self, ReportError> {
        let tasks = run.figures.tasks();
        let tasks = tasks
            .into_iter()
            .map(|task| match run.predictions.get(&task) {
                Some(rows) => judged(&run, task, rows, permutations),
                None => Ok(TaskAnalysis {
                    task,
                    evaluation: None,
                    chance: None,
                }),
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { run, tasks })
    }

    /// An overall figure of a task on the test set.
    pub(super) fn test(&self, task: i32, metric: &str) -> Measured {
        self.run.figures.overall(task, Split::Test, metric)
    }

    /// The mean over all tasks of an overall figure on the test set.
    pub(super) fn mean(&self, metric: &str) -> Option<f64> {
        mean_defined(self.tasks.iter().map(|t| self.test(t.task, metric).value))
    }

    /// The mean over tasks 1 and up of what was forgotten of it; `None` with a single task.
    pub(super) fn mean_forgetting(&self, metric: &str) -> Option<f64> {
        let later = self.tasks.iter().skip(1);
        mean_defined(later.map(|t| self.test(t.task, metric).forgetting))
    }

    /// The last task that was evaluated. There is one: a run without any is refused when it is
    /// read.
    pub(super) fn last(&self) -> Option<&TaskAnalysis> {
        self.tasks.last()
    }
}

fn judged(
    run: &Run,
    task: i32,
    rows: &[PredictionRow],
    permutations: usize,
) -> Result<TaskAnalysis, ReportError> {
    let probabilities: Vec<f32> = rows
        .iter()
        .flat_map(|r| r.probabilities.iter().copied())
        .collect();
    // A label below 0 is out of range like one too large, and refused with the others.
    let labels: Vec<usize> = rows
        .iter()
        .map(|r| usize::try_from(r.label).unwrap_or(usize::MAX))
        .collect();
    let taxonomy = &run.taxonomy;
    let subcategories = rows
        .iter()
        .map(|r| {
            let place = taxonomy.place(&r.subcategory);
            place
                .map(|place| place.number)
                .ok_or_else(|| ReportError::Unknown {
                    path: run.predictions_file.clone(),
                    what: "subcategory",
                    name: r.subcategory.clone(),
                })
        })
        .collect::<Result<Vec<_>, _>>()?;
    let class_of_subcategory: Vec<usize> = taxonomy.subcategories().map(|(c, _)| c).collect();
    let predictions = Predictions {
        probabilities: &probabilities,
        labels: &labels,
        subcategories: &subcategories,
        class_of_subcategory: &class_of_subcategory,
        classes: taxonomy.classes(),
        criterion: run.criterion,
    };
    let refused = |source| ReportError::Metrics {
        path: run.predictions_file.clone(),
        task,
        source,
    };
    // Fixed, so that the page is the same whenever it is made; the permutations differ from task to
    // task.
    let key = u64::try_from(task).unwrap_or(0);
    let mut rng = random::stream(0, "report chance level", &[key]);
    Ok(TaskAnalysis {
        task,
        evaluation: Some(evaluate(&predictions).map_err(refused)?),
        chance: chance_level(&predictions, permutations, CHANCE_QUANTILE, &mut rng)
            .map_err(refused)?,
    })
}

/// Mean and standard deviation (n - 1) of the defined values, with their number.
pub(super) fn over_runs(values: impl IntoIterator<Item = Option<f64>>) -> Spread {
    let values: Vec<f64> = values.into_iter().flatten().collect();
    let (mean, deviation) = mean_and_deviation(&values);
    Spread {
        runs: values.len(),
        mean,
        deviation,
    }
}

/// A figure over several runs.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Spread {
    /// Runs in which it is defined.
    pub(super) runs: usize,
    pub(super) mean: Option<f64>,
    /// Standard deviation with n - 1; `None` with one run.
    pub(super) deviation: Option<f64>,
}
