//! What a method of unlearning draws: orders of passes, samples of what stays, wrong labels.

use rand::RngExt;
use rand::seq::SliceRandom;

use super::bad_teacher::RETAINED_SHARE;
use super::clips::Set;
use crate::random::stream;
use crate::unlearning::share_of;

/// The draws of one unlearning, from named streams: the same for the same seed, task and clips.
#[derive(Clone, Debug)]
pub struct Draws {
    /// The seed of unlearning.
    pub seed: u64,
    /// The task that withdraws.
    pub task: u64,
    /// Classes.
    pub classes: usize,
    /// Clips of a batch.
    pub batch_size: usize,
    /// The classes of F, in its order.
    pub forget: Vec<i64>,
    /// How many clips R has.
    pub retain: usize,
}

impl Draws {
    /// The places in R of the clips that a set has of it; in order.
    #[must_use]
    pub fn of_retain(&self, set: Set) -> Vec<usize> {
        let share = share_of(RETAINED_SHARE, self.retain);
        match set {
            Set::Forget | Set::HeldOut => Vec::new(),
            Set::Retain | Set::Union => (0..self.retain).collect(),
            Set::UnionWithSample => self.sample("bad teacher sample", share),
            Set::RetainSample => self.sample("msg sample", self.forget.len().min(self.retain)),
        }
    }

    fn sample(&self, purpose: &str, count: usize) -> Vec<usize> {
        let mut places: Vec<usize> = (0..self.retain).collect();
        places.shuffle(&mut stream(self.seed, purpose, &[self.task]));
        places.truncate(count);
        places.sort_unstable();
        places
    }

    /// The order of a training pass over a set of so many clips.
    #[must_use]
    pub fn order(&self, set: Set, epoch: u32, clips: usize) -> Vec<usize> {
        let purpose = match set {
            Set::Forget => "unlearn forget",
            Set::Union | Set::UnionWithSample => "unlearn union",
            _ => "unlearn retain",
        };
        let mut order: Vec<usize> = (0..clips).collect();
        let keys = [self.task, u64::from(epoch)];
        order.shuffle(&mut stream(self.seed, purpose, &keys));
        if set == Set::UnionWithSample {
            forget_first(&mut order, self.forget.len(), self.batch_size);
        }
        order
    }

    /// Labels of F, in its order, that are wrong on purpose: each drawn uniformly from the other
    /// classes, anew for each epoch. With a single class there is no wrong one.
    #[must_use]
    pub fn wrong_labels(&self, epoch: u32) -> Vec<i64> {
        let mut rng = stream(self.seed, "relabel", &[self.task, u64::from(epoch)]);
        let others = i64::try_from(self.classes.saturating_sub(1)).unwrap_or(i64::MAX);
        let wrong = |&label: &i64| {
            if others == 0 {
                return label;
            }
            let other = rng.random_range(0..others);
            other + i64::from(other >= label)
        };
        self.forget.iter().map(wrong).collect()
    }
}

/// Swaps the first clip of what leaves forward where the first batch has none: a student that
/// equals its teacher has no gradient, and Adam would divide rounding noise by itself.
fn forget_first(order: &mut [usize], forget: usize, batch_size: usize) {
    if let Some(first) = order.iter().position(|&place| place < forget)
        && first >= batch_size
    {
        order.swap(0, first);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_batch_of_bad_teaching_holds_a_clip_that_leaves() {
        let mut order = [3, 4, 0, 5];
        forget_first(&mut order, 1, 2);
        assert_eq!(order, [0, 4, 3, 5]);
        forget_first(&mut order, 1, 2);
        assert_eq!(order, [0, 4, 3, 5]);
        let mut none = [3, 4];
        forget_first(&mut none, 0, 2);
        assert_eq!(none, [3, 4]);
    }

    #[test]
    fn another_seed_draws_other_orders_samples_and_labels_and_the_same_one_the_same() {
        let draws = |seed| Draws {
            seed,
            task: 2,
            classes: 5,
            batch_size: 4,
            forget: vec![1; 30],
            retain: 40,
        };
        let all = |draws: Draws| {
            let order = |set| draws.order(set, 1, 70);
            let sets = [Set::Forget, Set::Retain, Set::Union];
            let samples = [Set::UnionWithSample, Set::RetainSample].map(|s| draws.of_retain(s));
            (sets.map(order), samples, draws.wrong_labels(1))
        };
        let (orders, samples, labels) = all(draws(3));
        assert_eq!(
            all(draws(3)),
            (orders.clone(), samples.clone(), labels.clone())
        );
        let (others, other_samples, other_labels) = all(draws(4));
        for (ours, theirs) in orders.iter().zip(&others) {
            assert_ne!(ours, theirs);
        }
        assert_eq!(samples.each_ref().map(Vec::len), [12, 30]);
        assert_ne!(samples, other_samples);
        assert_ne!(labels, other_labels);
        assert!(
            labels
                .iter()
                .all(|label| *label != 1 && (0..5).contains(label))
        );
        assert_ne!(
            orders[1],
            draws(3).order(Set::Retain, 2, 70),
            "an epoch has its own"
        );
    }
}
