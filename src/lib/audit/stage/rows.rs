//! Rows of the tables, from what they are about.

use super::runs::AuditedRun;
use crate::tables::{AuditRow, CurveRow};

/// The moment after unlearning and before the task trains.
pub(super) const UNLEARNED: &str = "unlearned";
/// The moment at the end of the task.
pub(super) const END: &str = "end";
/// The moment before the withdrawal.
pub(super) const BEFORE: &str = "before";
/// The path reference.
pub(super) const PATH: &str = "path";
/// The scratch reference.
pub(super) const SCRATCH: &str = "scratch";

/// What rows are about: one model at one moment.
#[derive(Clone, Copy)]
pub(super) struct About<'a> {
    pub(super) run: &'a AuditedRun,
    pub(super) method: &'a str,
    pub(super) moment: &'static str,
    pub(super) task: usize,
    pub(super) seed_evaluate: u64,
}

/// A figure before it is a row.
#[derive(Clone, Copy)]
pub(super) struct Figure<'a> {
    pub(super) population: &'a str,
    pub(super) group: Option<&'a str>,
    pub(super) measure: &'a str,
    pub(super) value: Option<f64>,
    pub(super) n: usize,
}

impl<'a> Figure<'a> {
    /// A figure of a set as a whole.
    pub(super) fn new(population: &'a str, measure: &'a str, value: Option<f64>, n: usize) -> Self {
        Self {
            population,
            group: None,
            measure,
            value,
            n,
        }
    }

    /// The same of a group.
    pub(super) fn of(self, group: &'a str) -> Self {
        Self {
            group: Some(group),
            ..self
        }
    }
}

/// A count or seed as tables hold it.
pub(super) fn number(value: impl TryInto<i64>) -> i64 {
    value.try_into().unwrap_or(i64::MAX)
}

impl About<'_> {
    /// The row of a figure, of the model itself or beside a reference. An infinite value is null:
    /// what is infinite is said by the measure of its bound.
    pub(super) fn row(&self, figure: Figure<'_>, reference: Option<&str>) -> AuditRow {
        let settings = &self.run.settings;
        let unlearn = settings.unlearn_seed.unwrap_or(settings.seed);
        AuditRow {
            run: Some(self.run.name.clone()),
            method: self.method.to_owned(),
            moment: self.moment.to_owned(),
            task: i32::try_from(self.task).unwrap_or(i32::MAX),
            population: figure.population.to_owned(),
            group: figure.group.map(str::to_owned),
            measure: figure.measure.to_owned(),
            reference: reference.map(str::to_owned),
            seed_train: Some(number(settings.seed)),
            seed_unlearn: Some(number(unlearn)),
            seed_evaluate: number(self.seed_evaluate),
            value: figure.value.filter(|value| value.is_finite()),
            low: None,
            high: None,
            t_low: None,
            t_high: None,
            n: number(figure.n),
        }
    }

    /// The points of an attack's curve.
    pub(super) fn curve(&self, attack: &str, members: &[f64], others: &[f64]) -> Vec<CurveRow> {
        let points = super::super::membership::roc(members, others);
        let row = |(place, point): (usize, super::super::membership::RocPoint)| CurveRow {
            run: self.run.name.clone(),
            method: self.method.to_owned(),
            moment: self.moment.to_owned(),
            task: i32::try_from(self.task).unwrap_or(i32::MAX),
            attack: attack.to_owned(),
            point: i32::try_from(place).unwrap_or(i32::MAX),
            false_positives: number(point.false_positives),
            hits: number(point.hits),
            others: number(others.len()),
            members: number(members.len()),
        };
        points.into_iter().enumerate().map(row).collect()
    }
}
