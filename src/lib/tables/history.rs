//! `history.parquet`: the figures of every epoch.

use crate::clip::Split;
use crate::parquet_file::table_row;

table_row! {
    /// A row of `history.parquet`: one figure of one epoch. Sorted by task, epoch, split, metric.
    pub struct HistoryRow in "history.parquet": "incdec.history" version 1 by "make train"
    sorted task epoch;
    {
        /// The task, from 0.
        pub task: i32,
        /// The epoch within the task, from 0.
        pub epoch: i32,
        /// What it was computed on.
        pub split: Split,
        /// The figure's name: `loss`, `penalty`, `accuracy`, `mean_ap`, `mean_ap_weighted`,
        /// `lr_backbone`, `lr_head`.
        pub metric: String,
        /// Its value; null where undefined.
        pub value: Option<f64>,
    }
}
