//! Linear heads on cached features that are a function of sums over clips: what arrives is added,
//! what leaves subtracted, and the result is that of a fit without what left, to 1e-9. Ridge
//! regression; RanPAC (McDonnell et al., <https://arxiv.org/abs/2307.02251>) behind a random
//! projection.

mod error;
mod expansion;
mod sum;

use std::collections::BTreeSet;

use crate::cholesky::{Cholesky, dot};

pub use error::ExactHeadError;
pub use expansion::{Expansion, PROJECTION_WIDTH};
use sum::Sums;

/// The ridge is 10^k trace(G) / M for one of these k.
pub const POWERS: std::ops::RangeInclusive<i32> = -8..=2;
/// The k without validation clips.
const POWER_WITHOUT_VALIDATION: i32 = -2;
/// Removals after which the sums are taken anew.
const MOST_REMOVALS: usize = 64;
/// The share of trace(G) that may have left before the sums are taken anew.
const MOST_REMOVED: f64 = 0.5;
/// A diagonal element below minus this share of the largest asks for new sums.
const NEGATIVE: f64 = 1e-9;

/// A clip as the head takes it.
#[derive(Clone, Copy, Debug)]
pub struct Clip<'a> {
    /// Its id.
    pub id: &'a str,
    /// Its feature, cast to 64 bits, `[d]`.
    pub feature: &'a [f64],
    /// Its class.
    pub class: usize,
}

/// The sums over clips that a head is a function of, in memory of 2 M (M + C) numbers.
#[derive(Clone, Debug)]
pub struct ExactHead {
    expansion: Expansion,
    classes: usize,
    /// G = sum h h', `[M, M]`, its lower triangle.
    gram: Sums,
    /// Q = sum h onehot(y)', `[M, C]`.
    moment: Sums,
    clips: BTreeSet<String>,
    removals: usize,
    removed_trace: f64,
}

/// A ridge, and how it was chosen.
#[derive(Clone, Debug, PartialEq)]
pub struct Ridge {
    /// k of l = 10^k trace(G) / M.
    pub power: i32,
    /// l.
    pub lambda: f64,
    /// The mean squared error on the validation clips for each of [`POWERS`]; `None` where the
    /// factor fails. Empty without them.
    pub errors: Vec<Option<f64>>,
    /// W `[M, C]`, row-major.
    pub weights: Vec<f64>,
}

/// What solves A X = B for a symmetric positive definite A `[M, M]`, of which the lower triangle is
/// given, and B `[M, C]`; `None` where A is not positive definite in the precision at hand.
pub type Solver<'a> = &'a dyn Fn(&[f64], usize, &[f64], usize) -> Option<Vec<f64>>;

/// The solver of this crate.
fn by_our_factor(matrix: &[f64], size: usize, right: &[f64], columns: usize) -> Option<Vec<f64>> {
    Some(Cholesky::new(matrix, size)?.solve(right, columns))
}

impl ExactHead {
    /// A head without clips.
    #[must_use]
    pub fn new(expansion: Expansion, classes: usize) -> Self {
        let size = expansion.expanded_width();
        Self {
            gram: Sums::new(size * size),
            moment: Sums::new(size * classes),
            expansion,
            classes,
            clips: BTreeSet::new(),
            removals: 0,
            removed_trace: 0.0,
        }
    }

    /// How many clips are in the sums.
    #[must_use]
    pub fn clips(&self) -> usize {
        self.clips.len()
    }

    /// Row `row` of G, `[M]`.
    #[must_use]
    pub fn gram_row(&self, row: usize) -> Vec<f64> {
        let size = self.size();
        let at = |column: usize| self.gram.at(row.max(column) * size + row.min(column));
        (0..size).map(at).collect()
    }

    /// Row `row` of Q, `[C]`.
    #[must_use]
    pub fn moment_row(&self, row: usize) -> Vec<f64> {
        let places = row * self.classes..(row + 1) * self.classes;
        places.map(|place| self.moment.at(place)).collect()
    }

