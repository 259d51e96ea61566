//! Which clips make a batch where earlier ones are replayed: as many of each group.

use std::sync::Arc;

use rand::seq::SliceRandom;

use crate::data::{Dataset, StreamKeys, sampler};
use crate::random::stream;

/// How a list of new clips and then copies of the buffer's is gone through.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mix {
    /// New clips.
    pub new: usize,
    /// Clips of the buffer.
    pub buffered: usize,
    /// How often the buffer is drawn from for a batch: each copy is a group of its own, beside the
    /// new clips.
    pub copies: usize,
}

/// What a task trains on where clips of earlier tasks are replayed.
#[derive(Clone, Debug)]
pub struct Replay {
    /// The new clips, then the buffer's, so many times as there are copies.
    pub list: Arc<Dataset>,
    /// How they are gone through.
    pub mix: Mix,
}

impl Mix {
    /// The groups of a batch, each with its first place in the list and its clips; empty ones are
    /// none.
    fn groups(&self) -> Vec<(usize, usize)> {
        let copies = (0..self.copies).map(|copy| (self.new + copy * self.buffered, self.buffered));
        let all = [(0, self.new)].into_iter().chain(copies);
        all.filter(|(_, clips)| *clips > 0).collect()
    }

    /// Clips of a batch, of at most `most`: as many of each group.
    #[must_use]
    pub fn batch_size(&self, most: usize) -> usize {
        let groups = self.groups().len().max(1);
        (most / groups).max(1) * groups
    }

    /// The order of an epoch: the first group once, of the others as many clips, each of them drawn
    /// again when all have been.
    #[must_use]
    pub fn order(&self, most: usize, seed: u64, keys: StreamKeys) -> Vec<usize> {
        let groups = self.groups();
        let Some(&(_, clips)) = groups.first() else {
            return Vec::new();
        };
        let mut drawn = vec![sampler::balanced(clips, seed, keys)];
        for (number, &(_, of_group)) in groups.iter().enumerate().skip(1) {
            drawn.push(again_and_again(of_group, clips, seed, keys, number));
        }
        let each = self.batch_size(most) / groups.len();
        let starts = groups.iter().map(|&(start, _)| start);
        let drawn: Vec<Vec<usize>> = starts
            .zip(drawn)
            .map(|(start, places)| places.into_iter().map(|place| start + place).collect())
            .collect();
        (0..clips)
            .step_by(each)
            .flat_map(|from| {
                let until = (from + each).min(clips);
                drawn
                    .iter()
                    .flat_map(move |places| places[from..until].iter())
            })
            .copied()
            .collect()
    }
}

/// So many draws from a group: every clip of it once, in random order, then once more, and so on.
fn again_and_again(
    clips: usize,
    draws: usize,
    seed: u64,
    keys: StreamKeys,
    group: usize,
) -> Vec<usize> {
    let keys = [keys.task, keys.epoch, group as u64];
    let mut rng = stream(seed, "replay", &keys);
    let mut drawn = Vec::new();
    while drawn.len() < draws {
        let mut pass: Vec<usize> = (0..clips).collect();
        pass.shuffle(&mut rng);
        drawn.extend(pass);
    }
    drawn.truncate(draws);
    drawn
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mix(new: usize, buffered: usize, copies: usize) -> Mix {
        Mix {
            new,
            buffered,
            copies,
        }
    }

    fn groups(order: &[usize], batch: usize, ends: [usize; 2]) -> Vec<Vec<usize>> {
        let group = |place: &usize| ends.iter().filter(|end| place >= end).count();
        order
            .chunks(batch)
            .map(|b| b.iter().map(group).collect())
            .collect()
    }

    #[test]
    fn batches_hold_as_many_new_clips_as_clips_of_each_copy() {
        let mix = mix(5, 3, 2);
        assert_eq!(mix.batch_size(8), 6);
        let order = mix.order(8, 1, StreamKeys { task: 1, epoch: 0 });
        // Five new clips make two batches of two, and one of one.
        assert_eq!(
            groups(&order, 6, [5, 8]),
            [
                vec![0, 0, 1, 1, 2, 2],
                vec![0, 0, 1, 1, 2, 2],
                vec![0, 1, 2]
            ]
        );
        let mut new: Vec<usize> = order.iter().copied().filter(|place| *place < 5).collect();
        new.sort_unstable();
        assert_eq!(new, [0, 1, 2, 3, 4]);
        // The first three draws of a buffer of three are three clips.
        let mut first: Vec<usize> = order
            .iter()
            .copied()
            .filter(|p| (5..8).contains(p))
            .collect();
        first.truncate(3);
        first.sort_unstable();
        assert_eq!(first, [5, 6, 7]);
        assert_ne!(order, mix.order(8, 1, StreamKeys { task: 1, epoch: 1 }));
    }

    #[test]
    fn without_new_clips_the_buffer_is_gone_through_and_without_a_buffer_the_new_clips() {
        let order = mix(0, 3, 1).order(2, 0, StreamKeys::default());
        let mut sorted = order.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, [0, 1, 2]);
        assert_eq!(mix(0, 3, 1).batch_size(2), 2);
        assert_eq!(mix(4, 0, 2).order(2, 0, StreamKeys::default()).len(), 4);
        assert!(mix(0, 0, 2).order(2, 0, StreamKeys::default()).is_empty());
    }
}
