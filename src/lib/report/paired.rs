//! Two approaches on the same seeds: whether one is better by more than the seeds differ.

use super::analyse::Analysis;
use super::groups::Group;
use super::judgement::{Interval, Spread, over_runs};

/// Most pairs of which every choice of signs is tried; with more, the sign test's place is taken by
/// the interval alone.
const MAX_SIGNS: usize = 20;

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

/// Every pair of a scenario's groups with at least two seeds in common, by their mean test mAP.
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
        Some(a.mean("mean_ap")? - other.mean("mean_ap")?)
    };
    first.runs.iter().filter_map(pair).collect()
}

/// The exact two-sided sign-flip test: if neither is better, each difference might as well have the
/// other sign.
fn sign_flips(differences: &[f64]) -> Option<f64> {
    let n = differences.len();
    if n == 0 || n > MAX_SIGNS {
        return None;
    }
    let far = differences.iter().sum::<f64>().abs();
    // As far but for the rounding of sums.
    let close = 1e-12 * differences.iter().map(|d| d.abs()).sum::<f64>();
    let choices = 1_u64 << n;
    let as_far = (0..choices).filter(|choice| {
        let signed = differences.iter().enumerate();
        let sum: f64 = signed
            .map(|(k, d)| if (choice >> k) & 1 == 1 { -d } else { *d })
            .sum();
        sum.abs() >= far - close
    });
    #[allow(clippy::cast_precision_loss)] // At most 2^20.
    Some(as_far.count() as f64 / choices as f64)
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
    /// What can be said of the two.
    pub(super) fn verdict(&self) -> &'static str {
        match self.difference.interval {
            Some(Interval { low, .. }) if low > 0.0 => "first higher",
            Some(Interval { high, .. }) if high < 0.0 => "second higher",
            _ => "not told apart",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_are_flipped_in_every_way() {
        // All of one sign: only that choice and its opposite are as far.
        assert_eq!(sign_flips(&[0.1, 0.2, 0.3]), Some(0.25));
        assert_eq!(sign_flips(&[0.1, -0.1]), Some(1.0));
        assert_eq!(sign_flips(&[0.0, 0.0]), Some(1.0));
        assert_eq!(sign_flips(&[]), None);
        assert_eq!(sign_flips(&[0.1; 21]), None);
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
