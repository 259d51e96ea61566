//! Replay baselines: from task 1 on, what arrives and a buffer of earlier clips are all that is
//! trained on. What has left a list has left the buffer, too, before the task begins.
//!
//! * Experience replay (`er`): each batch is half new, half from the buffer.
//! * Dark experience replay (`der++`, Buzzega et al., <https://arxiv.org/abs/2004.07211>): besides,
//!   logits of the buffer's clips are held to those that they came with, and a second batch of the
//!   buffer is classed.
//! * `gdumb` (Prabhu et al., ECCV 2020): a buffer that is balanced over classes as clips come, and new
//!   weights for each task, trained on it alone.

mod buffer;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use tch::Tensor;

use super::{Approach, LogitsOf, Mix, Replay, Step};
use crate::data::Sample;
use crate::model::state_dict::StateDict;
use crate::random::stream;
use crate::run_record::Remedy;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::{ApproachName, Settings};
use crate::train::task_sequence::Task;

use buffer::{Buffer, key};

/// Weight of the distance of logits to those that are stored.
const LOGITS_WEIGHT: f64 = 0.5;
/// Weight of the loss of the second batch of the buffer.
const SECOND_WEIGHT: f64 = 0.5;

/// One of the three.
pub struct Rehearsal {
    name: ApproachName,
    seed: u64,
    /// As the task before left it.
    kept: Buffer,
    /// The clips of it that the task under way has.
    now: Buffer,
    mix: Mix,
}

impl Rehearsal {
    /// The approach that `settings` name, with their buffer.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let buffer = Buffer::new(settings.buffer_clips());
        Self {
            name: settings.approach,
            seed: settings.seed,
            kept: buffer.clone(),
            now: buffer,
            mix: Mix::default(),
        }
    }

    /// Batches of the buffer beside one of new clips.
    fn copies(&self) -> usize {
        if self.name == ApproachName::DerPlusPlus {
            2
        } else {
            1
        }
    }

    /// Takes the new clips into the buffer, class by class.
    fn balance(&mut self, task: usize, list: &[Sample], new: &[Sample]) {
        let class_of: BTreeMap<i64, i64> =
            list.iter().map(|s| (key(&s.clip_id), s.label)).collect();
        let mut rng = stream(self.seed, "gdumb", &[task as u64]);
        let kept = self.now.slots.iter();
        let mut classes: BTreeSet<i64> = kept
            .filter_map(|slot| class_of.get(&slot.clip).copied())
            .collect();
        for sample in new {
            classes.insert(sample.label);
            let clip = key(&sample.clip_id);
            self.now.balance(clip, classes.len(), &class_of, &mut rng);
        }
    }
}

/// The clips of `now` that `before` has not, in their order.
fn arrivals(now: &Task, before: Option<&Task>) -> Vec<Sample> {
    let before = before.map_or(&[][..], |task| task.train.samples());
    let had: BTreeSet<&str> = before.iter().map(|s| &s.clip_id[..]).collect();
    let samples = now.train.samples().iter();
    let new = samples.filter(|sample| !had.contains(&sample.clip_id[..]));
    new.cloned().collect()
}

impl Approach for Rehearsal {
    fn replay(&mut self, task: usize, now: &Task, before: Option<&Task>) -> Option<Replay> {
        let (list, new) = (now.train.samples(), arrivals(now, before));
        self.now = self.kept.clone();
        self.now.keep(list);
        let is_greedy = self.name == ApproachName::Gdumb;
        if is_greedy {
            self.balance(task, list, &new);
        } else if before.is_none() {
            self.mix = Mix::default();
            return None;
        }
        let new = if is_greedy { Vec::new() } else { new };
        let buffered = self.now.samples(list);
        self.mix = Mix {
            new: new.len(),
            buffered: buffered.len(),
            copies: self.copies(),
        };
        let copies = (0..self.mix.copies).flat_map(|_| buffered.clone());
        let samples = new.into_iter().chain(copies).collect();
        Some(Replay {
            list: Arc::new(now.train.of(samples)),
            mix: self.mix,
        })
    }

