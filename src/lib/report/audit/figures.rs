//! The tables of an audit, and how figures are found in them.

use std::collections::BTreeSet;
use std::path::Path;

use crate::parquet_file;
use crate::report::ReportError;
use crate::tables::{AuditRow, AuditTimingRow, CurveRow};

/// The moment that the page judges by.
pub(super) const END: &str = "end";
/// The path reference.
pub(super) const PATH: &str = "path";
/// The scratch reference.
pub(super) const SCRATCH: &str = "scratch";

/// The tables of an audit.
pub(super) struct Figures {
    pub(super) rows: Vec<AuditRow>,
    pub(super) curves: Vec<CurveRow>,
    timing: Vec<AuditTimingRow>,
}

/// Which figure is meant.
#[derive(Clone, Copy)]
pub(super) struct Wanted<'a> {
    pub(super) method: &'a str,
    pub(super) moment: &'a str,
    pub(super) task: i32,
    pub(super) population: &'a str,
    pub(super) group: Option<&'a str>,
    pub(super) measure: &'a str,
    pub(super) reference: Option<&'a str>,
}

impl<'a> Wanted<'a> {
    /// A method's or reference's own figure of a set as a whole, at the end of `task`.
    pub(super) fn own(method: &'a str, task: i32, population: &'a str, measure: &'a str) -> Self {
        Self {
            method,
            moment: END,
            task,
            population,
            group: None,
            measure,
            reference: None,
        }
    }
}

impl Figures {
    /// Reads the audit in `folder`.
    pub(super) fn read(folder: &Path) -> Result<Self, ReportError> {
        Ok(Self {
            rows: parquet_file::read(&folder.join(AuditRow::FILE))?,
            curves: parquet_file::read(&folder.join(CurveRow::FILE))?,
            timing: parquet_file::read(&folder.join(AuditTimingRow::FILE))?,
        })
    }

    /// The row over seeds of a figure.
    pub(super) fn over_seeds(&self, wanted: Wanted<'_>) -> Option<&AuditRow> {
        self.rows.iter().find(|row| {
            row.run.is_none()
                && row.method == wanted.method
                && row.moment == wanted.moment
                && row.task == wanted.task
                && row.population == wanted.population
                && row.group.as_deref() == wanted.group
                && row.measure == wanted.measure
                && row.reference.as_deref() == wanted.reference
        })
    }

    /// Every method with the task that it is judged at, at the end of the task: those with a
    /// verdict.
    pub(super) fn judged(&self) -> Vec<&AuditRow> {
        let judged = |row: &&AuditRow| row.measure == "verdict" && row.moment == END;
        self.rows.iter().filter(judged).collect()
    }

    /// The mean seconds over runs of a phase of a method's task; none where no run was timed.
    pub(super) fn seconds(&self, method: &str, task: i32, phase: &str) -> Option<f64> {
        let of = |row: &&AuditTimingRow| {
            row.task == task && row.phase == phase && self.is_of(&row.run, method)
        };
        let seconds: Vec<f64> = self
            .timing
            .iter()
            .filter(of)
            .map(|row| row.seconds)
            .collect();
        (!seconds.is_empty()).then(|| seconds.iter().sum::<f64>() / seconds.len() as f64)
    }

    /// Whether a run stands in the audit under a method.
    fn is_of(&self, run: &str, method: &str) -> bool {
        let mut rows = self.rows.iter();
        rows.any(|row| row.method == method && row.run.as_deref() == Some(run))
    }

    /// The references of a kind at a task, by what their own rows are called: `path`, or `ridge
    /// path`.
    pub(super) fn references(&self, kind: &str, task: i32) -> BTreeSet<&str> {
        let is = |row: &&AuditRow| {
            row.task == task
                && row.moment == END
                && row.method.rsplit(' ').next() == Some(kind)
                && row.reference.is_none()
        };
        self.rows
            .iter()
            .filter(is)
            .map(|row| &row.method[..])
            .collect()
    }

    /// The measures that have rows.
    pub(super) fn measures(&self) -> BTreeSet<&str> {
        self.rows.iter().map(|row| &row.measure[..]).collect()
    }
}
