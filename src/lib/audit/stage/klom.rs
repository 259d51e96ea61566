//! `KLoM` over seeds: how far the confidences of many unlearned models are from those of many
//! references.

use super::AuditStageError;
use super::pooled::{Judged, groups, verdict_row};
use super::said::Answers;
use crate::audit::klom::{self, Klom};
use crate::audit::{AuditError, Rows};
use crate::tables::AuditRow;

/// `KLoM` of each method's runs against their path references, and the floor of these, where there are
/// seeds enough.
///
/// # Errors
/// When a measure refuses.
pub(super) fn rows(judged: &[Judged<'_>], seed: u64) -> Result<Vec<AuditRow>, AuditStageError> {
    let mut rows = Vec::new();
    for group in groups(judged) {
        let own: Vec<&Answers> = group.iter().map(|one| &one.own).collect();
        let theirs: Vec<&Answers> = group.iter().map(|one| &one.path).collect();
        let failed = AuditStageError::of(&group[0].about.run.name);
        for set in ["forget", "retain", "test"] {
            for (measure, value) in klom_of(&own, &theirs, set).map_err(&failed)? {
                rows.push(AuditRow {
                    population: set.to_owned(),
                    group: None,
                    measure: measure.to_owned(),
                    value,
                    ..verdict_row(&group, "", seed)
                });
            }
        }
    }
    Ok(rows)
}

/// `KLoM` of the confidences of many models in a set's clips, and its floor; nothing for fewer models
/// than say anything.
fn klom_of(
    own: &[&Answers],
    references: &[&Answers],
    set: &str,
) -> Result<Vec<(&'static str, Option<f64>)>, AuditError> {
    if own.len().min(references.len()) < klom::FEWEST_MODELS {
        return Ok(Vec::new());
    }
    let phi = |answers: &[&Answers]| answers.iter().flat_map(|a| a[set].phi.clone()).collect();
    let (u, r): (Vec<f64>, Vec<f64>) = (phi(own), phi(references));
    let clips = u.len() / own.len();
    let (u, r) = (
        Rows::new(&u, own.len(), clips)?,
        Rows::new(&r, references.len(), clips)?,
    );
    let found = klom::klom(u, r)?;
    let floor = klom::floor(r)?;
    let of_floor = |figure: fn(&Klom) -> Option<f64>| floor.as_ref().and_then(figure);
    Ok(vec![
        ("klom_mean", found.mean),
        ("klom_p95", found.p95),
        ("klom_mean_floor", of_floor(|floor| floor.mean)),
        ("klom_p95_floor", of_floor(|floor| floor.p95)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::stage::said::Said;

    #[test]
    fn klom_is_of_a_hundred_models_a_side_and_stands_beside_its_floor() {
        let answers = |count: usize, shift: f64| -> Vec<Answers> {
            let one = |model: usize| {
                let said = Said {
                    phi: vec![(model % 10) as f64 + shift, 1.0],
                    ..Said::default()
                };
                Answers::from([("forget", said)])
            };
            (0..count).map(one).collect()
        };
        let references = answers(100, 0.0);
        let references: Vec<&Answers> = references.iter().collect();
        let few = answers(99, 0.0);
        let few: Vec<&Answers> = few.iter().collect();
        assert!(klom_of(&few, &references, "forget").unwrap().is_empty());
        let of = |shift: f64| {
            let own = answers(100, shift);
            let own: Vec<&Answers> = own.iter().collect();
            klom_of(&own, &references, "forget").unwrap()
        };
        // The same values in the same shares: nothing is apart, nor are the halves.
        for (measure, value) in of(0.0) {
            assert!(value.unwrap().abs() < 1e-12, "{measure}");
        }
        // The first of two clips is apart as far as can be said: its ten values lie in four bins, in
        // which the references have no more than the least share.
        let apart = of(50.0);
        assert_eq!(apart[0].0, "klom_mean");
        let least = 1e-5 / (1.0 + 4e-5);
        let shares = [0.1, 0.3, 0.3, 0.3_f64];
        let first: f64 = shares
            .iter()
            .map(|share| share * (share / least).ln())
            .sum();
        assert!((apart[0].1.unwrap() - 0.5 * first).abs() < 1e-9);
        assert!(apart[2].1.unwrap().abs() < 1e-12);
    }
}
