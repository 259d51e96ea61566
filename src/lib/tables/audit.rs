//! `audit.parquet`, `curves.parquet` and an audit's `timing.parquet`: how unlearned models compare
//! with references that never saw what was withdrawn.

use crate::parquet_file::table_row;

table_row! {
    /// A row of `audit.parquet`: one measure of one model on one set of clips, its difference to a
    /// reference, or that difference over seeds with its intervals.
    ///
    /// Sorted by method, moment, task, population, group, measure, reference, run; nulls first.
    pub struct AuditRow in "audit.parquet": "incdec.audit" version 1 by "make audit" {
        /// The run directory's name; null for figures over seeds.
        pub run: Option<String>,
        /// The method of unlearning, or the exact head; `path` and `scratch` for references,
        /// `before` for the model before the withdrawal.
        pub method: String,
        /// `unlearned` (before the task trains) or `end` (of the task).
        pub moment: String,
        /// The task that withdraws.
        pub task: i32,
        /// Which clips: `forget`, `retain`, `like_forget` (test clips of the subcategories that
        /// lost clips), `test`, `test_available`, `test_withdrawn`, `test_not_yet`; `all` for
        /// figures of the whole model.
        pub population: String,
        /// The subcategory, the part of the network, the kind of clips, or a word; null otherwise.
        pub group: Option<String>,
        /// The measure's name.
        pub measure: String,
        /// What the value is a difference to, or a distance from: `path` or `scratch`; null for a
        /// model's own figure.
        pub reference: Option<String>,
        /// The seed of training; null over seeds.
        pub seed_train: Option<i64>,
        /// The seed of unlearning; null over seeds.
        pub seed_unlearn: Option<i64>,
        /// The seed of the audit's own draws.
        pub seed_evaluate: i64,
        /// The value, over seeds their mean; null where undefined.
        pub value: Option<f64>,
        /// The lower end of the bootstrap interval over clips and seeds, 95 %.
        pub low: Option<f64>,
        /// Its upper end.
        pub high: Option<f64>,
        /// The lower end of Student's interval over seeds, 95 %.
        pub t_low: Option<f64>,
        /// Its upper end.
        pub t_high: Option<f64>,
        /// Clips that the value is of; over seeds the number of seeds; 0 where nothing is counted.
        pub n: i64,
    }
}

table_row! {
    /// A row of `curves.parquet`: a point of an attack's curve. Sorted by run, method, moment,
    /// task, attack, point.
    pub struct CurveRow in "curves.parquet": "incdec.curves" version 1 by "make audit" {
        /// The run directory's name.
        pub run: String,
        /// As in `audit.parquet`.
        pub method: String,
        /// As in `audit.parquet`.
        pub moment: String,
        /// The task that withdraws.
        pub task: i32,
        /// The score: `phi` or `rmia`.
        pub attack: String,
        /// The point, from 0, where nothing is called a member.
        pub point: i32,
        /// Others that are called members at this threshold, or above.
        pub false_positives: i64,
        /// Members that are called so.
        pub hits: i64,
        /// Others in all.
        pub others: i64,
        /// Members in all.
        pub members: i64,
    }
}

table_row! {
    /// A row of an audit's `timing.parquet`, outside every byte-equality promise.
    pub struct AuditTimingRow in "timing.parquet": "incdec.audit-timing" version 1 by "make audit" {
        /// The run directory's name.
        pub run: String,
        /// As in `audit.parquet`.
        pub method: String,
        /// The task.
        pub task: i32,
        /// What took the time: `unlearning` or `training`.
        pub phase: String,
        /// Wall-clock seconds.
        pub seconds: f64,
    }
}
