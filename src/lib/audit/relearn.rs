//! Relearn time: how many steps on what was withdrawn bring its loss back, of an unlearned model
//! relative to a reference (Golatkar et al., <https://arxiv.org/abs/1911.04933>).

/// Passes over F after which relearning is given up.
pub const MOST_PASSES: usize = 20;
/// A model knows F again when its loss is at most this times the one before unlearning.
pub const TARGET_FACTOR: f64 = 1.05;

/// Steps between two looks at the loss, for `batches` batches in a pass: a quarter of a pass, at
/// least one.
#[must_use]
pub fn steps_between_checks(batches: usize) -> usize {
    batches.div_ceil(4).max(1)
}

/// How long a model took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelearnTime {
    /// Steps until the loss was reached, or until it was given up.
    pub steps: u32,
    /// Whether it was given up.
    pub censored: bool,
}

/// What a ratio of two times is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// The ratio itself.
    Exact,
    /// The unlearned model was given up, so the ratio is larger.
    AtLeast,
    /// The reference was given up, so the ratio is smaller.
    AtMost,
    /// Both were given up.
    Undefined,
}

impl Bound {
    /// The word for tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::AtLeast => "at least",
            Self::AtMost => "at most",
            Self::Undefined => "undefined",
        }
    }
}

/// Steps of `unlearned` over those of `reference`, from 0: below 1 the unlearned model knows more
/// than one that never saw F. 0/0 is 1, n/0 infinite.
#[must_use]
pub fn ratio(unlearned: RelearnTime, reference: RelearnTime) -> (Option<f64>, Bound) {
    let bound = match (unlearned.censored, reference.censored) {
        (false, false) => Bound::Exact,
        (true, false) => Bound::AtLeast,
        (false, true) => Bound::AtMost,
        (true, true) => return (None, Bound::Undefined),
    };
    let ratio = match (unlearned.steps, reference.steps) {
        (0, 0) => 1.0,
        (_, 0) => f64::INFINITY,
        (u, r) => f64::from(u) / f64::from(r),
    };
    (Some(ratio), bound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_given_up_side_bounds_the_ratio() {
        let time = |steps, censored| RelearnTime { steps, censored };
        assert_eq!(
            ratio(time(4, false), time(8, true)),
            (Some(0.5), Bound::AtMost)
        );
        assert_eq!(
            ratio(time(8, true), time(4, false)),
            (Some(2.0), Bound::AtLeast)
        );
        assert_eq!(
            ratio(time(8, true), time(8, true)),
            (None, Bound::Undefined)
        );
    }

    #[test]
    fn the_loss_is_looked_at_four_times_a_pass() {
        assert_eq!([0, 1, 4, 5, 8].map(steps_between_checks), [1, 1, 1, 2, 2]);
    }
}
