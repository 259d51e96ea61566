//! A linear probe: whether frozen features still tell withdrawn clips from others.

use super::error::same_length;
use super::{AuditError, Rows};
use crate::cholesky::{Cholesky, dot};
use crate::metrics::average_precision;

/// The ridge's strength relative to the mean variance of the features.
pub const STRENGTH: f64 = 0.01;

/// A set of clips by their features, `[N, D]`, and which of them are positive.
#[derive(Clone, Copy, Debug)]
pub struct ProbeSet<'a> {
    /// Features of a frozen, evaluated backbone.
    pub features: Rows<'a>,
    /// Whether each clip is of what was withdrawn.
    pub positive: &'a [bool],
}

impl ProbeSet<'_> {
    fn check(&self) -> Result<(), AuditError> {
        same_length("marks of clips", self.features.count(), self.positive.len())?;
        self.features.finite("features")
    }

    fn has_both(&self) -> bool {
        self.positive.contains(&true) && self.positive.contains(&false)
    }
}

/// A probe and how it judges.
#[derive(Clone, Debug, PartialEq)]
pub struct Probe {
    /// Average precision on the clips that it is judged on, 0..1; higher means that more of the
    /// withdrawn kind is left. Read it as a difference to the reference's.
    pub ap: f64,
    /// The direction that it found, `[D]`.
    pub weights: Vec<f64>,
}

/// Fits a ridge classifier on `train` in which both sides weigh the same, and judges it on
/// `judged`; `None` where either set lacks a positive or a negative clip.
///
/// With weights w of 1/(2 n1) and 1/(2 n0), features centred by their weighted mean, targets t of
/// plus and minus 1, and S the weighted covariance: (S + l I) v = sum w t x, l = `strength`
/// trace(S) / D. All scores are 0 where trace(S) is.
///
/// # Errors
/// Lengths that disagree, features that are not finite.
pub fn probe(
    train: ProbeSet<'_>,
    judged: ProbeSet<'_>,
    strength: f64,
) -> Result<Option<Probe>, AuditError> {
    train.check()?;
    judged.check()?;
    if !train.has_both() || !judged.has_both() {
        return Ok(None);
    }
    let width = train.features.width();
    same_length(
        "features of the judged clips",
        width,
        judged.features.width(),
    )?;
    let (mean, weights) = fit(train, strength);
    let score = |x: &[f64]| -> f64 {
        let centred = x.iter().zip(&mean).map(|(x, m)| x - m);
        centred.zip(&weights).map(|(x, v)| x * v).sum()
    };
    let scores: Vec<f64> = judged.features.iter().map(score).collect();
    // Both sides have clips, so the average precision is defined.
    let ap = average_precision(&dense_ranks(&scores), judged.positive);
    Ok(ap.map(|ap| Probe { ap, weights }))
}

/// The weighted mean and the direction; both sides have a clip.
fn fit(train: ProbeSet<'_>, strength: f64) -> (Vec<f64>, Vec<f64>) {
    let width = train.features.width();
    let positives = train.positive.iter().filter(|p| **p).count();
    let negatives = train.positive.len() - positives;
    let share = |positive: bool| 0.5 / if positive { positives } else { negatives } as f64;
    let mut mean = vec![0.0; width];
    for (x, &positive) in train.features.iter().zip(train.positive) {
        for (m, x) in mean.iter_mut().zip(x) {
            *m += share(positive) * x;
        }
    }
    // Rows of B = sqrt(w) x and c = sqrt(w) t: S = B'B, and the sum of w t x is B'c.
    let (mut rows, mut targets) = (Vec::new(), Vec::new());
    for (x, &positive) in train.features.iter().zip(train.positive) {
        let root = share(positive).sqrt();
        rows.extend(x.iter().zip(&mean).map(|(x, m)| root * (x - m)));
        targets.push(if positive { root } else { -root });
    }
    let weights = direction(&rows, &targets, width, strength);
    (mean, weights.unwrap_or_else(|| vec![0.0; width]))
}

