//! What a model says of the sets of a withdrawal, clip by clip, and the rows of an attack.

use std::collections::BTreeMap;

use super::super::AuditError;
use super::super::gap::{self, SetFigures};
use super::super::membership::Attack;
use super::super::scores::{clip_losses, phi, right, row_probabilities};
use super::AuditStageError;
use super::models::{Matrix, Model};
use super::rows::{About, Figure};
use super::runs::AuditedRun;
use super::sets::{ClipSet, Sets};
use crate::metrics::{Criterion, Metrics, Predictions, evaluate};
use crate::tables::AuditRow;

/// What one model says of one set, clip by clip.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) logits: Matrix,
    /// 1 where the clip's class has the largest logit.
    pub(super) right: Vec<f64>,
    pub(super) loss: Vec<f64>,
    pub(super) phi: Vec<f64>,
}

impl Said {
    fn of(model: &Model, set: &ClipSet, criterion: Criterion) -> Result<Self, AuditStageError> {
        let logits = model.logits(set)?;
        let labels = set.labels();
        let measured = || -> Result<_, AuditError> {
            let rows = logits.rows()?;
            let right = right(rows, &labels)?.into_iter();
            Ok((
                right.map(|right| f64::from(u8::from(right))).collect(),
                clip_losses(criterion, rows, &labels)?,
                phi(criterion, rows, &labels)?,
            ))
        };
        let (right, loss, phi) = measured().map_err(AuditStageError::of(set.name))?;
        Ok(Self {
            logits,
            right,
            loss,
            phi,
        })
    }

    /// The means over the set.
    pub(super) fn figures(&self) -> SetFigures {
        SetFigures {
            accuracy: super::super::mean(&self.right),
            loss: super::super::mean(&self.loss),
            phi: super::super::mean(&self.phi),
        }
    }
}

/// What one model says of every set of a withdrawal, by the set's name; the populations of attacks
/// under `population`.
pub(super) type Answers = BTreeMap<&'static str, Said>;

/// What `model` says of `sets`.
///
/// # Errors
/// When a clip has no features, or logits are no numbers.
pub(super) fn answers(
    model: &Model,
    sets: &Sets,
    criterion: Criterion,
) -> Result<Answers, AuditStageError> {
    let mut found = Answers::new();
    for set in sets.judged() {
        found.insert(set.name, Said::of(model, set, criterion)?);
    }
    let mut population = Said::default();
    for set in &sets.population {
        population.phi.extend(Said::of(model, set, criterion)?.phi);
    }
    found.insert("population", population);
    Ok(found)
}

/// Every figure of what a model of `run` says of a set; none for no clip.
///
/// # Errors
/// When the answers make no probabilities.
pub(super) fn metrics(
    run: &AuditedRun,
    set: &ClipSet,
    said: &Said,
) -> Result<Option<Metrics>, AuditStageError> {
    if set.clips.is_empty() {
        return Ok(None);
    }
    let logits = said.logits.rows().map_err(AuditStageError::of(&run.name))?;
    #[allow(clippy::cast_possible_truncation)] // Predictions are 32-bit floats.
    let probabilities: Vec<f32> = logits
        .iter()
        .flat_map(|z| row_probabilities(run.criterion(), z))
        .map(|p| p as f32)
        .collect();
    let subcategories: Vec<usize> = set.clips.iter().map(|clip| clip.subcategory).collect();
    let classes: Vec<usize> = run.taxonomy.subcategories().map(|s| s.0).collect();
    Ok(Some(evaluate(&Predictions {
        probabilities: &probabilities,
        labels: &set.labels(),
        subcategories: &subcategories,
        class_of_subcategory: &classes,
        classes: run.taxonomy.classes(),
        criterion: run.criterion(),
    })?))
}

/// A figure of an attack.
type OfAttack = fn(&Attack) -> Option<f64>;

/// The rows of an attack by the score `name`: a model's own, or its differences to references.
pub(super) fn attack_rows(
    about: About<'_>,
    name: &str,
    own: &Attack,
    references: &[(&str, &Attack)],
) -> Vec<AuditRow> {
    let figures: [(&str, OfAttack); 5] = [
        ("auc", |a| a.auc),
        ("tpr_at_1", |a| a.tpr_at_1),
        ("tpr_at_01", |a| a.tpr_at_01),
        ("balanced_best", |a| a.balanced_best),
        ("balanced_cv", |a| a.balanced_cv),
    ];
    let mut rows = Vec::new();
    for (measure, of) in figures {
        let measure = format!("{name}_{measure}");
        let figure = |value| Figure::new("forget", &measure, value, 0);
        if references.is_empty() {
            rows.push(about.row(figure(of(own)), None));
        }
        for (reference, theirs) in references {
            let difference = gap::difference(of(own), of(theirs));
            rows.push(about.row(figure(difference), Some(reference)));
        }
    }
    if references.is_empty() {
        let resolved = [("1", own.resolved_1), ("01", own.resolved_01)];
        for (at, resolved) in resolved {
            let measure = format!("{name}_resolved_{at}");
            let value = Some(f64::from(u8::from(resolved)));
            rows.push(about.row(Figure::new("forget", &measure, value, 0), None));
        }
    }
    rows
}
