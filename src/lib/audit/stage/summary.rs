//! What an audit came to, in words.

use std::fmt;
use std::path::PathBuf;

use serde::Serialize;

use super::rows::{END, PATH};
use crate::tables::AuditRow;

/// How an audit ended.
#[derive(Clone, Debug, Serialize)]
pub struct AuditSummary {
    /// The folder of its tables.
    pub folder: PathBuf,
    /// Runs that were judged.
    pub judged: usize,
    /// Rows of `audit.parquet`.
    pub rows: usize,
    /// What each method comes to at the end of its task, over seeds.
    pub methods: Vec<MethodSummary>,
}

/// What a method comes to.
#[derive(Clone, Debug, Serialize)]
pub struct MethodSummary {
    /// The method.
    pub method: String,
    /// The task that withdraws.
    pub task: i32,
    /// Seeds.
    pub seeds: i64,
    /// What may be said of it.
    pub verdict: String,
    /// The accuracy on what left, less the path reference's.
    pub forget_accuracy_gap: Option<f64>,
    /// The same on the test clips.
    pub test_accuracy_gap: Option<f64>,
    /// The distance of its outputs on what left from the path reference's.
    pub activation_distance: Option<f64>,
}

/// The methods among rows over seeds, in their order.
pub(super) fn methods(rows: &[AuditRow]) -> Vec<MethodSummary> {
    let of = |verdict: &AuditRow, population: &str, measure: &str| {
        let found = rows.iter().find(|row| {
            row.run.is_none()
                && row.method == verdict.method
                && row.task == verdict.task
                && row.moment == verdict.moment
                && row.population == population
                && row.measure == measure
                && row.group.is_none()
                && row.reference.as_deref() == Some(PATH)
        });
        found.and_then(|row| row.value)
    };
    let verdicts = rows
        .iter()
        .filter(|row| row.measure == "verdict" && row.moment == END);
    verdicts
        .map(|row| MethodSummary {
            method: row.method.clone(),
            task: row.task,
            seeds: row.n,
            verdict: row.group.clone().unwrap_or_default(),
            forget_accuracy_gap: of(row, "forget", "accuracy"),
            test_accuracy_gap: of(row, "test", "accuracy"),
            activation_distance: of(row, "forget", "activation_distance"),
        })
        .collect()
}

impl fmt::Display for AuditSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |v| format!("{v:.4}"));
        writeln!(
            f,
            "{:<20} {:>4} {:>5}  {:>10} {:>10} {:>10}  verdict",
            "method", "task", "seeds", "acc gap F", "acc gap T", "distance F"
        )?;
        for method in &self.methods {
            writeln!(
                f,
                "{:<20} {:>4} {:>5}  {:>10} {:>10} {:>10}  {}",
                method.method,
                method.task,
                method.seeds,
                text(method.forget_accuracy_gap),
                text(method.test_accuracy_gap),
                text(method.activation_distance),
                method.verdict,
            )?;
        }
        for method in self
            .methods
            .iter()
            .filter(|m| m.verdict == "over-forgotten")
        {
            writeln!(
                f,
                "warning: {} has forgotten more than a model that never saw the clips; that tells who was withdrawn, too",
                method.method
            )?;
        }
        if self.methods.iter().any(|m| m.seeds < 3) {
            writeln!(
                f,
                "warning: fewer than 3 seeds say little; the intervals are wide or absent"
            )?;
        }
        write!(
            f,
            "{}: {} runs judged, {} rows",
            self.folder.display(),
            self.judged,
            self.rows
        )
    }
}
