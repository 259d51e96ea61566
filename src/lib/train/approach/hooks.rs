//! The hooks of an approach and what it is shown.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use tch::{Kind, Tensor};

use super::Replay;
use crate::data::Dataset;
use crate::model::Output;
use crate::model::state_dict::StateDict;
use crate::run_record::Remedy;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::task_sequence::Task;

/// A batch on the device.
#[derive(Debug)]
pub struct DeviceBatch {
    /// [N, 3, T, H, W], normalised.
    pub clips: Tensor,
    /// Class indices, `[N]`.
    pub labels: Tensor,
}

impl DeviceBatch {
    /// The parts that an approach looks at: one for each clip where it `wants_single_clips`, else the whole.
    #[must_use]
    pub fn parts(&self, wants_single_clips: bool) -> Vec<Self> {
        let clips = self.labels.size()[0];
        let (parts, size) = if wants_single_clips {
            (clips, 1)
        } else {
            (1, clips)
        };
        let part = |i: i64| Self {
            clips: self.clips.narrow(0, i * size, size),
            labels: self.labels.narrow(0, i * size, size),
        };
        (0..parts).map(part).collect()
    }
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
    /// The places of its clips in the list that is trained on.
    pub places: &'a [usize],
}

/// What the model, in evaluation mode, says of the clips of a list: the places of those that could be
/// read, and their logits `[n, C]` on the host.
pub type LogitsOf<'a> = dyn FnMut(&Arc<Dataset>) -> Result<(Vec<usize>, Tensor), TrainError> + 'a;

/// What an approach adds to plain training. Every hook has a default that adds nothing.
pub trait Approach {
    /// Called when `task` begins; the model holds the best weights of the task before.
    ///
    /// # Errors
    /// When the approach cannot prepare.
    fn before_task(&mut self, _learner: &Learner, _task: usize) -> Result<(), TrainError> {
        Ok(())
    }

    /// What `task` trains on instead of its list, where clips of earlier tasks are replayed: asked when it begins, behind
    /// [`Approach::before_task`], and when it goes on. `before` is the last task that was trained, none where weights
    /// begin anew.
    fn replay(&mut self, _task: usize, _now: &Task, _before: Option<&Task>) -> Option<Replay> {
        None
    }

    /// The classification loss of a step: a scalar.
    fn classification(&self, learner: &Learner, step: &Step<'_>) -> Tensor {
        let criterion = learner.criterion();
        criterion.loss(&step.output.logits, &step.batch.labels)
    }

    /// What is added to the classification loss of a step: a scalar, or nothing.
    fn penalty(&self, _learner: &Learner, _step: &Step<'_>) -> Option<Tensor> {
        None
    }

    /// Lets go of what it took from earlier tasks, because the model has unlearned some of it. Where it wants batches,
    /// [`Approach::take_in`] and [`Approach::after_task`] follow with those of what stays.
    fn forget(&mut self) {}

    /// Whether the approach wants to look at the task's batches when it is over
    /// ([`Approach::observe`]). What is saved depends on [`Approach::state`] alone.
    fn wants_batches(&self, _learner: &Learner) -> bool {
        false
    }

    /// Whether it looks at clips one by one ([`Approach::observe`]), not at whole batches.
    fn wants_single_clips(&self) -> bool {
        false
    }

    /// What a batch, or a single clip, says when `task` is over, where batches are wanted; the model holds its best weights.
    /// 32-bit floats in one dimension, always as many. It depends on model and batch alone, so that any rank may look at it.
    ///
    /// # Errors
    /// When the approach cannot use it.
    fn observe(
        &self,
        learner: &Learner,
        _task: usize,
        _batch: &DeviceBatch,
    ) -> Result<Tensor, TrainError> {
        Ok(Tensor::zeros([0], (Kind::Float, learner.device())))
    }

    /// Takes in what [`Approach::observe`] gave for `clips` clips: of one batch, or clip, after the other. Between two of them
    /// the run may be stopped.
    ///
    /// # Errors
    /// When the approach cannot use it.
    fn take_in(
        &mut self,
        _learner: &Learner,
        _clips: usize,
        _observed: &Tensor,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// Called when `task` is over: keeps clips of it for later tasks. The model, which `logits_of` asks, holds its best
    /// weights.
    ///
    /// # Errors
    /// When a clip cannot be had.
    fn store(
        &mut self,
        _task: usize,
        _now: &Task,
        _before: Option<&Task>,
        _logits_of: &mut LogitsOf<'_>,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// Called when `task` is over and all batches that were wanted are seen; the model holds its
    /// best weights.
    ///
    /// # Errors
    /// When there was no batch.
    fn after_task(&mut self, _learner: &Learner, _task: usize) -> Result<(), TrainError> {
        Ok(())
    }

    /// Everything that it holds while a task is under way, by name: what
    /// [`Approach::before_task`] and [`Approach::take_in`] have made. It goes into checkpoints
    /// inside a task.
    fn under_way(&self) -> StateDict {
        StateDict::new()
    }

    /// Takes back what [`Approach::under_way`] gave in `task`, which was read from `path`;
    /// [`Approach::before_task`] is not called again.
    ///
    /// # Errors
    /// When names or shapes are not those of the model.
    fn go_on(
        &mut self,
        _learner: &Learner,
        _task: usize,
        _path: &Path,
        _held: StateDict,
    ) -> Result<(), TrainError> {
        Ok(())
    }

    /// What must be kept, beside the best weights, for the next task to begin; by name, in sorted
    /// order. Where there is any, it is saved with the task and given back to
    /// [`Approach::restore`].
    fn state(&self) -> Vec<(String, Tensor)> {
        Vec::new()
    }

    /// What becomes of the tensor `name` of [`Approach::state`] once a clip that it has seen is
    /// withdrawn.
    fn remedy(&self, _name: &str) -> Remedy {
        Remedy::Tainted
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

/// What an approach keeps of a task for the next.
pub struct Kept {
    /// The tensors of [`Approach::state`].
    pub tensors: StateDict,
    /// Their names, by what becomes of them once a clip that they have seen is withdrawn.
    pub remedies: BTreeMap<Remedy, Vec<String>>,
}

impl Kept {
    /// What `approach` keeps now.
    pub fn by(approach: &dyn Approach) -> Self {
        let tensors: StateDict = approach.state().into_iter().collect();
        let mut remedies: BTreeMap<Remedy, Vec<String>> = BTreeMap::new();
        for name in tensors.keys() {
            let names = remedies.entry(approach.remedy(name)).or_default();
            names.push(name.clone());
        }
        Self { tensors, remedies }
    }
}
