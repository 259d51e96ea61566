//! How rates and penalties run over epochs, and which epoch SCRUB goes back to.

/// Errors this near count as equal.
const EQUAL: f64 = 1e-12;

/// SCRUB: the factor of the rate of epoch `epoch`, from 1: `decay` to the power of the number of
/// milestones below it.
#[must_use]
pub fn milestones(epoch: u32, decay_after: &[u32], decay: f64) -> f64 {
    let passed = decay_after.iter().filter(|m| **m < epoch).count();
    (0..passed).map(|_| decay).product()
}

/// MSG: up to the middle epoch, then down: e/h up to h = (E + 1) div 2, then (E + 1 - e)/(E + 1 -
/// h), e from 1.
#[must_use]
pub fn up_and_down(epoch: u32, epochs: u32) -> f64 {
    let middle = u32::midpoint(epochs, 1);
    if epoch <= middle {
        f64::from(epoch) / f64::from(middle)
    } else {
        f64::from(epochs + 1 - epoch) / f64::from(epochs + 1 - middle)
    }
}

/// CT: half a cosine from 1 towards 0; `epoch` from 0.
#[must_use]
pub fn cosine(epoch: u32, epochs: u32) -> f64 {
    let turn = std::f64::consts::PI * f64::from(epoch) / f64::from(epochs);
    f64::midpoint(1.0, turn.cos())
}

/// l1-sparse: the factor of the penalty in epoch `epoch`, from 0: a line down to 0 over all epochs
/// but the last `without`.
#[must_use]
pub fn penalty(epoch: u32, epochs: u32, without: u32) -> f64 {
    let with = epochs.saturating_sub(without);
    if epoch < with {
        1.0 - f64::from(epoch) / f64::from(with)
    } else {
        0.0
    }
}

/// SCRUB+R: of epochs 1.. the one whose error on F is nearest to the last epoch's on held-out clips
/// like F, the latest of equal ones. Errors begin with those before the first epoch, which is no
/// candidate. `None` without held-out clips or epochs.
#[must_use]
pub fn rewind(forget_errors: &[f64], heldout_errors: &[f64]) -> Option<usize> {
    let target = *heldout_errors.last()?;
    let distance = |epoch: &usize| (forget_errors[*epoch] - target).abs();
    let epochs = || 1..forget_errors.len();
    let least = epochs().map(|e| distance(&e)).reduce(f64::min)?;
    epochs().rev().find(|e| distance(e) <= least + EQUAL)
}

#[cfg(test)]
mod tests {
    // What is computed exactly is compared exactly.
    #![allow(clippy::float_cmp)]

    use super::*;

    #[test]
    fn a_penalty_may_be_left_out_of_every_epoch() {
        assert_eq!([0, 1].map(|e| penalty(e, 2, 3)), [0.0, 0.0]);
    }

    #[test]
    fn without_an_epoch_there_is_nothing_to_go_back_to() {
        assert_eq!(rewind(&[0.5], &[0.5]), None);
    }
}