    fn classification(&self, learner: &Learner, step: &Step<'_>) -> Tensor {
        let first = |place: &usize| *place < self.mix.new + self.mix.buffered;
        match rows(step, first).filter(|_| self.mix.copies > 1) {
            Some(rows) => loss(learner, step, &rows),
            None => learner
                .criterion()
                .loss(&step.output.logits, &step.batch.labels),
        }
    }

    fn penalty(&self, learner: &Learner, step: &Step<'_>) -> Option<Tensor> {
        if self.mix.copies < 2 {
            return None;
        }
        let Mix { new, buffered, .. } = self.mix;
        let stored = |place: &usize| -> Option<&Tensor> {
            let slot = self.now.slots.get(place.checked_sub(new)?)?;
            slot.logits.as_ref()
        };
        let held = rows(step, |place| {
            *place < new + buffered && stored(place).is_some()
        });
        let distance = held.map(|rows| {
            let targets: Vec<&Tensor> = step.places.iter().filter_map(stored).collect();
            let logits = step.output.logits.index_select(0, &rows);
            let targets = Tensor::stack(&targets, 0).to_device(logits.device());
            logits.mse_loss(&targets, tch::Reduction::Mean) * LOGITS_WEIGHT
        });
        let second = rows(step, |place| *place >= new + buffered);
        let second = second.map(|rows| loss(learner, step, &rows) * SECOND_WEIGHT);
        match (distance, second) {
            (Some(distance), Some(second)) => Some(distance + second),
            (one, other) => one.or(other),
        }
    }

    /// Logits were said by a model that knew what has left.
    fn forget(&mut self) {
        for slot in &mut self.kept.slots {
            slot.logits = None;
        }
    }

    fn store(
        &mut self,
        task: usize,
        now: &Task,
        before: Option<&Task>,
        logits_of: &mut LogitsOf<'_>,
    ) -> Result<(), TrainError> {
        if self.name != ApproachName::Gdumb {
            let (list, new) = (now.train.samples(), arrivals(now, before));
            if before.is_none() {
                self.kept.slots.clear();
            }
            self.now = self.kept.clone();
            self.now.keep(list);
            let mut rng = stream(self.seed, "reservoir", &[task as u64]);
            let earlier = list.len() - new.len();
            for (number, sample) in new.iter().enumerate() {
                self.now
                    .offer(key(&sample.clip_id), earlier + number, &mut rng);
            }
        }
        if self.name == ApproachName::DerPlusPlus {
            let kept = self.now.samples(now.train.samples());
            let (places, logits) = logits_of(&Arc::new(now.train.of(kept)))?;
            for (row, place) in (0..).zip(places) {
                let slot = &mut self.now.slots[place];
                slot.logits.get_or_insert_with(|| logits.get(row));
            }
            // What cannot be read has none.
            self.now.slots.retain(|slot| slot.logits.is_some());
        }
        self.kept = self.now.clone();
        Ok(())
    }

    fn under_way(&self) -> StateDict {
        self.kept.state()
    }

    fn go_on(
        &mut self,
        _learner: &Learner,
        _task: usize,
        _path: &Path,
        held: StateDict,
    ) -> Result<(), TrainError> {
        Ok(self.kept.restore(&held)?)
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        self.kept.state().into_iter().collect()
    }

    fn remedy(&self, _name: &str) -> Remedy {
        Remedy::TakenOut
    }

    fn restore(
        &mut self,
        _learner: &Learner,
        _path: &Path,
        state: StateDict,
    ) -> Result<(), TrainError> {
        Ok(self.kept.restore(&state)?)
    }
}

