//! How good the predictions for a set of clips are: average precision, recall, precision and accuracy, overall, per class
//! and per latent subcategory; confusion; forgetting over tasks; the level that chance alone reaches.
//!
//! Plain slices in, plain numbers out: no tensor, no file, nothing of the rest of this crate. All sums are 64-bit; scores
//! are compared as the 32-bit values that they are. `None` means undefined (a class without a clip has no average
//! precision) and becomes a null in tables; a quotient whose divisor is 0 is 0, as in the seed's evaluator.
//!
//! ```
//! use incdec::metrics::{Criterion, Predictions, evaluate};
//!
//! // Three clips, two classes, one subcategory in each class.
//! let metrics = evaluate(&Predictions {
//!     probabilities: &[0.9, 0.2, 0.8, 0.3, 0.4, 0.7],
//!     labels: &[0, 0, 1],
//!     subcategories: &[0, 0, 1],
//!     class_of_subcategory: &[0, 1],
//!     classes: 2,
//!     criterion: Criterion::Multilabel,
//! })
//! .unwrap();
//! assert_eq!(metrics.figures.mean_ap, Some(1.0));
//! ```

// Counts of clips become floats here, far below the 2^52 from which on that would lose any.
#![allow(clippy::cast_precision_loss)]

mod average_precision;
mod chance;
mod confusion;
mod evaluate;
mod figures;
mod forgetting;

pub use average_precision::{PrCurve, Ranking, average_precision};
pub use chance::{ChanceLevel, chance_level};
pub use confusion::{argmax, one_vs_rest, true_by_predicted};
pub use evaluate::{Metrics, evaluate, mean_average_precision};
pub use figures::{FigureRow, Figures, Names, figures_of, flatten};
pub use forgetting::{forgetting, forgetting_of_figures, mean_and_deviation, mean_defined};

/// How logits were turned into probabilities, which decides the figures that exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Criterion {
    /// A sigmoid per class: rows need not sum to 1, and a class is predicted at 0.5.
    Multilabel,
    /// A softmax over the classes.
    Multiclass,
}

/// What a model said of N clips, and what they are.
#[derive(Clone, Copy, Debug)]
pub struct Predictions<'a> {
    /// Probabilities, row-major `[N, C]`, each in 0..1.
    pub probabilities: &'a [f32],
    /// The class of each clip, `[N]`, each below C.
    pub labels: &'a [usize],
    /// The subcategory of each clip, `[N]`, each below S.
    pub subcategories: &'a [usize],
    /// The class of each subcategory, `[S]`, each below C.
    pub class_of_subcategory: &'a [usize],
    /// C, the number of classes.
    pub classes: usize,
    /// What the probabilities are.
    pub criterion: Criterion,
}

/// Why predictions cannot be judged: they are not what [`Predictions`] promises.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// There is no class.
    #[error("there is no class to judge")]
    NoClass,
    /// The slices disagree about the number of clips.
    #[error(
        "{clips} labels need {} probabilities and {clips} subcategories; there are {probabilities} and {subcategories}",
        clips * classes
    )]
    Length {
        /// Labels given.
        clips: usize,
        /// Classes stated.
        classes: usize,
        /// Probabilities given.
        probabilities: usize,
        /// Subcategories given.
        subcategories: usize,
    },
    /// An index is out of its range.
    #[error("{what} {index} of clip or subcategory {at}: there are {count}")]
    Index {
        /// What is out of range.
        what: &'static str,
        /// Its value.
        index: usize,
        /// Where it stands.
        at: usize,
        /// How many there are.
        count: usize,
    },
    /// A probability is none.
    #[error("clip {clip}, class {class}: {value} is no probability")]
    Probability {
        /// The clip's place.
        clip: usize,
        /// The class.
        class: usize,
        /// What stands there.
        value: f32,
    },
}

impl Predictions<'_> {
    /// The number of clips.
    #[must_use]
    pub fn clips(&self) -> usize {
        self.labels.len()
    }

    /// The probabilities of one clip, `[C]`.
    #[must_use]
    pub fn row(&self, clip: usize) -> &[f32] {
        &self.probabilities[clip * self.classes..(clip + 1) * self.classes]
    }

    /// The probabilities of one class over the clips, `[N]`.
    #[must_use]
    pub fn column(&self, class: usize) -> Vec<f32> {
        (0..self.clips()).map(|i| self.row(i)[class]).collect()
    }

    /// Checks lengths, indices and that every probability is one.
    ///
    /// # Errors
    /// At the first thing that is not as promised.
    pub fn check(&self) -> Result<(), MetricsError> {
        let clips = self.clips();
        if self.classes == 0 {
            return Err(MetricsError::NoClass);
        }
        if self.probabilities.len() != clips * self.classes || self.subcategories.len() != clips {
            return Err(MetricsError::Length {
                clips,
                classes: self.classes,
                probabilities: self.probabilities.len(),
                subcategories: self.subcategories.len(),
            });
        }
        let below = |what, indices: &[usize], count| match indices.iter().position(|&i| i >= count)
        {
            None => Ok(()),
            Some(at) => Err(MetricsError::Index {
                what,
                index: indices[at],
                at,
                count,
            }),
        };
        below("class", self.labels, self.classes)?;
        below(
            "subcategory",
            self.subcategories,
            self.class_of_subcategory.len(),
        )?;
        below("class", self.class_of_subcategory, self.classes)?;
        match self
            .probabilities
            .iter()
            .position(|p| !(0.0..=1.0).contains(p))
        {
            None => Ok(()),
            Some(at) => Err(MetricsError::Probability {
                clip: at / self.classes,
                class: at % self.classes,
                value: self.probabilities[at],
            }),
        }
    }
}

/// `a / b`, and 0 where `b` is 0.
fn div(a: u64, b: u64) -> f64 {
    if b == 0 { 0.0 } else { ratio(a, b) }
}

/// `a / b` of counts.
fn ratio(a: u64, b: u64) -> f64 {
    a as f64 / b as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: Predictions<'_> = Predictions {
        probabilities: &[0.9, 0.2, 0.4, 0.7],
        labels: &[0, 1],
        subcategories: &[0, 1],
        class_of_subcategory: &[0, 1],
        classes: 2,
        criterion: Criterion::Multiclass,
    };

    #[test]
    fn each_broken_promise_is_its_own_error() {
        use MetricsError as E;
        GOOD.check().unwrap();
        let check = |p: Predictions<'_>| p.check().unwrap_err();
        assert_eq!(check(Predictions { classes: 0, ..GOOD }), E::NoClass);
        let short = Predictions {
            probabilities: &[0.9, 0.2, 0.4],
            ..GOOD
        };
        assert!(matches!(
            check(short),
            E::Length {
                probabilities: 3,
                ..
            }
        ));
        let label = Predictions {
            labels: &[0, 2],
            ..GOOD
        };
        assert!(matches!(
            check(label),
            E::Index {
                what: "class",
                at: 1,
                ..
            }
        ));
        let subcategory = Predictions {
            subcategories: &[2, 0],
            ..GOOD
        };
        assert!(matches!(
            check(subcategory),
            E::Index {
                what: "subcategory",
                at: 0,
                ..
            }
        ));
        for value in [f32::NAN, -0.1, 1.1] {
            let probabilities = [0.9, 0.2, value, 0.7];
            let bad = Predictions {
                probabilities: &probabilities,
                ..GOOD
            };
            assert!(matches!(
                check(bad),
                E::Probability {
                    clip: 1,
                    class: 0,
                    ..
                }
            ));
        }
    }
}
