//! The clips that are kept for later tasks, named by hashes of their ids: no text of a state names a
//! clip.

use std::collections::{BTreeMap, BTreeSet};

use rand::{Rng, RngExt};
use tch::{Device, Kind, Tensor};

use crate::data::Sample;
use crate::model::state_dict::StateDict;
pub(super) use crate::run_record::buffer_key as key;
use crate::run_record::{BUFFER_CLIPS as CLIPS, BUFFER_LOGITS as LOGITS};

/// A clip that is kept.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) clip: i64,
    /// What the model said of it when it came, `[C]`; none where that is no longer known.
    pub(super) logits: Option<Tensor>,
}

impl Clone for Slot {
    fn clone(&self) -> Self {
        Self {
            clip: self.clip,
            logits: self.logits.as_ref().map(Tensor::shallow_clone),
        }
    }
}

/// At most so many clips.
#[derive(Clone, Debug)]
pub(super) struct Buffer {
    size: usize,
    pub(super) slots: Vec<Slot>,
}

impl Buffer {
    pub(super) fn new(size: usize) -> Self {
        Self {
            size,
            slots: Vec::new(),
        }
    }

    /// Lets go of every clip that is not among `samples`, which the task has.
    pub(super) fn keep(&mut self, samples: &[Sample]) {
        let there: BTreeSet<i64> = samples.iter().map(|s| key(&s.clip_id)).collect();
        self.slots.retain(|slot| there.contains(&slot.clip));
    }

    /// Offers the clip that comes behind `before` others (reservoir sampling, Vitter's algorithm R).
    pub(super) fn offer(&mut self, clip: i64, before: usize, rng: &mut impl Rng) {
        let slot = Slot { clip, logits: None };
        if self.slots.len() < self.size {
            self.slots.push(slot);
            return;
        }
        let place = rng.random_range(0..=before);
        if let Some(there) = self.slots.get_mut(place) {
            *there = slot;
        }
    }

    /// Offers a clip of a class, so that classes stay as equal as they can with `classes` of them
    /// (the greedy balancer of GDumb); `class_of` knows every clip that is kept.
    pub(super) fn balance(
        &mut self,
        clip: i64,
        classes: usize,
        class_of: &BTreeMap<i64, i64>,
        rng: &mut impl Rng,
    ) {
        let of = |class: i64, slots: &[Slot]| -> Vec<usize> {
            let places = slots.iter().enumerate();
            let own = places.filter(|(_, slot)| class_of.get(&slot.clip) == Some(&class));
            own.map(|(place, _)| place).collect()
        };
        let class = class_of.get(&clip).copied().unwrap_or_default();
        if of(class, &self.slots).len() >= self.size / classes.max(1) {
            return;
        }
        if self.slots.len() >= self.size {
            let all: BTreeSet<i64> = class_of.values().copied().collect();
            // The largest class, the lowest of equal ones.
            let sizes = all.into_iter().map(|class| of(class, &self.slots));
            let largest = sizes.fold(
                Vec::new(),
                |a: Vec<usize>, b| if b.len() > a.len() { b } else { a },
            );
            if largest.is_empty() {
                return;
            }
            self.slots
                .remove(largest[rng.random_range(0..largest.len())]);
        }
        self.slots.push(Slot { clip, logits: None });
    }

    /// The kept clips as samples of the task that has them.
    pub(super) fn samples(&self, list: &[Sample]) -> Vec<Sample> {
        let by_key: BTreeMap<i64, &Sample> = list.iter().map(|s| (key(&s.clip_id), s)).collect();
        let kept = self.slots.iter();
        kept.filter_map(|slot| by_key.get(&slot.clip).map(|sample| (*sample).clone()))
            .collect()
    }

    /// The tensors of a state; none for an empty buffer.
    pub(super) fn state(&self) -> StateDict {
        let mut state = StateDict::new();
        if self.slots.is_empty() {
            return state;
        }
        let clips: Vec<i64> = self.slots.iter().map(|slot| slot.clip).collect();
        state.insert(CLIPS.to_owned(), Tensor::from_slice(&clips));
        let logits = self.slots.iter().map(|slot| slot.logits.as_ref());
        if let Some(logits) = logits.collect::<Option<Vec<&Tensor>>>() {
            state.insert(LOGITS.to_owned(), Tensor::stack(&logits, 0));
        }
        state
    }