    /// trace(G).
    #[must_use]
    pub fn trace(&self) -> f64 {
        self.diagonal().sum()
    }

    /// Adds a clip.
    ///
    /// # Errors
    /// When it is there already, or no clip of this head. Nothing has changed then.
    pub fn add(&mut self, clip: Clip<'_>) -> Result<(), ExactHeadError> {
        self.check(clip)?;
        if !self.clips.insert(clip.id.to_owned()) {
            return Err(ExactHeadError::Present {
                clip: clip.id.to_owned(),
            });
        }
        self.accumulate(clip, 1.0);
        Ok(())
    }

    /// Subtracts a clip, given with the feature and the class that it was added with.
    ///
    /// # Errors
    /// When it is not there, or no clip of this head. Nothing has changed then.
    pub fn remove(&mut self, clip: Clip<'_>) -> Result<(), ExactHeadError> {
        self.check(clip)?;
        if !self.clips.remove(clip.id) {
            return Err(ExactHeadError::Absent {
                clip: clip.id.to_owned(),
            });
        }
        self.removed_trace += self.accumulate(clip, -1.0);
        self.removals += 1;
        Ok(())
    }

    /// Whether the sums should be taken anew from the clips that are left, because rounding may
    /// have gathered in them.
    #[must_use]
    pub fn wants_refit(&self) -> bool {
        let largest = self.diagonal().fold(0.0, f64::max);
        self.removals >= MOST_REMOVALS
            || self.removed_trace > MOST_REMOVED * (self.trace() + self.removed_trace)
            || self.diagonal().any(|d| d < -NEGATIVE * largest)
    }

