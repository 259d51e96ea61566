//! What a figure must exceed before anything has been learnt.
//!
//! The average precision of random scores is the share of positives only in the limit of many
//! clips; on a small set it is much higher. So the level is measured on the very set at hand, by
//! permuting its labels.

use rand::Rng;
use rand::seq::SliceRandom;

use super::{Figures, Judged, mean_of_figures, quantile_of_figures};

/// How well meaningless labels do under the same scores, figure by figure.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ChanceLevel {
    /// The mean over the permutations.
    pub mean: Figures,
    /// The asked quantile over the permutations (nearest rank).
    pub quantile: Figures,
}

/// Permutes the labels `permutations` times and sums up what figures each gives; everything is
/// undefined without clips or permutations. `quantile` lies in 0..1, 0.99 for the 99th percentile.
#[must_use]
pub fn chance_level(
    judged: &Judged<'_>,
    permutations: usize,
    quantile: f64,
    rng: &mut impl Rng,
) -> ChanceLevel {
    let mut places: Vec<usize> = (0..judged.clips()).collect();
    let figures: Vec<Figures> = (0..permutations)
        .map(|_| {
            places.shuffle(rng);
            judged.permuted(&places)
        })
        .collect();
    let figures: Vec<&Figures> = figures.iter().collect();
    ChanceLevel {
        mean: mean_of_figures(&figures),
        quantile: quantile_of_figures(&figures, quantile),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Criterion, Predictions};
    use super::*;
    use rand::{RngExt, SeedableRng};
    use rand_chacha::ChaCha8Rng;

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
        let judged = Judged::new(predictions).unwrap();
        let level = chance_level(&judged, 1000, 0.99, &mut rng);
        assert!(
            (level.mean.mean_ap.unwrap() - 0.23).abs() < 0.01,
            "{level:?}"
        );
        assert!((level.quantile.mean_ap.unwrap() - 0.29).abs() < 0.015);
        // Three clips against 69 of other classes.
        let small = level.mean.ap_per_subcategory[0].unwrap();
        assert!((0.04..0.15).contains(&small), "{small}");
        let none = chance_level(&judged, 0, 0.99, &mut rng);
        assert_eq!(none.mean.mean_ap, None);
    }
}
