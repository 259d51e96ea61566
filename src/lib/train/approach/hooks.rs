//! The hooks of an approach and what it is shown.

use std::path::Path;

use tch::Tensor;

use crate::model::Output;
use crate::model::state_dict::StateDict;
use crate::train::TrainError;
use crate::train::learner::Learner;

/// A batch on the device.
#[derive(Debug)]
pub struct DeviceBatch {
    /// [N, 3, T, H, W], normalised.
    pub clips: Tensor,
    /// Class indices, `[N]`.
    pub labels: Tensor,
}

/// Batches on the device, in order.
pub type DeviceBatches<'a> = dyn Iterator<Item = Result<DeviceBatch, TrainError>> + 'a;

/// One training step as an approach sees it: the batch and what the model said of it.
#[derive(Debug)]
pub struct Step<'a> {
    /// The batch.
    pub batch: &'a DeviceBatch,
    /// The model's output for it, in training mode.
    pub output: &'a Output,
}

/// What an approach adds to plain training. Every hook has a default that adds nothing.
pub trait Approach {
    /// Called when `task` begins; the model holds the best weights of the task before.
    ///
    /// # Errors
    /// When the approach cannot prepare.
    fn before_task(&mut self, _learner: &Learner, _task: usize) -> Result<(), TrainError> {
        Ok(())
    }

    /// What is added to the classification loss of a step: a scalar, or nothing.
    fn penalty(&self, _learner: &Learner, _step: &Step<'_>) -> Option<Tensor> {
        None
    }

    /// Lets go of what it took from earlier tasks, because the model has unlearned some of it. Where it wants batches,
    /// [`Approach::after_task`] follows with those of what stays.
    fn forget(&mut self) {}

    /// Whether [`Approach::after_task`] is called, with batches. What is saved depends on
    /// [`Approach::state`] alone.
    fn wants_batches(&self) -> bool {
        false
    }

    /// Called when `task` is over; the model holds its best weights. `batches` are those of
    /// [`Approach::wants_batches`].
    ///
    /// # Errors
    /// When a batch cannot be had.
    fn after_task(
        &mut self,
        _learner: &Learner,
        _task: usize,
        _batches: &mut DeviceBatches<'_>,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// What must be kept, beside the best weights, for the next task to begin; by name, in sorted
    /// order. Where there is any, it is saved with the task and given back to
    /// [`Approach::restore`].
    fn state(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    /// Takes back what [`Approach::state`] gave, which was read from `path`; the model holds the
    /// best weights of the task then done.
    ///
    /// # Errors
    /// When names or shapes are not those of the model.
    fn restore(
        &mut self,
        _learner: &Learner,
        _path: &Path,
        _state: StateDict,
    ) -> Result<(), TrainError> {
        Ok(())
    }
}
