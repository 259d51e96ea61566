//! A set's figures of an unlearned model beside those of its reference, and scores made of them.

use super::scores::{clip_losses, phi, right};
use super::{AuditError, Rows, mean};
use crate::metrics::Criterion;

/// What one model makes of one set of clips; `None` for an empty set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SetFigures {
    /// The share of clips whose class has the largest logit, 0..1.
    pub accuracy: Option<f64>,
    /// The mean loss, at least 0.
    pub loss: Option<f64>,
    /// The mean scaled confidence.
    pub phi: Option<f64>,
}

impl SetFigures {
    /// The figures of `logits` `[N, C]` for clips of `labels` `[N]`.
    ///
    /// # Errors
    /// As [`phi`].
    pub fn of(
        criterion: Criterion,
        logits: Rows<'_>,
        labels: &[usize],
    ) -> Result<Self, AuditError> {
        let right: Vec<f64> = right(logits, labels)?
            .into_iter()
            .map(|right| f64::from(u8::from(right)))
            .collect();
        Ok(Self {
            accuracy: mean(&right),
            loss: mean(&clip_losses(criterion, logits, labels)?),
            phi: mean(&phi(criterion, logits, labels)?),
        })
    }

    /// What these figures have more than `reference`'s: the gap, 0 where both behave alike.
    #[must_use]
    pub fn minus(self, reference: Self) -> Self {
        Self {
            accuracy: difference(self.accuracy, reference.accuracy),
            loss: difference(self.loss, reference.loss),
            phi: difference(self.phi, reference.phi),
        }
    }
}

/// `a - b`, `None` where one is.
pub(super) fn difference(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    Some(a? - b?)
}

/// Tug of war: the product over sets (F, R, T) of 1 - |accuracy of u - accuracy of r|. 0..1, 1 is
/// the reference's behaviour; `None` where an accuracy is. (Zhao et al.,
/// <https://arxiv.org/abs/2406.01257>.)
#[must_use]
pub fn tow(accuracies: &[(Option<f64>, Option<f64>)]) -> Option<f64> {
    let factors = accuracies
        .iter()
        .map(|&(u, r)| Some(1.0 - difference(u, r)?.abs()));
    factors.product()
}

/// Adaptive unlearning score (Cotogni et al., <https://arxiv.org/abs/2304.12049>): test accuracy
/// kept, over 1 plus the distance of test and forget accuracy. It knows no reference, so it is
/// shown for comparison and never ranked by.
#[must_use]
pub fn aus(
    test_original: Option<f64>,
    test_unlearned: Option<f64>,
    forget_unlearned: Option<f64>,
) -> Option<f64> {
    let kept = 1.0 - difference(test_original, test_unlearned)?;
    Some(kept / (1.0 + difference(test_unlearned, forget_unlearned)?.abs()))
}

/// Normalised machine unlearning score (Choi and Na, <https://arxiv.org/abs/2311.02240>): half test
/// accuracy, half how near the accuracy of a membership attack is to guessing. It knows no
/// reference, so it is shown for comparison and never ranked by.
#[must_use]
pub fn nomus(test_unlearned: Option<f64>, attack_accuracy: Option<f64>) -> Option<f64> {
    let privacy = 1.0 - 2.0 * (attack_accuracy? - 0.5).abs();
    Some(0.5 * test_unlearned? + 0.5 * privacy)
}

/// Forget quality weighted by the accuracy kept on R and T relative to the reference's; `None`
/// where a divisor is 0. (<https://arxiv.org/abs/2406.09073>.)
#[must_use]
pub fn final_score(
    forget_quality: Option<f64>,
    retain: (Option<f64>, Option<f64>),
    test: (Option<f64>, Option<f64>),
) -> Option<f64> {
    let kept =
        |(u, r): (Option<f64>, Option<f64>)| r.filter(|&r| r != 0.0).and_then(|r| Some(u? / r));
    Some(forget_quality? * kept(retain)? * kept(test)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_set_has_no_figures_and_no_gap() {
        let empty = Rows::new(&[], 0, 3).unwrap();
        let figures = SetFigures::of(Criterion::Multiclass, empty, &[]).unwrap();
        assert_eq!(figures, SetFigures::default());
        assert_eq!(figures.minus(figures), SetFigures::default());
    }

    #[test]
    fn scores_are_undefined_where_a_part_is() {
        let half = Some(0.5);
        assert_eq!(tow(&[(half, half), (None, half)]), None);
        assert_eq!(tow(&[(half, Some(0.25)), (half, half)]), Some(0.75));
        assert_eq!(aus(half, None, half), None);
        assert_eq!(nomus(half, None), None);
        assert_eq!(final_score(half, (half, Some(0.0)), (half, half)), None);
        assert_eq!(
            final_score(half, (half, half), (half, Some(0.25))),
            Some(1.0)
        );
    }
}
