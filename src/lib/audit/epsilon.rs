//! The epsilon of differential privacy that an attack on single clips shows, and the forget quality
//! made of it, as the NeurIPS 2023 unlearning challenge has them (Triantafillou et al.,
//! <https://arxiv.org/abs/2406.09073>).
//!
//! Thresholds are observed values and no grid, so the published value is never larger. N models can
//! show about ln(N - 1) at most, and two samples of one distribution already give 1.8 (N =
//! 16) to 2.2 (N = 100): a perfect method has a forget quality of about 0.13 or 0.07, not 1. What
//! one half of the references has against the other belongs beside every value.

use super::error::same_length;
use super::{AuditError, Rows, mean};

/// No clip has a larger epsilon.
const LARGEST: f64 = 50.0;
/// The delta of (epsilon, delta)-privacy.
const DELTA: f64 = 1e-5;
/// A side whose range is a smaller share of the other's is told apart at once.
const PEAKY: f64 = 0.01;
/// Fewer models on a side show nothing.
const FEWEST_MODELS: usize = 3;

/// The epsilon of each clip, 0..50, smaller is nearer to the references; `None` with fewer than
/// three models on a side. `unlearned` and `retrained` are scaled confidences `[models, clips]`.
///
/// # Errors
/// Other numbers of clips, or values that are not finite.
pub fn per_clip(unlearned: Rows<'_>, retrained: Rows<'_>) -> Result<Vec<Option<f64>>, AuditError> {
    same_length(
        "clips of the references",
        unlearned.width(),
        retrained.width(),
    )?;
    unlearned.finite("scaled confidences")?;
    retrained.finite("scaled confidences")?;
    let few = unlearned.count().min(retrained.count()) < FEWEST_MODELS;
    let sorted = |rows: &Rows<'_>, clip| {
        let mut values: Vec<f64> = rows.column(clip).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let of = |clip| (!few).then(|| of_clip(&sorted(&unlearned, clip), &sorted(&retrained, clip)));
    Ok((0..unlearned.width()).map(of).collect())
}

/// Forget quality: the mean over clips of 2^-k for an epsilon in [k/2, (k + 1)/2), 0 from k = 2
/// ceil(ln(models - 1)) on. 0..1, higher is nearer to the references; `None` with fewer than three
/// models (the smaller number of both sides) or without a clip.
#[must_use]
pub fn forget_quality(epsilons: &[f64], models: usize) -> Option<f64> {
    if models < FEWEST_MODELS {
        return None;
    }
    let end = 2.0 * ((models - 1) as f64).ln().ceil();
    let credit = |epsilon: &f64| {
        let k = (2.0 * epsilon).floor();
        if k < end { (-k).exp2() } else { 0.0 }
    };
    mean(&epsilons.iter().map(credit).collect::<Vec<_>>())
}

/// The epsilon of one clip; both sides sorted, of at least three values.
fn of_clip(unlearned: &[f64], retrained: &[f64]) -> f64 {
    let range = |v: &[f64]| v[v.len() - 1] - v[0];
    let median = |v: &[f64]| f64::midpoint(v[(v.len() - 1) / 2], v[v.len() / 2]);
    let (smaller, larger) = {
        let (a, b) = (range(unlearned), range(retrained));
        (a.min(b), a.max(b))
    };
    if larger <= 0.0 {
        // Two constants: the same one, or two.
        return if (unlearned[0] - retrained[0]).abs() > 0.0 {
            LARGEST
        } else {
            0.0
        };
    }
    if smaller < PEAKY * larger {
        return LARGEST;
    }
    let (positives, negatives) = if median(unlearned) >= median(retrained) {
        (unlearned, retrained)
    } else {
        (retrained, unlearned)
    };
    let counts = Counts::new(positives, negatives);
    let inside_is_positive = range(positives) < range(negatives);
    counts.largest_epsilon(inside_is_positive).min(LARGEST)
}

/// How many of each side are below the observed values.
struct Counts {
    /// For each distinct observed value, the positives and the negatives below it; last, all of
    /// them.
    below: Vec<(usize, usize)>,
    positives: usize,
    negatives: usize,
}

