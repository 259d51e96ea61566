//! A loss that is no number, with what went before it.
//!
//! Losses and gradient norms of the last steps are kept where they are computed. In host memory
//! each loss is looked at before the step on its gradients; on a GPU a look waits for all work
//! under way, so many are looked at together.

use std::collections::VecDeque;
use std::fmt;
use std::path::PathBuf;

use tch::{Device, Kind, Tensor};

use crate::data::first_clips;
use crate::train::TrainError;

/// Batches between two looks on a GPU.
const LOOK_EVERY_ON_GPU: usize = 64;
/// Batches before the bad one whose loss and gradient norm are kept.
const KEPT: usize = 5;

/// What went before a loss that is no number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Divergence {
    /// The step of the optimizer within the epoch, from 0.
    pub step: usize,
    /// The batch within the epoch, from 0.
    pub batch: usize,
    /// The classification loss of the batch.
    pub loss: f64,
    /// What the approach added.
    pub penalty: Option<f64>,
    /// The clips of the batch; none where the loss is not of a batch of an epoch's.
    pub clips: Vec<String>,
    /// The losses of the batches before it, the last one last.
    pub losses: Vec<f64>,
    /// The norms of the gradients of the steps before it, the last one last.
    pub gradient_norms: Vec<f64>,
    /// The last good weights that were kept; none before the first.
    pub checkpoint: Option<PathBuf>,
}

impl Divergence {
    /// What to try.
    #[must_use]
    pub fn remedy(&self) -> &'static str {
        if self.loss.is_finite() {
            "lower the penalty's weight (--ewc-lambda, --lwf-lambda, --fd-lambda), then the learning rates (--lr-backbone, --lr-head)"
        } else if self.losses.is_empty() && !self.clips.is_empty() {
            "the first step has no number already: look at the weights to start from (`incdec-weights inspect`), and try --precision f32"
        } else {
            "lower the learning rates (--lr-first-task, --lr-first-task-head, --lr-backbone, --lr-head), take a larger --batch-size or --accumulation, or try --precision f32"
        }
    }
}

impl fmt::Display for Divergence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |values: &[f64]| {
            let texts: Vec<String> = values.iter().map(|value| format!("{value:.4e}")).collect();
            if texts.is_empty() {
                "none".to_owned()
            } else {
                texts.join(", ")
            }
        };
        write!(f, "the loss is {}", self.loss)?;
        if let Some(penalty) = self.penalty {
            write!(f, " and the penalty {penalty}")?;
        }
        if self.clips.is_empty() {
            return Ok(());
        }
        write!(
            f,
            " in step {}, batch {} of clips {}",
            self.step,
            self.batch,
            first_clips(&self.clips)
        )?;
        write!(
            f,
            "; losses before it: {}; gradient norms before it: {}; last good weights: ",
            list(&self.losses),
            list(&self.gradient_norms)
        )?;
        match &self.checkpoint {
            Some(path) => write!(f, "{}", path.display()),
            None => f.write_str("those that the run started from"),
        }
    }
}

/// Turns a loss beside the epochs' own that is no finite number into an error.
///
/// # Errors
/// [`TrainError::Diverged`].
pub(in crate::train) fn finite(loss: f64, task: usize, epoch: u32) -> Result<f64, TrainError> {
    if loss.is_finite() {
        return Ok(loss);
    }
    let found = Divergence {
        loss,
        ..Divergence::default()
    };
    Err(TrainError::Diverged {
        task,
        epoch,
        found: Box::new(found),
    })
}

/// A batch whose loss is on the device.
struct Seen {
    step: usize,
    batch: usize,
    clips: Vec<usize>,
    loss: Tensor,
    penalty: Option<Tensor>,
    gradient_norm: Option<Tensor>,
}

/// Watches the losses of an epoch.
pub(in crate::train) struct Watch {
    every: usize,
    seen: VecDeque<Seen>,
    /// How many of `seen`, the last ones, have not been looked at.
    unlooked: usize,
    batches: usize,
    steps: usize,
}

impl Watch {
    /// Watches an epoch on `device`.
    pub(in crate::train) fn new(device: Device) -> Self {
        Self::with(if device == Device::Cpu {
            1
        } else {
            LOOK_EVERY_ON_GPU
        })
    }

    fn with(every: usize) -> Self {
        Self {
            every,
            seen: VecDeque::new(),
            unlooked: 0,
            batches: 0,
            steps: 0,
        }
    }

    /// A batch of the clips `clips` (indices into the list) went forward.
    ///
    /// # Errors
    /// What went before a loss that is no number; the clips by their indices in the second part.
    pub(in crate::train) fn loss(
        &mut self,
        loss: &Tensor,
        penalty: Option<&Tensor>,
        clips: &[usize],
    ) -> Result<(), (Box<Divergence>, Vec<usize>)> {
        self.seen.push_back(Seen {
            step: self.steps,
            batch: self.batches,
            clips: clips.to_vec(),
            loss: loss.detach(),
            penalty: penalty.map(Tensor::detach),
            gradient_norm: None,
        });
        self.batches += 1;
        self.unlooked += 1;
        if self.unlooked < self.every {
            return Ok(());
        }
        self.look()
    }

