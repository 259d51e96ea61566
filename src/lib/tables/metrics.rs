//! `metrics.parquet`: the figures of every task.

use crate::clip::Split;
use crate::parquet_file::table_row;

table_row! {
    /// A row of `metrics.parquet`: one figure at the end of one task, computed with the best
    /// epoch's weights.
    ///
    /// `category` and `subcategory` are what the figure is about; both null for overall figures.
    /// Sorted by task, split, metric, category (class order), subcategory (taxonomy order), nulls
    /// first.
    pub struct MetricRow in "metrics.parquet": "incdec.metrics" version 2 by "make train RUN=another-name"
    sorted task;
    {
        /// The task, from 0.
        pub task: i32,
        /// What it was computed on: validation or test; train for what unlearning cost.
        pub split: Split,
        /// The figure's name as in `metrics` (`mean_ap`, `ap_per_class`, `confusion` ...).
        pub metric: String,
        /// The category, for figures per class and per subcategory.
        pub category: Option<String>,
        /// The subcategory, for figures per subcategory.
        pub subcategory: Option<String>,
        /// The value, 0..1 for shares; null where undefined.
        pub value: Option<f64>,
        /// The best value of earlier tasks minus this one (test only; 0 in task 0); null where
        /// undefined.
        pub forgetting: Option<f64>,
    }
}
