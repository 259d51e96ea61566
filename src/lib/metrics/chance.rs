//! What a mean average precision must exceed before anything has been learnt.
//!
//! The average precision of random scores is the share of positives only in the limit of many
//! clips; on a small set it is much higher. So the level is measured on the very set at hand, by
//! permuting its labels.

use rand::Rng;
use rand::seq::SliceRandom;

use super::evaluate::{ap_per_class, rankings};
use super::{MetricsError, Predictions, mean_and_deviation, mean_defined};

/// How well meaningless labels do under the same scores.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ChanceLevel {
    /// The mean over the permutations of `mean_ap`.
    pub mean: f64,
    /// The asked quantile of `mean_ap` over the permutations (nearest rank).
    pub quantile: f64,
}

/// Permutes the labels `permutations` times and sums up the mean average precision that each gives;
/// `None` without clips or permutations. `quantile` lies in 0..1, 0.99 for the 99th percentile.
///
/// # Errors
/// When the predictions are not what [`Predictions`] promises.
pub fn chance_level(
    predictions: &Predictions<'_>,
    permutations: usize,
    quantile: f64,
    rng: &mut impl Rng,
) -> Result<Option<ChanceLevel>, MetricsError> {
    predictions.check()?;
    let rankings = rankings(predictions);
    let mut labels = predictions.labels.to_vec();
    let mut values: Vec<f64> = (0..permutations)
        .filter_map(|_| {
            labels.shuffle(rng);
            mean_defined(ap_per_class(&rankings, &labels))
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let Some(mean) = mean_and_deviation(&values).0 else {
        return Ok(None);
    };
    Ok(Some(ChanceLevel {
        mean,
        quantile: values[nearest_rank(quantile, values.len())],
    }))
}

/// The place, from 0, of a quantile among `n` sorted values: the smallest with at least that share
/// at or below it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A share of a small count, clamped to its range.
fn nearest_rank(quantile: f64, n: usize) -> usize {
    // The subtrahend keeps 0.99 * 1000 = 990.0000000001 from being rounded up.
    ((quantile * n as f64 - 1e-9).ceil() as usize).clamp(1, n) - 1
}

#[cfg(test)]
mod tests {
    use super::super::Criterion;
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    #[test]
    fn a_quantile_is_the_nearest_rank() {
        assert_eq!(nearest_rank(0.99, 1000), 989);
        assert_eq!(nearest_rank(0.5, 3), 1);
        assert_eq!(nearest_rank(1.0, 10), 9);
        assert_eq!(nearest_rank(0.0, 10), 0);
    }

    #[test]
    fn random_scores_on_111_clips_reach_the_levels_that_are_known() {
        // 3 clips of each of 37 subcategories in classes of 14, 3, 3, 5 and 12: 0.23 on average,
        // 0.29 at 99%.
        let class_of_subcategory: Vec<usize> = [14, 3, 3, 5, 12]
            .into_iter()
            .enumerate()
            .flat_map(|(c, n)| std::iter::repeat_n(c, n))
            .collect();
        let subcategories: Vec<usize> = (0..111).map(|i| i / 3).collect();
        let labels: Vec<usize> = subcategories
            .iter()
            .map(|&x| class_of_subcategory[x])
            .collect();
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let probabilities: Vec<f32> = (0..111 * 5).map(|_| rng.random()).collect();
        let predictions = Predictions {
            probabilities: &probabilities,
            labels: &labels,
            subcategories: &subcategories,
            class_of_subcategory: &class_of_subcategory,
            classes: 5,
            criterion: Criterion::Multilabel,
        };
        let level = chance_level(&predictions, 1000, 0.99, &mut rng)
            .unwrap()
            .unwrap();
        assert!((level.mean - 0.23).abs() < 0.01, "{level:?}");
        assert!((level.quantile - 0.29).abs() < 0.015, "{level:?}");
        assert_eq!(chance_level(&predictions, 0, 0.99, &mut rng).unwrap(), None);
    }
}
