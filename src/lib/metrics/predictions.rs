//! What a model said of some clips, and what they are.

use super::{Criterion, MetricsError};

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