    /// The optimizer takes a step on gradients of this norm.
    pub(in crate::train) fn step(&mut self, gradient_norm: Tensor) {
        self.steps += 1;
        if let Some(last) = self.seen.back_mut() {
            last.gradient_norm = Some(gradient_norm);
        }
    }

    /// Looks at the losses since the last look.
    ///
    /// # Errors
    /// As [`Watch::loss`].
    pub(in crate::train) fn look(&mut self) -> Result<(), (Box<Divergence>, Vec<usize>)> {
        let first = self.seen.len() - self.unlooked;
        let sums: Vec<Tensor> = self
            .seen
            .range(first..)
            .map(|seen| match &seen.penalty {
                Some(penalty) => &seen.loss + penalty,
                None => seen.loss.shallow_clone(),
            })
            .collect();
        self.unlooked = 0;
        if sums.is_empty() {
            return Ok(());
        }
        let finite = Tensor::stack(&sums, 0).isfinite();
        if finite.all().int64_value(&[]) == 0 {
            let bad = finite
                .to_kind(Kind::Int64)
                .argmin(0, false)
                .int64_value(&[]);
            let bad = first + usize::try_from(bad).unwrap_or(0);
            return Err(self.diverged(bad));
        }
        while self.seen.len() > KEPT {
            self.seen.pop_front();
        }
        Ok(())
    }

    /// What led to the batch at `bad` of those kept.
    fn diverged(&self, bad: usize) -> (Box<Divergence>, Vec<usize>) {
        let value = |tensor: &Tensor| tensor.double_value(&[]);
        let before = || self.seen.range(bad.saturating_sub(KEPT)..bad);
        let seen = &self.seen[bad];
        let found = Divergence {
            step: seen.step,
            batch: seen.batch,
            loss: value(&seen.loss),
            penalty: seen.penalty.as_ref().map(value),
            losses: before().map(|seen| value(&seen.loss)).collect(),
            gradient_norms: before()
                .filter_map(|seen| seen.gradient_norm.as_ref().map(value))
                .collect(),
            ..Divergence::default()
        };
        (Box::new(found), seen.clips.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(value: f64) -> Tensor {
        Tensor::from(value)
    }

    /// Batches of two clips with losses 1, 2, 3, ..., then one that is no number.
    fn diverging(every: usize, good: usize) -> (Box<Divergence>, Vec<usize>) {
        let mut watch = Watch::with(every);
        for batch in 0..good {
            let clips = [2 * batch, 2 * batch + 1];
            watch
                .loss(&number(batch as f64 + 1.0), None, &clips)
                .unwrap();
            watch.step(number(10.0 * (batch as f64 + 1.0)));
        }
        watch
            .loss(&number(f64::NAN), None, &[70, 71])
            .and_then(|()| watch.look())
            .unwrap_err()
    }

    #[test]
    fn the_bad_batch_is_found_with_what_went_before_it_however_often_one_looks() {
        for every in [1, 4, 100] {
            let (found, clips) = diverging(every, 9);
            assert_eq!(clips, [70, 71]);
            assert_eq!((found.step, found.batch), (9, 9));
            assert!(found.loss.is_nan());
            assert_eq!(found.losses, [5.0, 6.0, 7.0, 8.0, 9.0], "{every}");
            assert_eq!(found.gradient_norms, [50.0, 60.0, 70.0, 80.0, 90.0]);
            assert!(found.remedy().contains("--lr-first-task"));
        }
    }

    #[test]
    fn a_loss_that_is_no_number_is_an_error() {
        assert!(finite(0.5, 0, 0).is_ok());
        let error = finite(f64::NAN, 2, 3).unwrap_err();
        assert_eq!(error.to_string(), "task 2, epoch 3: the loss is NaN");
        assert!(matches!(
            error,
            TrainError::Diverged {
                task: 2,
                epoch: 3,
                ..
            }
        ));
    }

    #[test]
    fn the_first_step_and_a_penalty_have_remedies_of_their_own() {
        let (found, _) = diverging(1, 0);
        let found = Divergence {
            clips: vec!["a".to_owned()],
            ..*found
        };
        assert!(found.losses.is_empty() && found.remedy().contains("weights to start from"));
        let mut watch = Watch::with(1);
        let (found, _) = watch
            .loss(&number(1.0), Some(&number(f64::INFINITY)), &[0])
            .unwrap_err();
        assert!(found.remedy().contains("--ewc-lambda"));
        assert!(
            found
                .to_string()
                .contains("the loss is 1 and the penalty inf")
        );
    }
}
