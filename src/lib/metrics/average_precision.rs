//! Average precision and the precision-recall curve of one class against all others.

use super::ratio::ratio;

/// Clips in descending order of one score, tied ones together. Made once, it serves any choice of
/// positives.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// Places of the clips, highest score first.
    order: Vec<usize>,
    /// Where each group of tied clips ends in `order`.
    ends: Vec<usize>,
    /// The score of each group, descending.
    scores: Vec<f32>,
}

impl Ranking {
    /// Ranks clips by their scores, `[N]`.
    #[must_use]
    pub fn new(scores: &[f32]) -> Self {
        let mut order: Vec<usize> = (0..scores.len()).collect();
        order.sort_by(|&a, &b| scores[b].total_cmp(&scores[a]));
        let mut ranking = Self {
            ends: Vec::new(),
            scores: Vec::new(),
            order,
        };
        for (k, &i) in ranking.order.iter().enumerate() {
            // Exact equality is what makes a tie, and not the order of the bits: -0 and 0 are one.
            #[allow(clippy::float_cmp)]
            let tied = ranking.scores.last().is_some_and(|&last| last == scores[i]);
            if tied {
                ranking.ends.pop();
            } else {
                ranking.scores.push(scores[i]);
            }
            ranking.ends.push(k + 1);
        }
        ranking
    }

    /// Average precision of the clips for which `positive` holds among all, each of which counts
    /// `times`; `None` without a positive.
    ///
    /// The sum, over the distinct scores, of the gain in recall times the precision once all clips
    /// of that score are in: no interpolation, and the order of tied clips cannot matter.
    pub fn average_precision(
        &self,
        times: impl Fn(usize) -> u64,
        positive: impl Fn(usize) -> bool,
    ) -> Option<f64> {
        let (mut taken, mut hits, mut start) = (0_u64, 0_u64, 0);
        let mut sum = 0.0;
        for &end in &self.ends {
            let before = hits;
            for &i in &self.order[start..end] {
                let times = times(i);
                taken += times;
                hits += times * u64::from(positive(i));
            }
            if hits > before {
                sum += (hits - before) as f64 * ratio(hits, taken);
            }
            start = end;
        }
        (hits > 0).then(|| sum / hits as f64)
    }

    /// The precision-recall curve of the clips for which `positive` holds.
    pub fn curve(&self, positive: impl Fn(usize) -> bool) -> PrCurve {
        let positives = self.order.iter().filter(|&&i| positive(i)).count() as u64;
        let mut curve = PrCurve::default();
        let (mut hits, mut start) = (0_u64, 0);
        for (&end, &score) in self.ends.iter().zip(&self.scores) {
            hits += self.order[start..end]
                .iter()
                .filter(|&&i| positive(i))
                .count() as u64;
            curve.precision.push(ratio(hits, end as u64));
            curve.recall.push(if positives == 0 {
                1.0
            } else {
                ratio(hits, positives)
            });
            curve.score.push(score);
            start = end;
        }
        curve.precision.reverse();
        curve.recall.reverse();
        curve.score.reverse();
        curve.precision.push(1.0);
        curve.recall.push(0.0);
        curve
    }
}

/// Precision and recall when everything at or above a score is taken, for every distinct score in
/// ascending order; then one last point of precision 1 and recall 0, so both lists are one longer
/// than `score`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PrCurve {
    /// The share of positives among what is taken.
    pub precision: Vec<f64>,
    /// The share of the positives that is taken; 1 where there is no positive.
    pub recall: Vec<f64>,
    /// The distinct scores, ascending.
    pub score: Vec<f32>,
}

/// Average precision of `positives` under `scores`, both `[N]`; `None` without a positive.
///
/// # Panics
/// When there are fewer `positives` than `scores`.
#[must_use]
pub fn average_precision(scores: &[f32], positives: &[bool]) -> Option<f64> {
    Ranking::new(scores).average_precision(|_| 1, |i| positives[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_perfect_ranking_has_1_a_reversed_one_little_and_none_is_undefined() {
        let scores = [0.9, 0.8, 0.2, 0.1];
        assert_eq!(
            average_precision(&scores, &[true, true, false, false]),
            Some(1.0)
        );
        let reversed = average_precision(&scores, &[false, false, true, true]).unwrap();
        let by_hand = f64::midpoint(1.0 / 3.0, 2.0 / 4.0);
        assert!((reversed - by_hand).abs() < 1e-12);
        assert_eq!(average_precision(&scores, &[false; 4]), None);
        assert_eq!(average_precision(&[], &[]), None);
    }

    #[test]
    fn tied_clips_enter_together_whatever_their_order() {
        let a = average_precision(&[0.5, 0.5, 0.1], &[true, false, true]);
        let b = average_precision(&[0.5, 0.5, 0.1], &[false, true, true]);
        assert_eq!(a, b);
        assert!((a.unwrap() - (0.5 * 0.5 + 0.5 * 2.0 / 3.0)).abs() < 1e-12);
        assert_eq!(average_precision(&[0.0, -0.0], &[true, false]), Some(0.5));
    }

    #[test]
    fn a_clip_that_counts_twice_is_as_two_of_the_same_score() {
        let twice = Ranking::new(&[0.9, 0.5, 0.1]);
        let twice = twice.average_precision(|i| [1, 2, 0][i], |i| i == 1);
        let spelled = average_precision(&[0.9, 0.5, 0.5], &[false, true, true]);
        assert_eq!(twice, spelled);
    }

    #[test]
    fn a_curve_keeps_every_distinct_score_and_ends_at_precision_1() {
        let ranking = Ranking::new(&[0.9, 0.5, 0.5, 0.1]);
        let curve = ranking.curve(|i| i == 0 || i == 2);
        assert_eq!(curve.score, [0.1, 0.5, 0.9]);
        assert_eq!(curve.precision, [0.5, 2.0 / 3.0, 1.0, 1.0]);
        assert_eq!(curve.recall, [1.0, 1.0, 0.5, 0.0]);
        assert_eq!(ranking.curve(|_| false).recall, [1.0, 1.0, 1.0, 0.0]);
    }
}