    /// Takes the sums anew over `clips`.
    ///
    /// # Errors
    /// As [`ExactHead::add`]. The head is unchanged then.
    pub fn refit<'a>(
        &mut self,
        clips: impl IntoIterator<Item = Clip<'a>>,
    ) -> Result<(), ExactHeadError> {
        let mut fresh = Self::new(self.expansion.clone(), self.classes);
        for clip in clips {
            fresh.add(clip)?;
        }
        *self = fresh;
        Ok(())
    }

    /// Chooses the ridge of least mean squared error of the scores of `validation` against one-hot
    /// targets, the larger of equal ones, and solves for W. `None` where no factor succeeds: refit
    /// and try again. Without clips W is 0.
    ///
    /// # Errors
    /// Validation clips that are none of this head.
    pub fn fit(&self, validation: &[Clip<'_>]) -> Result<Option<Ridge>, ExactHeadError> {
        self.fit_by(&by_our_factor, validation)
    }

    /// [`ExactHead::fit`] by a solver that is faster on large systems.
    ///
    /// # Errors
    /// As [`ExactHead::fit`].
    pub fn fit_by(
        &self,
        solver: Solver<'_>,
        validation: &[Clip<'_>],
    ) -> Result<Option<Ridge>, ExactHeadError> {
        let expanded = validation.iter().map(|clip| {
            self.check(*clip)?;
            Ok((self.expansion.expand(clip.feature), clip.class))
        });
        let expanded = expanded.collect::<Result<Vec<_>, _>>()?;
        if expanded.is_empty() {
            return Ok(self.solve(solver, POWER_WITHOUT_VALIDATION));
        }
        let mut best: Option<(f64, Ridge)> = None;
        let mut errors = Vec::new();
        for power in POWERS {
            let solved = self.solve(solver, power);
            let error = solved.as_ref().map(|r| self.error(&r.weights, &expanded));
            errors.push(error);
            if let (Some(error), Some(ridge)) = (error, solved)
                && best.as_ref().is_none_or(|(least, _)| error <= *least)
            {
                best = Some((error, ridge));
            }
        }
        Ok(best.map(|(_, ridge)| Ridge { errors, ..ridge }))
    }

    /// W for the ridge of `power`.
    fn solve(&self, solver: Solver<'_>, power: i32) -> Option<Ridge> {
        let size = self.size();
        let lambda = 10.0_f64.powi(power) * self.trace() / size as f64;
        let weights = if self.clips.is_empty() {
            vec![0.0; size * self.classes]
        } else {
            let mut matrix = self.gram.all();
            for i in 0..size {
                matrix[i * size + i] += lambda;
            }
            solver(&matrix, size, &self.moment.all(), self.classes)?
        };
        Some(Ridge {
            power,
            lambda,
            errors: Vec::new(),
            weights,
        })
    }

    fn error(&self, weights: &[f64], clips: &[(Vec<f64>, usize)]) -> f64 {
        let squares = clips.iter().map(|(h, class)| {
            let scores = self.scores_of(weights, h).into_iter().enumerate();
            scores
                .map(|(c, s)| (s - f64::from(u8::from(c == *class))).powi(2))
                .sum::<f64>()
        });
        squares.sum::<f64>() / (clips.len() * self.classes) as f64
    }

    fn scores_of(&self, weights: &[f64], h: &[f64]) -> Vec<f64> {
        let mut scores = vec![0.0; self.classes];
        for (h, row) in h.iter().zip(weights.chunks_exact(self.classes.max(1))) {
            for (score, weight) in scores.iter_mut().zip(row) {
                *score += h * weight;
            }
        }
        scores
    }

    /// The logits `[C]` of a feature `[d]`: 4 (2 s - 1) of its scores s, a fixed monotone link.
    #[must_use]
    pub fn logits(&self, ridge: &Ridge, feature: &[f64]) -> Vec<f64> {
        let scores = self.scores_of(&ridge.weights, &self.expansion.expand(feature));
        scores.into_iter().map(|s| 4.0 * (2.0 * s - 1.0)).collect()
    }

    /// What features go through before the sums.
    #[must_use]
    pub fn expansion(&self) -> &Expansion {
        &self.expansion
    }

    /// How many classes there are.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.classes
    }

    fn size(&self) -> usize {
        self.expansion.expanded_width()
    }

    fn diagonal(&self) -> impl Iterator<Item = f64> {
        let size = self.size();
        (0..size).map(move |i| self.gram.at(i * size + i))
    }

    fn check(&self, clip: Clip<'_>) -> Result<(), ExactHeadError> {
        let width = self.expansion.width();
        if clip.feature.len() != width || clip.feature.iter().any(|f| !f.is_finite()) {
            return Err(ExactHeadError::Feature {
                clip: clip.id.to_owned(),
                width,
            });
        }
        if clip.class >= self.classes {
            return Err(ExactHeadError::Class {
                clip: clip.id.to_owned(),
                class: clip.class,
                classes: self.classes,
            });
        }
        Ok(())
    }

    /// Adds `sign` times the clip's part to the sums and gives the part's trace.
    fn accumulate(&mut self, clip: Clip<'_>, sign: f64) -> f64 {
        let h = self.expansion.expand(clip.feature);
        let size = h.len();
        for (i, a) in h.iter().enumerate() {
            let signed = sign * a;
            let parts = h[..=i].iter().map(|b| signed * b);
            self.gram.add(i * size, parts);
            let place = i * self.classes + clip.class;
            self.moment.add(place, [signed].into_iter());
        }
        dot(&h, &h)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn clip<'a>(id: &'a str, feature: &'a [f64], class: usize) -> Clip<'a> {
        Clip { id, feature, class }
    }

    #[test]
    fn a_clip_comes_once_and_leaves_once() {
        let mut head = ExactHead::new(Expansion::Ridge { width: 1 }, 2);
        let a = clip("a", &[0.5], 1);
        assert!(matches!(head.remove(a), Err(ExactHeadError::Absent { .. })));
        head.add(a).unwrap();
        assert!(matches!(head.add(a), Err(ExactHeadError::Present { .. })));
        let error = |clip| {
            ExactHead::new(Expansion::Ridge { width: 1 }, 2)
                .add(clip)
                .unwrap_err()
        };
        assert!(matches!(
            error(clip("b", &[0.5], 2)),
            ExactHeadError::Class { .. }
        ));
        assert!(matches!(
            error(clip("b", &[], 0)),
            ExactHeadError::Feature { .. }
        ));
        assert!(matches!(
            error(clip("b", &[f64::NAN], 0)),
            ExactHeadError::Feature { .. }
        ));
        head.remove(a).unwrap();
        let ridge = head.fit(&[a]).unwrap().unwrap();
        assert_eq!(ridge.weights, [0.0; 4]);
        assert_eq!(head.logits(&ridge, &[3.0]), [-4.0, -4.0]);
    }

    #[test]
    fn much_that_left_asks_for_new_sums() {
        let mut head = ExactHead::new(Expansion::Ridge { width: 1 }, 2);
        let names: Vec<String> = (0..200).map(|i| format!("{i}")).collect();
        for name in &names {
            head.add(clip(name, &[1.0], 0)).unwrap();
        }
        for name in &names[..63] {
            head.remove(clip(name, &[1.0], 0)).unwrap();
        }
        assert!(!head.wants_refit());
        head.remove(clip(&names[63], &[1.0], 0)).unwrap();
        assert!(head.wants_refit());
        head.refit(names[64..].iter().map(|name| clip(name, &[1.0], 0)))
            .unwrap();
        assert!(!head.wants_refit());
        head.remove(clip(&names[64], &[1.0], 0)).unwrap();
        let mut small = ExactHead::new(Expansion::Ridge { width: 1 }, 2);
        small.add(clip("a", &[1.0], 0)).unwrap();
        small.add(clip("b", &[9.0], 0)).unwrap();
        small.remove(clip("b", &[9.0], 0)).unwrap();
        assert!(small.wants_refit());
    }

    #[test]
    fn a_projection_is_normal_and_repeats() {
        let Expansion::Projection { matrix, .. } = Expansion::random(3, 10, 200) else {
            unreachable!("it was asked for")
        };
        let n = matrix.len() as f64;
        let mean = matrix.iter().sum::<f64>() / n;
        let variance = matrix.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
        assert!(mean.abs() < 0.1 && (variance - 1.0).abs() < 0.1);
        assert_eq!(Expansion::random(3, 10, 200), Expansion::random(3, 10, 200));
    }

    proptest! {
        #[test]
        fn what_left_leaves_the_head_of_a_refit(
            features in prop::collection::vec(prop::collection::vec(-2.0..2.0_f64, 4), 30),
            classes in prop::collection::vec(0..3_usize, 30),
            leaving in 1..12_usize,
            projected in any::<bool>(),
        ) {
            let names: Vec<String> = (0..30).map(|i| format!("{i}")).collect();
            let clips: Vec<Clip<'_>> = (0..30).map(|i| clip(&names[i], &features[i], classes[i])).collect();
            let expansion = if projected { Expansion::random(1, 4, 9) } else { Expansion::Ridge { width: 4 } };
            let mut head = ExactHead::new(expansion, 3);
            for c in &clips {
                head.add(*c).unwrap();
            }
            for c in &clips[..leaving] {
                head.remove(*c).unwrap();
            }
            let mut fresh = head.clone();
            fresh.refit(clips[leaving..].iter().copied()).unwrap();
            // The smallest ridge, which magnifies rounding most, too.
            for power in [*POWERS.start(), -2] {
                let ours = head.solve(&by_our_factor, power).unwrap().weights;
                let refit = fresh.solve(&by_our_factor, power).unwrap().weights;
                let largest = refit.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
                for (a, b) in ours.iter().zip(&refit) {
                    prop_assert!((a - b).abs() <= 1e-9 * largest);
                }
            }
        }
    }
}