/// v of (B'B + l I) v = B'c with l = `strength` trace(B'B) / d, for B `[n, d]`: by the smaller of
/// B'B and BB', since v = B'(BB' + l I)^-1 c, too. `None` where nothing varies.
fn direction(rows: &[f64], targets: &[f64], width: usize, strength: f64) -> Option<Vec<f64>> {
    let count = targets.len();
    let trace: f64 = dot(rows, rows);
    if trace <= 0.0 {
        return None;
    }
    let ridge = strength * trace / width as f64;
    let row = |i: usize| &rows[i * width..(i + 1) * width];
    // B'a.
    let combined = |factors: &[f64]| {
        let mut sum = vec![0.0; width];
        for (i, factor) in factors.iter().enumerate() {
            for (s, x) in sum.iter_mut().zip(row(i)) {
                *s += factor * x;
            }
        }
        sum
    };
    if count < width {
        let mut gram = vec![0.0; count * count];
        for i in 0..count {
            for j in 0..=i {
                gram[i * count + j] = dot(row(i), row(j));
            }
            gram[i * count + i] += ridge;
        }
        let factors = Cholesky::new(&gram, count)?.solve(targets, 1);
        return Some(combined(&factors));
    }
    let mut covariance = vec![0.0; width * width];
    for k in 0..count {
        let x = row(k);
        for (i, a) in x.iter().enumerate() {
            for (s, b) in covariance[i * width..=i * width + i].iter_mut().zip(x) {
                *s += a * b;
            }
        }
    }
    for i in 0..width {
        covariance[i * width + i] += ridge;
    }
    Some(Cholesky::new(&covariance, width)?.solve(&combined(targets), 1))
}

/// The place of each score among the distinct ones, which orders clips as the scores do and is
/// exact in 32 bits.
fn dense_ranks(scores: &[f64]) -> Vec<f32> {
    let mut distinct = scores.to_vec();
    distinct.sort_by(f64::total_cmp);
    // Equality of values: -0 and 0 are one score.
    #[allow(clippy::float_cmp)]
    distinct.dedup_by(|a, b| a == b);
    let rank = |&s: &f64| distinct.partition_point(|&d| d < s) as f32;
    scores.iter().map(rank).collect()
}

#[cfg(test)]
mod tests {
    // What is computed exactly is compared exactly.
    #![allow(clippy::float_cmp)]

    use super::*;

    fn set<'a>(features: &'a [f64], positive: &'a [bool]) -> ProbeSet<'a> {
        ProbeSet {
            features: Rows::new(features, positive.len(), 1).unwrap(),
            positive,
        }
    }

    #[test]
    fn one_feature_that_tells_is_found_and_one_side_is_undefined() {
        let train = set(&[1.0, 1.2, -1.0], &[true, true, false]);
        let found = probe(train, set(&[3.0, 0.0], &[true, false]), STRENGTH).unwrap();
        assert_eq!(found.unwrap().ap, 1.0);
        let one_sided = set(&[3.0, 0.0], &[true, true]);
        assert_eq!(probe(train, one_sided, STRENGTH).unwrap(), None);
        assert_eq!(probe(one_sided, train, STRENGTH).unwrap(), None);
    }

    #[test]
    fn both_ways_find_the_same_direction() {
        // Three clips of three numbers; with a fourth number that is 0 everywhere they are fewer.
        let rows = [0.5, -1.0, 0.25, 1.0, 0.75, -0.5, -0.25, 0.5, 1.5];
        let wide: Vec<f64> = rows
            .chunks(3)
            .flat_map(|row| [row, &[0.0]].concat())
            .collect();
        let targets = [1.0, -0.5, -0.5];
        let narrow = direction(&rows, &targets, 3, 0.03).unwrap();
        let wide = direction(&wide, &targets, 4, 0.04).unwrap();
        for (a, b) in narrow.iter().zip(&wide) {
            assert!((a - b).abs() < 1e-12, "{narrow:?} {wide:?}");
        }
        assert_eq!(direction(&[0.0; 3], &[1.0], 3, 0.01), None);
    }

    #[test]
    fn broken_inputs_are_refused() {
        let good = set(&[1.0, 0.0], &[true, false]);
        let bad = set(&[1.0, f64::NAN], &[true, false]);
        assert!(probe(good, bad, STRENGTH).is_err());
        let wide = ProbeSet {
            features: Rows::new(&[0.0; 4], 2, 2).unwrap(),
            positive: &[true, false],
        };
        assert!(probe(good, wide, STRENGTH).is_err());
    }

    #[test]
    fn scores_that_differ_in_the_last_bit_are_no_tie() {
        assert_eq!(
            dense_ranks(&[1.0, 1.0 + f64::EPSILON, 0.0, -0.0]),
            [1.0, 2.0, 0.0, 0.0]
        );
    }
}
