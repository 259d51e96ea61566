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

    /// Average precision of the clips for which `positive` holds among all; `None` without a positive.
    ///
    /// The sum, over the distinct scores, of the gain in recall times the precision once all clips
    /// of that score are in: no interpolation, and the order of tied clips cannot matter.
    pub fn average_precision(&self, positive: impl Fn(usize) -> bool) -> Option<f64> {
        let side = |i: usize| {
            if positive(i) {
                Side::Own(None)
            } else {
                Side::Other
            }
        };
        self.average_precisions(&vec![1; self.order.len()], side, 0)
            .0
    }

    /// Average precision of a class against all others, and of each of its `parts` against the same
    /// others, the rest of the class left out, where clip i counts `times[i]`: all in one pass.
    ///
    /// # Panics
    /// When there are fewer `times` than clips, or `side` names a part that there is not.
    pub(super) fn average_precisions(
        &self,
        times: &[u64],
        side: impl Fn(usize) -> Side,
        parts: usize,
    ) -> (Option<f64>, Vec<Option<f64>>) {
        let mut class = Gained::default();
        let mut of_parts = vec![Gained::default(); parts];
        // The parts that gained within a group of tied clips.
        let mut gained = Vec::new();
        let (mut others, mut start) = (0_u64, 0);
        for &end in &self.ends {
            for &i in &self.order[start..end] {
                let times = times[i];
                match side(i) {
                    Side::Other => others += times,
                    Side::Own(part) => {
                        class.now += times;
                        if let Some(part) = part {
                            if of_parts[part].now == 0 {
                                gained.push(part);
                            }
                            of_parts[part].now += times;
                        }
                    }
                }
            }
            class.close(others);
            for part in gained.drain(..) {
                of_parts[part].close(others);
            }
            start = end;
        }
        let of_parts = of_parts.iter().map(Gained::average_precision);
        (class.average_precision(), of_parts.collect())
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

/// On which side of a class a clip is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Side {
    /// It is of another class.
    Other,
    /// It is of the class, and of that part of it, if of any.
    Own(Option<usize>),
}

/// The positives that have been met in descending order of their scores.
#[derive(Clone, Copy, Debug, Default)]
struct Gained {
    /// Those of the groups before.
    hits: u64,
    /// Those of the present group.
    now: u64,
    /// The sum, over the groups before, of the positives gained times the precision.
    sum: f64,
}

impl Gained {
    /// Ends a group, after which `others` are no positives.
    fn close(&mut self, others: u64) {
        if self.now > 0 {
            self.hits += self.now;
            self.sum += self.now as f64 * ratio(self.hits, self.hits + others);
            self.now = 0;
        }
    }

    fn average_precision(&self) -> Option<f64> {
        (self.hits > 0).then(|| self.sum / self.hits as f64)
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
    Ranking::new(scores).average_precision(|i| positives[i])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_stands_among_itself_and_the_others_and_its_siblings_are_left_out() {
        let scores = [0.9, 0.8, 0.8, 0.8, 0.5, 0.5, 0.3, 0.1, 0.1];
        let parts = [
            Some(0),
            None,
            Some(1),
            Some(0),
            None,
            Some(1),
            Some(0),
            None,
            Some(1),
        ];
        let times = [1, 2, 1, 0, 1, 3, 1, 1, 2];
        let side = |i: usize| parts[i].map_or(Side::Other, |part| Side::Own(Some(part)));
        let (class, of_parts) = Ranking::new(&scores).average_precisions(&times, side, 3);
        // The same clips, as often as they count.
        let alone = |kept: &dyn Fn(Option<usize>) -> bool| {
            let clips = (0..scores.len()).filter(|&i| kept(parts[i]));
            let clips: Vec<usize> = clips
                .flat_map(|i| std::iter::repeat_n(i, usize::try_from(times[i]).unwrap()))
                .collect();
            let scores: Vec<f32> = clips.iter().map(|&i| scores[i]).collect();
            let positives: Vec<bool> = clips.iter().map(|&i| parts[i].is_some()).collect();
            average_precision(&scores, &positives)
        };
        assert_eq!(class, alone(&|_| true));
        for (part, ap) in of_parts.into_iter().enumerate() {
            let expected = alone(&|of| of.is_none_or(|of| of == part));
            assert_eq!(ap, expected, "part {part}");
            assert_eq!(ap.is_none(), part == 2);
        }
    }

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
        let side = |i| {
            if i == 1 { Side::Own(None) } else { Side::Other }
        };
        let (twice, _) = twice.average_precisions(&[1, 2, 0], side, 0);
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
