//! Several requests after one another: what they cost those who stay, and whether what left comes
//! back.

use super::AuditError;
use super::error::same_length;
use super::gap::difference;
use crate::metrics::mean_defined;

/// What one request did to the groups that stay: mean AP on the test split over the groups
/// available at its task.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Request {
    /// Before unlearning.
    pub before: Option<f64>,
    /// Right after unlearning.
    pub after: Option<f64>,
    /// At the end of the task.
    pub end_of_task: Option<f64>,
    /// Of the path reference at the end of the task.
    pub path_reference_end: Option<f64>,
}

/// Erosion over a sequence of requests.
#[derive(Clone, Debug, PartialEq)]
pub struct Erosion {
    /// What each unlearning cost: before - after. Higher is worse.
    pub step: Vec<Option<f64>>,
    /// The mean of those that are defined.
    pub mean_step: Option<f64>,
    /// What is missing at the end of each task: path reference - unlearned. Higher is worse.
    pub gap: Vec<Option<f64>>,
    /// How the gap grows a request, by least squares; `None` below two requests or where a gap is
    /// undefined.
    pub slope: Option<f64>,
}

/// The erosion that `requests`, in order, caused.
#[must_use]
pub fn erosion(requests: &[Request]) -> Erosion {
    let step: Vec<_> = requests
        .iter()
        .map(|r| difference(r.before, r.after))
        .collect();
    let gap: Vec<_> = requests
        .iter()
        .map(|r| difference(r.path_reference_end, r.end_of_task))
        .collect();
    let defined: Option<Vec<f64>> = gap.iter().copied().collect();
    Erosion {
        mean_step: mean_defined(step.iter().copied()),
        slope: defined.and_then(|gaps| slope(&gaps)),
        step,
        gap,
    }
}

/// The slope of the least squares line through values at 0, 1, ..; `None` below two.
fn slope(values: &[f64]) -> Option<f64> {
    if values.len() < 2 {
        return None;
    }
    let middle = (values.len() - 1) as f64 / 2.0;
    let offsets = || (0..values.len()).map(|i| i as f64 - middle);
    let rise: f64 = offsets().zip(values).map(|(x, y)| x * y).sum();
    Some(rise / offsets().map(|x| x * x).sum::<f64>())
}

/// How much of what was forgotten is known again later.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reversal {
    /// Clips that were wrong right after their unlearning.
    pub wrong: usize,
    /// Those of them that are right later.
    pub returned: usize,
    /// The share, 0..1; `None` where none was wrong. Read it beside the path reference's.
    pub share: Option<f64>,
}

/// Reversal of withdrawn clips: whether each was wrong right after its unlearning, and whether it
/// is right later.
///
/// # Errors
/// [`AuditError::Length`].
pub fn reversal(wrong_after: &[bool], right_later: &[bool]) -> Result<Reversal, AuditError> {
    same_length("clips judged later", wrong_after.len(), right_later.len())?;
    let wrong = wrong_after.iter().filter(|w| **w).count();
    let both = wrong_after.iter().zip(right_later);
    let returned = both.filter(|(wrong, right)| **wrong && **right).count();
    Ok(Reversal {
        wrong,
        returned,
        share: (wrong > 0).then(|| returned as f64 / wrong as f64),
    })
}

/// How the AP of a withdrawn group rises again after its request.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relapse {
    /// Of the unlearned model: later - right after.
    pub own: Option<f64>,
    /// Of the path reference.
    pub reference: Option<f64>,
    /// own - reference: above 0 more came back than training on the others explains.
    pub net: Option<f64>,
}

/// The relapse of one group from its AP right after the request and at a later task.
#[must_use]
pub fn relapse(unlearned: [Option<f64>; 2], path_reference: [Option<f64>; 2]) -> Relapse {
    let rise = |[after, later]: [Option<f64>; 2]| difference(later, after);
    let (own, reference) = (rise(unlearned), rise(path_reference));
    Relapse {
        own,
        reference,
        net: difference(own, reference),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn clips_that_do_not_pair_are_refused() {
        assert!(reversal(&[true], &[]).is_err());
    }

    proptest! {
        #[test]
        fn the_slope_of_a_line_is_its_slope(
            start in -1.0..1.0_f64,
            rise in -1.0..1.0_f64,
            n in 2..9_usize,
        ) {
            let values: Vec<f64> = (0..n).map(|i| start + rise * i as f64).collect();
            prop_assert!((slope(&values).unwrap() - rise).abs() < 1e-9);
        }
    }
}
