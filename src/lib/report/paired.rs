//! Two approaches on the same seeds: whether one is better by more than the seeds differ.

use rand::RngExt;

use super::analyse::Analysis;
use super::groups::Group;
use super::judgement::{Spread, over_runs};
use crate::random;

/// Most pairs of which every choice of signs is tried; with more, so many choices are drawn.
const MAX_SIGNS: usize = 16;
const DRAWN_CHOICES: u64 = 1 << MAX_SIGNS;
/// One of two is called higher where the corrected p is at most this.
pub(super) const LEVEL: f64 = 0.05;

/// A comparison of two groups over the seeds that both have.
#[derive(Clone, Debug)]
pub(super) struct Paired {
    pub(super) first: String,
    pub(super) second: String,
    /// The mean of first minus second, with Student's interval over the pairs.
    pub(super) difference: Spread,
    /// The share of all choices of signs whose mean is as far from 0.
    pub(super) p: Option<f64>,
    /// The same, corrected after Holm for the number of comparisons of the scenario.
    pub(super) corrected: Option<f64>,
}

/// Every pair of a scenario's groups with at least two seeds in common, by their mean test mAP over
/// the same tasks.
pub(super) fn comparisons(groups: &[&Group<'_>]) -> Vec<Paired> {
    let mut found = Vec::new();
    for (k, first) in groups.iter().enumerate() {
        for second in &groups[k + 1..] {
            let differences = differences(first, second);
            if differences.len() >= 2 {
                found.push(Paired {
                    first: first.short_name(),
                    second: second.short_name(),
                    difference: over_runs(differences.iter().copied().map(Some)),
                    p: sign_flips(&differences),
                    corrected: None,
                });
            }
        }
    }
    holm(&mut found);
    found
}

fn differences(first: &Group<'_>, second: &Group<'_>) -> Vec<f64> {
    let of_seed = |seed: u64| second.runs.iter().find(|a| a.run.seed == seed);
    let pair = |a: &&Analysis| {
        let other = of_seed(a.run.seed)?;
        // Means over other tasks differ by their tasks.
        (a.task_numbers() == other.task_numbers()).then_some(())?;
        Some(a.mean("mean_ap")? - other.mean("mean_ap")?)
    };
    first.runs.iter().filter_map(pair).collect()
}

/// The two-sided sign-flip test: if neither is better, each difference might as well have the other
/// sign. Exact up to [`MAX_SIGNS`] pairs; of drawn choices, the one at hand counts as one of them, so
/// that none has a p of 0 (Phipson and Smyth, <https://doi.org/10.2202/1544-6115.1585>).
fn sign_flips(differences: &[f64]) -> Option<f64> {
    let n = differences.len();
    if n == 0 {
        return None;
    }
    let far = differences.iter().sum::<f64>().abs();
    // As far but for the rounding of sums.
    let close = 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    let is_as_far = |turned: &mut dyn FnMut() -> bool| {
        let signed = differences.iter().map(|d| if turned() { -d } else { *d });
        signed.sum::<f64>().abs() >= far - close
    };
    let (as_far, choices) = if n <= MAX_SIGNS {
        let choices = 1_u64 << n;
        let as_far = (0..choices).filter(|choice| {
            let mut signs = *choice;
            is_as_far(&mut || {
                let turned = signs & 1 == 1;
                signs >>= 1;
                turned
            })
        });
        (as_far.count(), choices)
    } else {
        let mut rng = random::stream(0, "report sign flips", &[n as u64]);
        let drawn = (1..DRAWN_CHOICES).filter(|_| is_as_far(&mut || rng.random()));
        (drawn.count() + 1, DRAWN_CHOICES)
    };
    #[allow(clippy::cast_precision_loss)] // At most 2^16.
    Some(as_far as f64 / choices as f64)
}

/// Holm's correction: the k-th smallest of m is multiplied by m - k, and none falls below one
/// before it.
fn holm(comparisons: &mut [Paired]) {
    let mut order: Vec<usize> = (0..comparisons.len())
        .filter(|&k| comparisons[k].p.is_some())
        .collect();
    order.sort_by(|&a, &b| {
        let p = |k: usize| comparisons[k].p.unwrap_or(1.0);
        p(a).total_cmp(&p(b))
    });
    let mut least = 0.0_f64;
    for (place, &k) in order.iter().enumerate() {
        #[allow(clippy::cast_precision_loss)] // Some hundreds of comparisons.
        let times = (order.len() - place) as f64;
        least = least.max((comparisons[k].p.unwrap_or(1.0) * times).min(1.0));
        comparisons[k].corrected = Some(least);
    }
}

impl Paired {
    /// What can be said of the two, by the corrected p.
    pub(super) fn verdict(&self) -> &'static str {
        let is_told_apart = self.corrected.is_some_and(|p| p <= LEVEL);
        match self.difference.mean {
            Some(mean) if is_told_apart && mean > 0.0 => "first higher",
            Some(_) if is_told_apart => "second higher",
            _ => "not told apart",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::judgement::Interval;
    use super::*;

    #[test]
    fn signs_are_flipped_in_every_way() {
        // All of one sign: only that choice and its opposite are as far.
        assert_eq!(sign_flips(&[0.1, 0.2, 0.3]), Some(0.25));
        assert_eq!(sign_flips(&[0.1, -0.1]), Some(1.0));
        assert_eq!(sign_flips(&[0.0, 0.0]), Some(1.0));
        assert_eq!(sign_flips(&[]), None);
    }

    #[test]
    fn of_many_seeds_signs_are_drawn_and_the_choice_at_hand_is_one_of_them() {
        let differences: Vec<f64> = (0..=MAX_SIGNS).map(|k| 0.1 + k as f64).collect();
        let p = sign_flips(&differences).unwrap();
        assert!(p >= 1.0 / DRAWN_CHOICES as f64 && p < 1e-3, "{p}");
        assert_eq!(sign_flips(&differences), Some(p), "the same each time");
        let even = [[0.1, -0.1]; MAX_SIGNS].concat();
        assert_eq!(sign_flips(&even), Some(1.0));
    }

    #[test]
    fn only_the_corrected_p_tells_two_apart_whatever_the_interval_says() {
        let of = |mean, corrected| Paired {
            first: String::new(),
            second: String::new(),
            difference: Spread {
                mean: Some(mean),
                interval: Interval::of(&[Some(mean / 2.0), Some(mean * 2.0)]),
                ..Spread::default()
            },
            p: Some(0.01),
            corrected,
        };
        assert_eq!(of(0.1, Some(0.062)).verdict(), "not told apart");
        assert_eq!(of(0.1, None).verdict(), "not told apart");
        assert_eq!(of(0.1, Some(0.05)).verdict(), "first higher");
        assert_eq!(of(-0.1, Some(0.03)).verdict(), "second higher");
    }

    #[test]
    fn a_correction_grows_with_the_comparisons_and_keeps_their_order() {
        let of = |p| Paired {
            first: String::new(),
            second: String::new(),
            difference: Spread::default(),
            p: Some(p),
            corrected: None,
        };
        let mut found = [of(0.04), of(0.01), of(0.03)];
        holm(&mut found);
        let corrected = found.map(|f| f.corrected.unwrap());
        for (ours, by_hand) in corrected.into_iter().zip([0.06, 0.03, 0.06]) {
            assert!((ours - by_hand).abs() < 1e-12, "{corrected:?}");
        }
    }
}
