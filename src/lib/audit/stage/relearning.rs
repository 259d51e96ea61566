//! The rows of relearn time.

use super::AuditStageError;
use super::models::Models;
use super::rows::{About, BEFORE, END, Figure};
use super::single::Comparison;
use crate::audit::relearn::{RelearnTime, ratio};
use crate::tables::AuditRow;

/// The steps that the run's weights, its references' and those before take to know what left again,
/// and the logarithm of their ratio; a group names what the ratio is. None for heads on features.
///
/// # Errors
/// When weights do not fit, or clips cannot be read.
pub(super) fn rows(
    comparison: &Comparison<'_>,
    models: &mut Models<'_>,
) -> Result<Vec<AuditRow>, AuditStageError> {
    let (about, sets) = (comparison.about, &comparison.sets);
    if about.run.settings.approach.is_on_features() || sets.forget.clips.is_empty() {
        return Ok(Vec::new());
    }
    let before = comparison.before_model.path();
    let sides = comparison.references.iter();
    let mut weights = vec![comparison.own.model.path(), before];
    weights.extend(sides.map(|side| side.model.path()));
    let times = models.relearned(about.run, (about.task, sets), before, &weights)?;
    let [own, check, references @ ..] = &times[..] else {
        return Ok(Vec::new());
    };
    let n = sets.forget.clips.len();
    let mut rows = own_rows(about, *own, n);
    if about.moment == END {
        let before = About {
            moment: BEFORE,
            ..about
        };
        rows.extend(own_rows(before, *check, n));
    }
    for (side, theirs) in comparison.references.iter().zip(references) {
        rows.extend(own_rows(comparison.of(side), *theirs, n));
        let (value, bound) = ratio(*own, *theirs);
        let figure = Figure::new("forget", "relearn_log_ratio", value.map(f64::ln), n);
        rows.push(about.row(figure.of(bound.name()), side.reference));
    }
    Ok(rows)
}

fn own_rows(about: About<'_>, time: RelearnTime, n: usize) -> Vec<AuditRow> {
    let figures = [
        ("relearn_steps", f64::from(time.steps)),
        ("relearn_given_up", f64::from(u8::from(time.censored))),
    ];
    figures
        .into_iter()
        .map(|(measure, value)| about.row(Figure::new("forget", measure, Some(value), n), None))
        .collect()
}