/// The rows of a batch whose place in the list is `wanted`, on the batch's device; none where there is none.
fn rows(step: &Step<'_>, wanted: impl Fn(&usize) -> bool) -> Option<Tensor> {
    let rows = (0..).zip(step.places).filter(|(_, place)| wanted(place));
    let rows: Vec<i64> = rows.map(|(row, _)| row).collect();
    (!rows.is_empty()).then(|| Tensor::from_slice(&rows).to_device(step.output.logits.device()))
}

/// The mean classification loss of some rows of a batch.
fn loss(learner: &Learner, step: &Step<'_>, rows: &Tensor) -> Tensor {
    let labels = step.batch.labels.index_select(0, rows);
    let logits = step.output.logits.index_select(0, rows);
    learner.criterion().loss(&logits, &labels)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::buffer::Slot;
    use super::*;
    use crate::model::Output;
    use crate::train::approach::DeviceBatch;
    use crate::train::learner::fake;
    use crate::train::settings::CriterionName;

    /// The classification loss and the penalty of rows with these logits and labels, in a list of one
    /// new clip, the one clip of the buffer, whose stored logits are 0, and that clip once more.
    fn terms(approach: ApproachName, rows: &[([f32; 2], i64)]) -> (f64, Option<f64>) {
        let learner = Learner::new(
            fake::builder(2, 0.5),
            Device::Cpu,
            CriterionName::Multilabel,
        );
        let mut rehearsal = Rehearsal::new(&Settings {
            approach,
            ..Settings::default()
        });
        rehearsal.now.slots.push(Slot {
            clip: 7,
            logits: Some(Tensor::zeros([2], (Kind::Float, Device::Cpu))),
        });
        rehearsal.mix = Mix {
            new: 1,
            buffered: 1,
            copies: rehearsal.copies(),
        };
        let logits: Vec<[f32; 2]> = rows.iter().map(|row| row.0).collect();
        let labels: Vec<i64> = rows.iter().map(|row| row.1).collect();
        let output = Output {
            logits: Tensor::from_slice2(&logits),
            features: Tensor::zeros([1], (Kind::Float, Device::Cpu)),
        };
        let batch = DeviceBatch {
            clips: Tensor::zeros([1], (Kind::Float, Device::Cpu)),
            labels: Tensor::from_slice(&labels),
        };
        let places: Vec<usize> = (0..rows.len()).collect();
        let step = Step {
            batch: &batch,
            output: &output,
            places: &places,
        };
        let loss = rehearsal.classification(&learner, &step).double_value(&[]);
        let penalty = rehearsal.penalty(&learner, &step);
        (loss, penalty.map(|penalty| penalty.double_value(&[])))
    }

    /// Binary cross-entropy of (0, 0) is ln 2; that of (1, -1) against class 1 is ln(1 + e).
    const OF_ZERO: f64 = std::f64::consts::LN_2;
    const OF_WRONG: f64 = 1.313_261_687_518_222_8;

    #[test]
    fn er_is_the_mean_over_new_clips_and_as_many_of_the_buffer() {
        let (loss, penalty) = terms(ApproachName::Er, &[([0.0, 0.0], 0), ([1.0, -1.0], 1)]);
        assert!(
            (loss - f64::midpoint(OF_ZERO, OF_WRONG)).abs() < 1e-6,
            "{loss}"
        );
        assert_eq!(penalty, None);
    }

    #[test]
    fn derpp_adds_half_the_distance_of_logits_and_half_the_loss_of_a_second_batch() {
        let rows = [([0.0, 0.0], 0), ([1.0, -1.0], 1), ([0.0, 0.0], 1)];
        let (loss, penalty) = terms(ApproachName::DerPlusPlus, &rows);
        // The second batch is no part of the first term.
        assert!(
            (loss - f64::midpoint(OF_ZERO, OF_WRONG)).abs() < 1e-6,
            "{loss}"
        );
        // (1 + 1) / 2 away from the stored zeros.
        let expected = 0.5 * 1.0 + 0.5 * OF_ZERO;
        assert!((penalty.unwrap() - expected).abs() < 1e-6, "{penalty:?}");
    }
}
