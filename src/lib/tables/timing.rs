//! `timing.parquet`: where the seconds went.

use crate::parquet_file::table_row;

table_row! {
    /// A row of `timing.parquet`, outside every byte-equality promise.
    pub struct TimingRow in "timing.parquet": "incdec.timing" version 1 by "make train" {
        /// The task, from 0.
        pub task: i32,
        /// The epoch within the task, from 0; null for what happens once a task.
        pub epoch: Option<i32>,
        /// What took the time: `train`, `validation`, `evaluation`, `waiting for data`, ...
        pub phase: String,
        /// Wall-clock seconds.
        pub seconds: f64,
        /// Clips that passed through.
        pub clips: i64,
    }
}

impl TimingRow {
    /// The phase of an epoch's steps, whose clips were trained on.
    pub const TRAIN: &'static str = "train";
}