impl Counts {
    fn new(positives: &[f64], negatives: &[f64]) -> Self {
        let mut observed = [positives, negatives].concat();
        observed.sort_by(f64::total_cmp);
        // Equality of values: -0 and 0 are one threshold.
        #[allow(clippy::float_cmp)]
        observed.dedup_by(|a, b| a == b);
        let below = |side: &[f64], value: f64| side.partition_point(|&v| v < value);
        let mut counts: Vec<_> = observed
            .iter()
            .map(|&v| (below(positives, v), below(negatives, v)))
            .collect();
        counts.push((positives.len(), negatives.len()));
        Self {
            below: counts,
            positives: positives.len(),
            negatives: negatives.len(),
        }
    }

    /// The largest epsilon over all rules; infinite where one of them tells the sides apart.
    fn largest_epsilon(&self, inside_is_positive: bool) -> f64 {
        let last = self.below.len() - 1;
        let mut largest: f64 = 0.0;
        for &(missed, rejected) in &self.below[..last] {
            largest = largest.max(self.epsilon(missed, self.negatives - rejected));
        }
        for from in 0..last {
            for to in from..last {
                // The interval is closed: it ends below the value after `to`.
                let positives = self.below[to + 1].0 - self.below[from].0;
                let negatives = self.below[to + 1].1 - self.below[from].1;
                largest = largest.max(if inside_is_positive {
                    self.epsilon(self.positives - positives, negatives)
                } else {
                    self.epsilon(positives, self.negatives - negatives)
                });
            }
        }
        largest
    }

    /// What a rule shows that calls `missed` positives negative and `taken` negatives positive.
    fn epsilon(&self, missed: usize, taken: usize) -> f64 {
        match (missed, taken) {
            (0, 0) => f64::INFINITY,
            (0, _) | (_, 0) => 0.0,
            _ => {
                let fnr = missed as f64 / self.positives as f64;
                let fpr = taken as f64 / self.negatives as f64;
                let bound = |other: f64, rate: f64| {
                    let left = 1.0 - DELTA - other;
                    if left > 0.0 {
                        left.ln() - rate.ln()
                    } else {
                        0.0
                    }
                };
                bound(fpr, fnr).max(bound(fnr, fpr))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    // What is computed exactly is compared exactly.
    #![allow(clippy::float_cmp)]

    use super::*;
    use proptest::prelude::*;

    fn one(unlearned: &[f64], retrained: &[f64]) -> Option<f64> {
        let rows = |v| Rows::new(v, <[f64]>::len(v), 1).unwrap();
        per_clip(rows(unlearned), rows(retrained)).unwrap()[0]
    }

    #[test]
    fn every_clip_has_a_threshold_of_its_own_and_constants_divide_nothing() {
        let rows = |v| Rows::new(v, 3, 2).unwrap();
        let u = [1.0, 5.0, 1.0, 6.0, 1.0, 7.0];
        let r = [1.0, 5.5, 1.0, 6.5, 1.0, 4.0];
        let found = per_clip(rows(&u), rows(&r)).unwrap();
        assert_eq!(found[0], Some(0.0));
        assert!(found[1].unwrap() < 50.0);
    }

    #[test]
    fn broken_inputs_are_refused() {
        let one = Rows::new(&[1.0], 1, 1).unwrap();
        assert!(per_clip(one, Rows::new(&[f64::INFINITY], 1, 1).unwrap()).is_err());
        assert!(per_clip(one, Rows::new(&[1.0, 2.0], 1, 2).unwrap()).is_err());
    }

    proptest! {
        #[test]
        fn an_epsilon_is_at_most_what_the_models_can_show_or_all(
            u in prop::collection::vec(-9..10_i32, 3..12),
            r in prop::collection::vec(-9..10_i32, 3..12),
        ) {
            let floats = |v: &[i32]| v.iter().map(|&x| f64::from(x)).collect::<Vec<_>>();
            let epsilon = one(&floats(&u), &floats(&r)).unwrap();
            let most = (u.len().max(r.len()) as f64).ln();
            prop_assert!((0.0..=most).contains(&epsilon) || epsilon == 50.0);
            prop_assert!(one(&floats(&u), &floats(&u)).unwrap() < 50.0);
        }
    }
}
