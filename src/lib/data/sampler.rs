//! In which order an epoch visits the clips.

use rand::distr::Distribution;
use rand::distr::weighted::WeightedIndex;
use rand::seq::SliceRandom;

use super::{DataError, StreamKeys};
use crate::random;

/// Purpose of the stream that orders are drawn from.
const PURPOSE: &str = "order";

/// Every clip once, in random order.
#[must_use]
pub fn balanced(clips: usize, seed: u64, keys: StreamKeys) -> Vec<usize> {
    let mut order: Vec<usize> = (0..clips).collect();
    order.shuffle(&mut random::stream(seed, PURPOSE, &[keys.task, keys.epoch]));
    order
}

/// As many draws with replacement as there are clips, each clip with weight 1 / n of its class.
///
/// `labels` are the clips' class indices, `class_counts[c]` is n of class c: the class's clips in the whole training table
/// or in the task's list, as the scenario wants it. A class without clips in `labels` takes no part, whatever its count.
/// (The seed: `main.py:80` and torch's `WeightedRandomSampler`.)
///
/// # Errors
/// When a class that has clips has no count.
pub fn imbalanced(
    labels: &[i64],
    class_counts: &[u64],
    seed: u64,
    keys: StreamKeys,
) -> Result<Vec<usize>, DataError> {
    let weight = |&label: &i64| {
        let count = usize::try_from(label)
            .ok()
            .and_then(|class| class_counts.get(class))
            .copied()
            .unwrap_or(0);
        // Counts of clips are far below 2^52.
        #[allow(clippy::cast_precision_loss)]
        let weight = 1.0 / count as f64;
        if count == 0 {
            Err(DataError::ClassCount { label })
        } else {
            Ok(weight)
        }
    };
    let weights = labels.iter().map(weight).collect::<Result<Vec<f64>, _>>()?;
    if weights.is_empty() {
        return Ok(Vec::new());
    }
    // All weights are positive and finite, so this only fails when their sum overflows, which it cannot.
    let draw = WeightedIndex::new(&weights).map_err(|e| DataError::Settings(e.to_string()))?;
    let mut rng = random::stream(seed, PURPOSE, &[keys.task, keys.epoch]);
    Ok((0..labels.len()).map(|_| draw.sample(&mut rng)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: StreamKeys = StreamKeys { task: 1, epoch: 0 };

    #[test]
    fn balanced_visits_every_clip_once_in_another_order_each_epoch() {
        let order = balanced(100, 3, KEYS);
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, (0..100).collect::<Vec<_>>());
        assert_ne!(order, sorted);
        assert_eq!(order, balanced(100, 3, KEYS));
        assert_ne!(order, balanced(100, 3, StreamKeys { task: 1, epoch: 1 }));
        assert_ne!(order, balanced(100, 4, KEYS));
        assert!(balanced(0, 3, KEYS).is_empty());
    }

    #[test]
    fn imbalanced_draws_classes_evenly_when_counted_in_the_list() {
        // 900 clips of class 0, 100 of class 2, none of class 1.
        let labels: Vec<i64> = (0..1000).map(|i| if i < 900 { 0 } else { 2 }).collect();
        let order = imbalanced(&labels, &[900, 0, 100], 3, KEYS).unwrap();
        assert_eq!(order.len(), 1000);
        let rare = order.iter().filter(|&&i| labels[i] == 2).count();
        assert!((420..=580).contains(&rare), "{rare}");
        // Counted over a larger table, class 2 is as common as class 0: 900 to 100.
        let order = imbalanced(&labels, &[2000, 0, 2000], 3, KEYS).unwrap();
        let rare = order.iter().filter(|&&i| labels[i] == 2).count();
        assert!((50..=150).contains(&rare), "{rare}");
    }

    #[test]
    fn a_class_with_clips_needs_a_count() {
        for (labels, counts) in [
            (vec![1], vec![5, 0]),
            (vec![7], vec![5]),
            (vec![-1], vec![5]),
        ] {
            let error = imbalanced(&labels, &counts, 0, KEYS).unwrap_err();
            assert!(
                matches!(error, DataError::ClassCount { label } if label == labels[0]),
                "{error}"
            );
        }
        assert!(imbalanced(&[], &[], 0, KEYS).unwrap().is_empty());
    }
}
