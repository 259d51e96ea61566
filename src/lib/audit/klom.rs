//! KLoM: how far the scaled confidences of many unlearned models are, clip by clip, from those of
//! many references (Georgiev et al., <https://arxiv.org/abs/2410.23232>).

use super::error::same_length;
use super::lira::CLIP;
use super::{AuditError, Rows, mean, nearest_rank};

/// Equal bins over the joint range of both sides.
const BINS: usize = 20;
/// A reference's share counts as at least this where an unlearned model is.
const FLOOR: f64 = 1e-5;
/// With fewer models on a side the value is mostly its own floor, and is not reported.
pub const FEWEST_MODELS: usize = 100;

/// KL divergences of unlearned models from references: 0 is equal, higher is further, about 11.5 is
/// apart.
#[derive(Clone, Debug, PartialEq)]
pub struct Klom {
    /// Of each clip.
    pub per_clip: Vec<f64>,
    /// The mean over clips; `None` without a clip.
    pub mean: Option<f64>,
    /// The 95th percentile over clips, by nearest rank.
    pub p95: Option<f64>,
}

/// KLoM of `unlearned` `[models, clips]` against `references` `[models, clips]`, both of scaled
/// confidences.
///
/// # Errors
/// Other numbers of clips, a side without a model, a value that is no number (an infinite one is
/// clipped).
pub fn klom(unlearned: Rows<'_>, references: Rows<'_>) -> Result<Klom, AuditError> {
    same_length(
        "clips of the references",
        unlearned.width(),
        references.width(),
    )?;
    for rows in [&unlearned, &references] {
        rows.numbers("scaled confidences")?;
        if rows.count() == 0 {
            return Err(AuditError::Length {
                what: "models of a side, at least",
                expected: 1,
                found: 0,
            });
        }
    }
    let clipped = |rows: &Rows<'_>, clip| -> Vec<f64> {
        rows.column(clip).map(|v| v.clamp(-CLIP, CLIP)).collect()
    };
    let per_clip: Vec<f64> = (0..unlearned.width())
        .map(|clip| divergence(&clipped(&unlearned, clip), &clipped(&references, clip)))
        .collect();
    let mut sorted = per_clip.clone();
    sorted.sort_by(f64::total_cmp);
    Ok(Klom {
        mean: mean(&per_clip),
        p95: nearest_rank(&sorted, 950),
        per_clip,
    })
}

/// What KLoM is between two samples of one distribution: that of the first half of the references
/// against the rest. It belongs beside every value. `None` with fewer than two references.
///
/// # Errors
/// A value that is no number.
pub fn floor(references: Rows<'_>) -> Result<Option<Klom>, AuditError> {
    let half = references.count() / 2;
    if half == 0 {
        return Ok(None);
    }
    let (first, rest) = references.values().split_at(half * references.width());
    let width = references.width();
    let first = Rows::new(first, half, width)?;
    klom(first, Rows::new(rest, references.count() - half, width)?).map(Some)
}

/// KL divergence of the binned shares of one clip.
fn divergence(unlearned: &[f64], references: &[f64]) -> f64 {
    let all = || unlearned.iter().chain(references).copied();
    let low = all().fold(f64::INFINITY, f64::min);
    let high = all().fold(f64::NEG_INFINITY, f64::max);
    if low >= high {
        return 0.0;
    }
    let width = (high - low) / BINS as f64;
    let shares = |values: &[f64]| {
        let mut shares = [0.0; BINS];
        for &value in values {
            // The last bin is closed, so that the largest value is in one.
            let edge = |bin: &usize| low + *bin as f64 * width <= value;
            let bin = (1..BINS).rev().find(edge).unwrap_or(0);
            shares[bin] += 1.0 / values.len() as f64;
        }
        shares
    };
    let (p, mut q) = (shares(unlearned), shares(references));
    for (p, q) in p.iter().zip(&mut q) {
        if *p > 0.0 {
            *q = q.max(FLOOR);
        }
    }
    let total: f64 = q.iter().sum();
    let terms = p.iter().zip(q).filter(|(p, _)| **p > 0.0);
    terms.map(|(p, q)| p * (p * total / q).ln()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_largest_value_has_a_bin_and_a_constant_side_is_no_division_by_zero() {
        let u = [0.0, 1.0];
        let r = [1.0, 1.0];
        let found = klom(Rows::new(&u, 2, 1).unwrap(), Rows::new(&r, 2, 1).unwrap()).unwrap();
        // P = (1/2, 1/2), Q = (1e-5, 1) / (1 + 1e-5).
        let total: f64 = 1.0 + 1e-5;
        let by_hand = 0.5 * (0.5 * total / 1e-5).ln() + 0.5 * (0.5 * total).ln();
        assert!((found.per_clip[0] - by_hand).abs() < 1e-12);
    }

    #[test]
    fn the_floor_compares_two_halves() {
        let values = [0.0, 1.0, 0.0, 1.0];
        let found = floor(Rows::new(&values, 4, 1).unwrap()).unwrap().unwrap();
        assert!(found.per_clip[0].abs() < 1e-12);
        assert_eq!(floor(Rows::new(&[1.0], 1, 1).unwrap()).unwrap(), None);
    }

    #[test]
    fn broken_inputs_are_refused() {
        let one = Rows::new(&[1.0], 1, 1).unwrap();
        assert!(klom(one, Rows::new(&[f64::NAN], 1, 1).unwrap()).is_err());
        assert!(klom(one, Rows::new(&[1.0, 2.0], 1, 2).unwrap()).is_err());
        assert!(klom(one, Rows::new(&[], 0, 1).unwrap()).is_err());
    }
}
