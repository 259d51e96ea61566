//! What may be said of an unlearned model beside its reference.

use std::fmt;

/// The verdict on a model from the intervals of its differences to the reference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It knows less of F than a model that never saw it. A warning: this tells who was withdrawn,
    /// too.
    OverForgotten,
    /// It knows more of F than a model that never saw it.
    UnderForgotten,
    /// One figure says the one, the other the other.
    Contradictory,
    /// These clips and seeds do not tell it from the reference.
    NotToldApart,
    /// Neither figure is defined.
    NotJudged,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OverForgotten => "over-forgotten",
            Self::UnderForgotten => "under-forgotten",
            Self::Contradictory => "contradictory",
            Self::NotToldApart => "not told apart",
            Self::NotJudged => "not judged",
        })
    }
}

/// The verdict from the intervals, low and high, of the differences u - r of the accuracy on F and
/// of the attack's AUC. An end at exactly 0 is not beyond it.
#[must_use]
pub fn verdict(
    forget_accuracy_difference: Option<[f64; 2]>,
    auc_difference: Option<[f64; 2]>,
) -> Verdict {
    let intervals = [forget_accuracy_difference, auc_difference];
    let some = |holds: fn([f64; 2]) -> bool| intervals.into_iter().flatten().any(holds);
    match (some(|[_, high]| high < 0.0), some(|[low, _]| low > 0.0)) {
        (true, true) => Verdict::Contradictory,
        (true, false) => Verdict::OverForgotten,
        (false, true) => Verdict::UnderForgotten,
        (false, false) if intervals == [None, None] => Verdict::NotJudged,
        (false, false) => Verdict::NotToldApart,
    }
}
