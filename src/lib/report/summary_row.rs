//! The table of figures over seeds.

use arrow::datatypes::Field;
use serde::{Deserialize, Serialize};

use crate::parquet_file::{Format, Table, column};

/// A row of the table of figures over seeds, on the test set.
///
/// Sorted by scenario, approach, metric, class, subcategory, task; nulls first. `task` is null for
/// the mean over tasks: over all tasks for the value, over tasks 1 and up for the forgetting. A
/// run's mean is taken first, then mean and standard deviation (n - 1) over the seeds. Only finished
/// runs count. The mean over tasks of a subcategory that leaves is over those before and after, which
/// the page and the rows of single tasks tell apart.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SummaryRow {
    /// The scenario.
    pub scenario: String,
    /// The approach.
    pub approach: String,
    /// The figure's name as in `metrics.parquet`.
    pub metric: String,
    /// The category, for figures per class and per subcategory.
    pub category: Option<String>,
    /// The subcategory, for figures per subcategory.
    pub subcategory: Option<String>,
    /// The task, from 0; null for the mean over tasks.
    pub task: Option<i32>,
    /// Runs (seeds) of the group.
    pub seeds: i32,
    /// Mean over seeds; null where undefined in all of them.
    pub mean: Option<f64>,
    /// Standard deviation over seeds, n - 1; null with one seed.
    pub deviation: Option<f64>,
    /// Mean over seeds of the forgetting.
    pub forgetting_mean: Option<f64>,
    /// Standard deviation over seeds of the forgetting, n - 1; null with one seed.
    pub forgetting_deviation: Option<f64>,
}

impl Table for SummaryRow {
    const FORMAT: Format = Format::new("incdec.report", 2, "make report");

    fn columns() -> Vec<Field> {
        vec![
            column::text("scenario"),
            column::text("approach"),
            column::text("metric"),
            column::nullable(column::text("category")),
            column::nullable(column::text("subcategory")),
            column::nullable(column::int32("task")),
            column::int32("seeds"),
            column::nullable(column::float64("mean")),
            column::nullable(column::float64("deviation")),
            column::nullable(column::float64("forgetting_mean")),
            column::nullable(column::float64("forgetting_deviation")),
        ]
    }
}
