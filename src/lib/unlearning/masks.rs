//! Which weights a method changes.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::share_of;

/// `SalUn`: the floor(share n) elements, over all tensors together, of largest magnitude. Of equal
/// ones the earlier is in: by sorted names, then C order.
#[must_use]
pub fn largest(gradients: &BTreeMap<String, Vec<f64>>, share: f64) -> BTreeMap<String, Vec<bool>> {
    let all: Vec<f64> = gradients.values().flatten().map(|g| g.abs()).collect();
    let mut chosen = chosen(&all, share, |a, b| b.total_cmp(a)).into_iter();
    let mut mask = |values: &Vec<f64>| chosen.by_ref().take(values.len()).collect();
    gradients
        .iter()
        .map(|(name, values)| (name.clone(), mask(values)))
        .collect()
}

/// MSG: the floor(share n) elements of one tensor of smallest magnitude, the earlier of equal ones.
#[must_use]
pub fn smallest(gradient: &[f64], share: f64) -> Vec<bool> {
    let magnitudes: Vec<f64> = gradient.iter().map(|g| g.abs()).collect();
    chosen(&magnitudes, share, f64::total_cmp)
}

/// Marks the first floor(share n) of `values` in `order`, the earlier of equal ones.
fn chosen(values: &[f64], share: f64, order: impl Fn(&f64, &f64) -> Ordering) -> Vec<bool> {
    let count = share_of(share, values.len());
    let mut places: Vec<usize> = (0..values.len()).collect();
    if count > 0 && count < places.len() {
        places.select_nth_unstable_by(count - 1, |&a, &b| {
            order(&values[a], &values[b]).then(a.cmp(&b))
        });
    }
    let mut mask = vec![false; values.len()];
    for &place in &places[..count] {
        mask[place] = true;
    }
    mask
}

/// SSD (Foster et al., <https://arxiv.org/abs/2308.07707>): what a weight is multiplied by that
/// matters `forget` to F and `all` to everything: min(1, lambda all / forget) where forget > alpha
/// all, else 1.
#[must_use]
pub fn dampening(all: f64, forget: f64, alpha: f64, lambda: f64) -> f64 {
    if forget > alpha * all {
        (lambda * all / forget).min(1.0)
    } else {
        1.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_mask_holds_its_share_and_nothing_left_out_is_larger(
            values in prop::collection::vec(-5..6_i32, 1..40),
            share in 0.0..1.0_f64,
        ) {
            let values: Vec<f64> = values.into_iter().map(f64::from).collect();
            let gradients = BTreeMap::from([("w".to_owned(), values.clone())]);
            let mask = &largest(&gradients, share)["w"];
            let inside = mask.iter().filter(|m| **m).count();
            prop_assert_eq!(inside, share_of(share, values.len()));
            let of = |wanted: bool| values.iter().zip(mask).filter(move |(_, m)| **m == wanted).map(|(v, _)| v.abs());
            let least = of(true).fold(f64::INFINITY, f64::min);
            prop_assert!(of(false).all(|v| v <= least));
        }
    }
}
