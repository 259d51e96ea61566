//! What a model says of single clips, and how the outputs of two models differ.
//!
//! Everything is computed from logits, in forms that saturated logits cannot turn into infinities.

use super::error::same_length;
use super::{AuditError, Rows, mean};
use crate::metrics::Criterion;

/// ln(1 + e^x), for any x.
fn softplus(x: f64) -> f64 {
    x.max(0.0) + (-x.abs()).exp().ln_1p()
}

/// 1 / (1 + e^-x), for any x.
#[must_use]
pub fn sigmoid(x: f64) -> f64 {
    if x >= 0.0 {
        1.0 / (1.0 + (-x).exp())
    } else {
        let e = x.exp();
        e / (1.0 + e)
    }
}

/// The logarithm of the sum of the exponentials; minus infinity for nothing.
fn log_sum_exp(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let largest = values.clone().fold(f64::NEG_INFINITY, f64::max);
    if largest == f64::NEG_INFINITY {
        return largest;
    }
    largest + values.map(|v| (v - largest).exp()).sum::<f64>().ln()
}

/// Refuses logits and labels that do not belong together.
fn check(logits: &Rows<'_>, labels: &[usize]) -> Result<(), AuditError> {
    same_length("labels of clips", logits.count(), labels.len())?;
    logits.finite("logits")?;
    match labels.iter().position(|&y| y >= logits.width()) {
        None => Ok(()),
        Some(at) => Err(AuditError::Index {
            what: "class",
            index: labels[at],
            at,
            count: logits.width(),
        }),
    }
}

/// phi, the scaled confidence of each clip in its true class: any real number, higher is more
/// confident.
///
/// Multilabel: the class's logit. Multiclass: the logit less the logarithm of the summed
/// exponentials of the others, which is log p - log(1 - p) without a floor (Carlini et al.,
/// <https://arxiv.org/abs/2112.03570>).
///
/// # Errors
/// Logits that are not finite, labels that are no class, and, multiclass, fewer than two classes.
pub fn phi(
    criterion: Criterion,
    logits: Rows<'_>,
    labels: &[usize],
) -> Result<Vec<f64>, AuditError> {
    check(&logits, labels)?;
    if criterion == Criterion::Multiclass && logits.count() > 0 && logits.width() < 2 {
        return Err(AuditError::Classes {
            classes: logits.width(),
        });
    }
    let of = |(z, &y): (&[f64], &usize)| match criterion {
        Criterion::Multilabel => z[y],
        Criterion::Multiclass => {
            let others = z.iter().enumerate().filter(|(c, _)| *c != y);
            z[y] - log_sum_exp(others.map(|(_, &z)| z))
        }
    };
    Ok(logits.iter().zip(labels).map(of).collect())
}

/// The classification loss of each clip, at least 0, lower is better: multilabel the mean over
/// classes of the binary cross-entropy against the one-hot target, multiclass the cross-entropy.
///
/// # Errors
/// As [`phi`].
pub fn clip_losses(
    criterion: Criterion,
    logits: Rows<'_>,
    labels: &[usize],
) -> Result<Vec<f64>, AuditError> {
    let confidence = phi(criterion, logits, labels)?;
    if criterion == Criterion::Multiclass {
        return Ok(confidence.into_iter().map(|phi| softplus(-phi)).collect());
    }
    let of = |(z, &y): (&[f64], &usize)| {
        let terms = z.iter().enumerate();
        let sum: f64 = terms
            .map(|(c, &z)| softplus(if c == y { -z } else { z }))
            .sum();
        sum / z.len() as f64
    };
    Ok(logits.iter().zip(labels).map(of).collect())
}

/// The probability of the true class of each clip, 0..1: under either criterion the sigmoid of
/// [`phi`].
///
/// # Errors
/// As [`phi`].
pub fn true_class_probabilities(
    criterion: Criterion,
    logits: Rows<'_>,
    labels: &[usize],
) -> Result<Vec<f64>, AuditError> {
    Ok(phi(criterion, logits, labels)?
        .into_iter()
        .map(sigmoid)
        .collect())
}

/// Whether each clip's largest logit is that of its class; the lowest class wins a tie.
///
/// # Errors
/// As [`phi`], for any number of classes.
pub fn right(logits: Rows<'_>, labels: &[usize]) -> Result<Vec<bool>, AuditError> {
    check(&logits, labels)?;
    let largest = |z: &[f64]| (1..z.len()).fold(0, |best, c| if z[c] > z[best] { c } else { best });
    Ok(logits
        .iter()
        .zip(labels)
        .map(|(z, &y)| largest(z) == y)
        .collect())
}

