//! What a model no longer knows, and how figures of several tasks and runs are summed up.

use super::Figures;

/// The best of the values before minus the last one; 0 for a single value, negative where it got
/// better, and `None` where any of the values is. `values` are those of tasks 0 to now.
#[must_use]
pub fn forgetting(values: &[Option<f64>]) -> Option<f64> {
    let values: Vec<f64> = values.iter().copied().collect::<Option<_>>()?;
    let (now, earlier) = values.split_last()?;
    let best = earlier.iter().copied().reduce(f64::max);
    Some(best.map_or(0.0, |best| best - now))
}

/// [`forgetting`] of every figure, element by element; `history` are the evaluations of tasks 0 to
/// now on the test set.
///
/// # Panics
/// When the evaluations are not of the same taxonomy.
#[must_use]
pub fn forgetting_of_figures(history: &[&Figures]) -> Figures {
    Figures::combine(history, forgetting)
}

/// The mean of the defined values of every figure over several evaluations.
///
/// # Panics
/// When the evaluations are not of the same taxonomy.
#[must_use]
pub fn mean_of_figures(all: &[&Figures]) -> Figures {
    Figures::combine(all, |values| mean_defined(values.iter().copied()))
}

/// A quantile, in 0..1, of the defined values of every figure over several evaluations: nearest
/// rank.
///
/// # Panics
/// When the evaluations are not of the same taxonomy.
#[must_use]
pub fn quantile_of_figures(all: &[&Figures], quantile: f64) -> Figures {
    Figures::combine(all, |values| quantile_of(values, quantile))
}

/// A quantile, in 0..1, of the defined values: nearest rank, so that it is one of them.
#[must_use]
pub fn quantile_of(values: &[Option<f64>], quantile: f64) -> Option<f64> {
    let mut defined: Vec<f64> = values.iter().flatten().copied().collect();
    defined.sort_by(f64::total_cmp);
    let place = nearest_rank(quantile, defined.len())?;
    defined.get(place).copied()
}

/// The place, from 0, of a quantile among `n` sorted values: the smallest with at least that share
/// at or below it.
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // A share of a small count, clamped to its range.
fn nearest_rank(quantile: f64, n: usize) -> Option<usize> {
    // The subtrahend keeps 0.99 * 1000 = 990.0000000001 from being rounded up.
    let place = (quantile * n as f64 - 1e-9).ceil() as usize;
    (n > 0).then(|| place.clamp(1, n) - 1)
}

/// The mean of the defined values; `None` if there is none.
#[must_use]
pub fn mean_defined(values: impl IntoIterator<Item = Option<f64>>) -> Option<f64> {
    let defined: Vec<f64> = values.into_iter().flatten().collect();
    mean_and_deviation(&defined).0
}

/// Mean, and standard deviation with n - 1: the first is `None` without a value, the second with
/// fewer than two.
#[must_use]
pub fn mean_and_deviation(values: &[f64]) -> (Option<f64>, Option<f64>) {
    let n = values.len() as f64;
    if values.is_empty() {
        return (None, None);
    }
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
    let deviation = (values.len() > 1).then(|| (squares / (n - 1.0)).sqrt());
    (Some(mean), deviation)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forgetting_compares_with_the_best_task_before() {
        assert_eq!(forgetting(&[Some(0.5)]), Some(0.0));
        assert_eq!(forgetting(&[Some(0.25), Some(0.75), Some(0.5)]), Some(0.25));
        assert_eq!(forgetting(&[Some(0.25), Some(0.75)]), Some(-0.5));
        assert_eq!(forgetting(&[None, Some(0.75)]), None);
        assert_eq!(forgetting(&[None]), None);
        assert_eq!(forgetting(&[]), None);
    }

    #[test]
    fn figures_are_forgotten_element_by_element() {
        let figures = |accuracy, ap: [Option<f64>; 2]| Figures {
            accuracy: Some(accuracy),
            ap_per_class: ap.to_vec(),
            ..Figures::default()
        };
        let (first, second) = (
            figures(0.75, [Some(0.5), None]),
            figures(0.25, [Some(0.75), Some(1.0)]),
        );
        let forgotten = forgetting_of_figures(&[&first, &second]);
        assert_eq!(forgotten.accuracy, Some(0.5));
        assert_eq!(forgotten.ap_per_class, [Some(-0.25), None]);
        assert_eq!(forgotten.mean_ap, None);
    }

    #[test]
    fn a_quantile_is_the_nearest_rank_of_what_is_defined() {
        assert_eq!(nearest_rank(0.99, 1000), Some(989));
        assert_eq!(nearest_rank(0.5, 3), Some(1));
        assert_eq!(nearest_rank(1.0, 10), Some(9));
        assert_eq!(nearest_rank(0.0, 10), Some(0));
        assert_eq!(nearest_rank(0.5, 0), None);
        let values = [Some(0.75), None, Some(0.25), Some(0.5)];
        assert_eq!(quantile_of(&values, 0.5), Some(0.5));
    }

    #[test]
    fn means_pass_over_the_undefined_and_deviations_need_two() {
        assert_eq!(mean_defined([Some(1.0), None, Some(2.0)]), Some(1.5));
        assert_eq!(mean_defined([None]), None);
        assert_eq!(mean_and_deviation(&[3.0]), (Some(3.0), None));
        assert_eq!(
            mean_and_deviation(&[1.0, 3.0]),
            (Some(2.0), Some(2.0_f64.sqrt()))
        );
    }
}