    /// Takes back what [`Buffer::state`] gave.
    ///
    /// # Errors
    /// When libtorch does not hand the tensors over.
    pub(super) fn restore(&mut self, state: &StateDict) -> Result<(), tch::TchError> {
        self.slots.clear();
        let Some(clips) = state.get(CLIPS) else {
            return Ok(());
        };
        let clips = Vec::<i64>::try_from(clips.to_kind(Kind::Int64).reshape([-1]))?;
        let logits = state.get(LOGITS).map(|l| l.to_device(Device::Cpu));
        let rows = i64::try_from(clips.len()).unwrap_or(i64::MAX);
        let logits = logits.filter(|l| l.dim() == 2 && l.size()[0] == rows);
        self.slots = (0..)
            .zip(clips)
            .map(|(row, clip)| Slot {
                clip,
                logits: logits.as_ref().map(|l| l.get(row)),
            })
            .collect();
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::model::state_dict::{of_bytes, to_bytes};
    use crate::random::stream;

    #[test]
    fn a_reservoir_keeps_each_clip_as_often_as_any_other() {
        let mut kept = [0usize; 20];
        for round in 0..2000 {
            let (mut buffer, mut rng) = (Buffer::new(5), stream(round, "reservoir", &[]));
            for clip in 0..20 {
                buffer.offer(clip, usize::try_from(clip).unwrap(), &mut rng);
            }
            assert_eq!(buffer.slots.len(), 5);
            for slot in &buffer.slots {
                kept[usize::try_from(slot.clip).unwrap()] += 1;
            }
        }
        // 2000 x 5 / 20 are 500 each; five standard deviations are 97.
        assert!(kept.iter().all(|n| n.abs_diff(500) < 97), "{kept:?}");
    }

    #[test]
    fn the_greedy_balancer_makes_room_in_the_largest_class() {
        // Clips 0 to 5 are of class 0, 6 to 9 of class 1, 10 of class 2.
        let class = |clip: i64| i64::from(clip > 5) + i64::from(clip > 9);
        let class_of: BTreeMap<i64, i64> = (0..11).map(|clip| (clip, class(clip))).collect();
        let (mut buffer, mut rng) = (Buffer::new(4), stream(0, "gdumb", &[]));
        let counts = |buffer: &Buffer| {
            [0, 1, 2].map(|c| buffer.slots.iter().filter(|s| class(s.clip) == c).count())
        };
        for clip in 0..6 {
            buffer.balance(clip, 1, &class_of, &mut rng);
        }
        assert_eq!(counts(&buffer), [4, 0, 0]);
        for clip in 6..10 {
            buffer.balance(clip, 2, &class_of, &mut rng);
        }
        assert_eq!(counts(&buffer), [2, 2, 0]);
        buffer.balance(10, 3, &class_of, &mut rng);
        assert_eq!(counts(&buffer), [1, 2, 1]);
    }

    #[test]
    fn a_buffer_survives_as_tensors() {
        let mut buffer = Buffer::new(3);
        for (clip, value) in [(key("a"), 1.0f32), (key("b"), -2.0)] {
            buffer.slots.push(Slot {
                clip,
                logits: Some(Tensor::from_slice(&[value, 0.5])),
            });
        }
        let mut again = Buffer::new(3);
        again.restore(&buffer.state()).unwrap();
        assert_eq!(again.slots.len(), 2);
        assert_eq!(again.slots[1].clip, key("b"));
        let logits = again.slots[1].logits.as_ref().unwrap();
        assert_eq!(Vec::<f32>::try_from(logits).unwrap(), [-2.0, 0.5]);
        again.restore(&StateDict::new()).unwrap();
        assert!(again.slots.is_empty());
        // All of its clips may have been taken out of a file.
        let emptied = StateDict::from([
            (CLIPS.to_owned(), Tensor::from_slice::<i64>(&[])),
            (LOGITS.to_owned(), buffer.state()[LOGITS].narrow(0, 0, 0)),
        ]);
        let bytes = to_bytes(&emptied).unwrap();
        again
            .restore(&of_bytes(&bytes, Path::new("state")).unwrap())
            .unwrap();
        assert!(again.slots.is_empty());
    }
}