/// The probabilities of one clip's classes.
pub(super) fn row_probabilities(criterion: Criterion, z: &[f64]) -> Vec<f64> {
    match criterion {
        Criterion::Multilabel => z.iter().map(|&z| sigmoid(z)).collect(),
        Criterion::Multiclass => {
            let all = log_sum_exp(z.iter().copied());
            z.iter().map(|z| (z - all).exp()).collect()
        }
    }
}

/// Activation distance: the mean over clips of the Euclidean norm of the difference of two models'
/// probabilities. From 0, smaller is nearer; `None` without a clip. (Golatkar et al.,
/// <https://arxiv.org/abs/2003.02960>; not the root of the mean square.)
///
/// # Errors
/// Other shapes, or logits that are not finite.
pub fn activation_distance(
    criterion: Criterion,
    unlearned: Rows<'_>,
    reference: Rows<'_>,
) -> Result<Option<f64>, AuditError> {
    of_pairs(unlearned, reference, |u, r| {
        let pairs = row_probabilities(criterion, u)
            .into_iter()
            .zip(row_probabilities(criterion, r));
        pairs.map(|(p, q)| (p - q).powi(2)).sum::<f64>().sqrt()
    })
}

/// Jensen-Shannon divergence of two models' probabilities, natural logarithm, mean over clips: 0
/// (equal) to ln 2; `None` without a clip. Multiclass: of the two distributions over classes;
/// multilabel: the mean over classes of that of the two Bernoulli distributions.
///
/// # Errors
/// Other shapes, or logits that are not finite.
pub fn js_divergence(
    criterion: Criterion,
    unlearned: Rows<'_>,
    reference: Rows<'_>,
) -> Result<Option<f64>, AuditError> {
    let divergence = |u: &[f64], r: &[f64]| match criterion {
        Criterion::Multiclass => {
            let (p, q) = (
                row_probabilities(criterion, u),
                row_probabilities(criterion, r),
            );
            p.into_iter().zip(q).map(|(p, q)| half_terms(p, q)).sum()
        }
        // 1 - p as a sigmoid of its own keeps its digits where p is near 1.
        Criterion::Multilabel => {
            let of = |(&u, &r): (&f64, &f64)| {
                half_terms(sigmoid(u), sigmoid(r)) + half_terms(sigmoid(-u), sigmoid(-r))
            };
            u.iter().zip(r).map(of).sum::<f64>() / u.len() as f64
        }
    };
    of_pairs(unlearned, reference, divergence)
}

/// ZRF score: 1 - [`js_divergence`] of a model and a new network, 1 - ln 2 to 1. (Chundawat et al.,
/// <https://arxiv.org/abs/2205.08096>.)
///
/// # Errors
/// As [`js_divergence`].
pub fn zrf(
    criterion: Criterion,
    unlearned: Rows<'_>,
    new_network: Rows<'_>,
) -> Result<Option<f64>, AuditError> {
    Ok(js_divergence(criterion, unlearned, new_network)?.map(|js| 1.0 - js))
}

/// One outcome's part of a Jensen-Shannon divergence; 0 ln 0 is 0.
fn half_terms(p: f64, q: f64) -> f64 {
    // Half of the smallest number is zero, so the middle of the two is not formed.
    let both = p + q;
    let term = |p: f64| {
        if p > 0.0 {
            0.5 * p * (2.0 * p / both).ln()
        } else {
            0.0
        }
    };
    term(p) + term(q)
}

fn of_pairs(
    unlearned: Rows<'_>,
    reference: Rows<'_>,
    distance: impl Fn(&[f64], &[f64]) -> f64,
) -> Result<Option<f64>, AuditError> {
    unlearned.same_shape(&reference)?;
    unlearned.finite("logits of the unlearned model")?;
    reference.finite("logits of the reference")?;
    let pairs = unlearned.iter().zip(reference.iter());
    Ok(mean(
        &pairs.map(|(u, r)| distance(u, r)).collect::<Vec<_>>(),
    ))
}

#[cfg(test)]
mod tests {
    // What is computed exactly is compared exactly.
    #![allow(clippy::float_cmp)]

    use super::*;
    use Criterion::{Multiclass, Multilabel};
    use proptest::prelude::*;

