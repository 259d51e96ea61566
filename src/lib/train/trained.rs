//! What an epoch of training comes to: its mean losses, clips and seconds.

use std::time::Instant;

use tch::{Device, Kind, Tensor};

use super::TrainError;

/// The losses of one epoch of training, summed on the device so that no step waits for them.
#[derive(Debug)]
pub(super) struct Trained {
    sums: [Tensor; 2],
    clips: usize,
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
            started: Instant::now(),
            seconds: 0.0,
            means: [0.0; 2],
        }
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

    /// Ends the epoch: reads the sums.
    ///
    /// # Errors
    /// When there was no clip: a mean over nothing is no loss of 0.
    pub(super) fn end(&mut self) -> Result<(), TrainError> {
        if self.clips == 0 {
            return Err(TrainError::NoReadableClip);
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

    /// Seconds that it took.
    pub(super) fn seconds(&self) -> f64 {
        self.seconds
    }
}
