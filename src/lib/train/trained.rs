//! What an epoch of training comes to: its mean losses, clips and seconds.

use std::time::Instant;

use tch::{Device, Kind, Tensor};

use super::TrainError;
use crate::clip::Split;
use crate::model::state_dict::StateDict;

/// What is summed.
const SUMS: [&str; 2] = ["loss", "penalty"];

/// The losses of one epoch of training, summed on the device so that no step waits for them.
#[derive(Debug)]
pub(super) struct Trained {
    sums: [Tensor; 2],
    clips: usize,
    /// Clips before the epoch was stopped and went on.
    clips_before: usize,
    started: Instant,
    seconds: f64,
    means: [f64; 2],
}

impl Trained {
    pub(super) fn new(device: Device) -> Self {
        let zero = || Tensor::zeros([], (Kind::Double, device));
        Self {
            sums: [zero(), zero()],
            clips: 0,
            clips_before: 0,
            started: Instant::now(),
            seconds: 0.0,
            means: [0.0; 2],
        }
    }

    /// An epoch that goes on behind `clips`, from what [`Trained::state`] gave.
    pub(super) fn of(device: Device, clips: usize, state: &StateDict) -> Self {
        let sum = |name| match state.get(name) {
            Some(sum) => sum.to_device(device),
            None => Tensor::zeros([], (Kind::Double, device)),
        };
        Self {
            sums: SUMS.map(sum),
            clips,
            clips_before: clips,
            ..Self::new(device)
        }
    }

    /// The sums so far, by name.
    pub(super) fn state(&self) -> StateDict {
        let sums = SUMS.into_iter().zip(&self.sums);
        sums.map(|(name, sum)| (name.to_owned(), sum.shallow_clone()))
            .collect()
    }

    /// Counts a batch's mean classification loss and penalty, weighted by its clips.
    pub(super) fn add(&mut self, loss: &Tensor, penalty: Option<&Tensor>, clips: usize) {
        let size = i64::try_from(clips).unwrap_or(i64::MAX);
        for (sum, value) in self.sums.iter_mut().zip([Some(loss), penalty]) {
            if let Some(value) = value {
                *sum += value.detach().to_kind(Kind::Double) * size;
            }
        }
        self.clips += clips;
    }

    /// Ends an epoch of `task`, whose training list has so many clips: reads the sums.
    ///
    /// # Errors
    /// When there was no clip: a mean over nothing is no loss of 0.
    pub(super) fn end(&mut self, task: usize, listed: usize) -> Result<(), TrainError> {
        if self.clips == 0 {
            return Err(TrainError::NoReadableClip {
                task,
                split: Split::Train,
                listed,
            });
        }
        #[allow(clippy::cast_precision_loss)] // A number of clips.
        let clips = self.clips as f64;
        self.means = [0, 1].map(|i| self.sums[i].double_value(&[]) / clips);
        self.seconds = self.started.elapsed().as_secs_f64();
        Ok(())
    }

    /// The mean classification loss over the clips.
    pub(super) fn loss(&self) -> f64 {
        self.means[0]
    }

    /// The mean penalty over the clips; 0 without one.
    pub(super) fn penalty(&self) -> f64 {
        self.means[1]
    }

    /// Clips trained on.
    pub(super) fn clips(&self) -> usize {
        self.clips
    }

    /// Clips trained on in [`Trained::seconds`].
    pub(super) fn timed_clips(&self) -> usize {
        self.clips - self.clips_before
    }

    /// Whether all losses so far are numbers.
    pub(super) fn is_finite(&self) -> bool {
        self.sums
            .iter()
            .all(|sum| sum.double_value(&[]).is_finite())
    }

    /// Seconds that it took; where it was stopped and went on, since then.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }
}