    fn rows(values: &[f64], width: usize) -> Rows<'_> {
        Rows::new(values, values.len() / width, width).unwrap()
    }

    #[test]
    fn broken_inputs_are_refused_and_empty_ones_are_not() {
        let error = |values, width, labels: &[usize]| {
            phi(Multiclass, rows(values, width), labels).unwrap_err()
        };
        assert!(matches!(
            error(&[0.0, f64::NAN], 2, &[0]),
            AuditError::NotANumber { at: 1, .. }
        ));
        assert!(matches!(
            error(&[0.0, 1.0], 2, &[2]),
            AuditError::Index { index: 2, .. }
        ));
        assert!(matches!(
            error(&[0.0, 1.0], 2, &[0, 1]),
            AuditError::Length { .. }
        ));
        assert_eq!(error(&[0.5], 1, &[0]), AuditError::Classes { classes: 1 });
        assert!(Rows::new(&[0.0], 1, 2).is_err());
        assert_eq!(phi(Multilabel, rows(&[0.5], 1), &[0]).unwrap(), [0.5]);
        let none = Rows::new(&[], 0, 0).unwrap();
        assert_eq!(phi(Multiclass, none, &[]).unwrap(), [0.0; 0]);
        assert_eq!(js_divergence(Multiclass, none, none).unwrap(), None);
    }

    #[test]
    fn the_divergence_is_jensen_shannons_and_not_the_one_sided_one() {
        // p = (0.9, 0.1) and q = (0.1, 0.9): H(m) - (H(p) + H(q)) / 2 = ln 2 - H(0.9).
        let z = 9.0_f64.ln();
        let js = js_divergence(Multiclass, rows(&[z, 0.0], 2), rows(&[0.0, z], 2));
        let entropy = -(0.9 * 0.9_f64.ln() + 0.1 * 0.1_f64.ln());
        assert!((js.unwrap().unwrap() - (2.0_f64.ln() - entropy)).abs() < 1e-12);
    }

    #[test]
    fn zero_retrain_forgetting_by_hand() {
        // Bernoullis: p = 1/2 and q = 3/4, and one that is equal; m = 5/8.
        let z = 3.0_f64.ln();
        let found = zrf(Multilabel, rows(&[0.0, z], 2), rows(&[z, z], 2));
        let half = 0.5 * (0.5_f64 / 0.625).ln() + 0.5 * (0.5_f64 / 0.375).ln();
        let three_quarters = 0.75 * (0.75_f64 / 0.625).ln() + 0.25 * (0.25_f64 / 0.375).ln();
        // The mean over two classes, of which the second adds nothing.
        let by_hand = 1.0 - 0.5 * 0.5 * (half + three_quarters);
        assert!((found.unwrap().unwrap() - by_hand).abs() < 1e-12);
        // (1/2, 1/2) and (3/4, 1/4) as distributions over two classes: both classes count.
        let found = zrf(Multiclass, rows(&[0.0, 0.0], 2), rows(&[z, 0.0], 2));
        let by_hand = 1.0 - 0.5 * (half + three_quarters);
        assert!((found.unwrap().unwrap() - by_hand).abs() < 1e-12);
        assert!((by_hand - 0.966_177_924_431).abs() < 1e-12, "{by_hand}");
        let none = Rows::new(&[], 0, 0).unwrap();
        assert_eq!(zrf(Multiclass, none, none).unwrap(), None);
    }

    #[test]
    fn the_lowest_class_wins_a_tie() {
        let answers = right(rows(&[0.5, 0.5, 0.1, 0.7], 2), &[1, 1]).unwrap();
        assert_eq!(answers, [false, true]);
    }

    proptest! {
        #[test]
        fn confidence_loss_and_probability_agree(
            z in prop::collection::vec(-30.0..30.0_f64, 3),
            y in 0..3_usize,
        ) {
            let p = true_class_probabilities(Multiclass, rows(&z, 3), &[y]).unwrap()[0];
            let loss = clip_losses(Multiclass, rows(&z, 3), &[y]).unwrap()[0];
            prop_assert!((loss + p.ln()).abs() < 1e-9 * loss.max(1.0));
            let shifted: Vec<f64> = z.iter().map(|z| z + 100.0).collect();
            let a = phi(Multiclass, rows(&z, 3), &[y]).unwrap()[0];
            let b = phi(Multiclass, rows(&shifted, 3), &[y]).unwrap()[0];
            prop_assert!((a - b).abs() < 1e-9);
        }

        #[test]
        fn divergences_are_symmetric_and_bounded(
            a in prop::collection::vec(-800.0..800.0_f64, 6),
            b in prop::collection::vec(-800.0..800.0_f64, 6),
        ) {
            for criterion in [Multilabel, Multiclass] {
                let of = |f: fn(Criterion, Rows<'_>, Rows<'_>) -> Result<Option<f64>, AuditError>| {
                    let there = f(criterion, rows(&a, 3), rows(&b, 3)).unwrap().unwrap();
                    let back = f(criterion, rows(&b, 3), rows(&a, 3)).unwrap().unwrap();
                    (there, back)
                };
                let (js, back) = of(js_divergence);
                prop_assert!((js - back).abs() < 1e-9);
                prop_assert!((-1e-9..=2.0_f64.ln() + 1e-9).contains(&js));
                let (distance, back) = of(activation_distance);
                prop_assert_eq!(distance, back);
                prop_assert!(distance <= 3.0_f64.sqrt());
            }
        }
    }
}
