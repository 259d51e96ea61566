//! What every head does with a task.

use crate::train::TrainError;
use crate::unlearning::linear_head::LinearHead;

/// A model on cached features. Tasks come in order, each once.
pub(in crate::train) trait Head {
    /// Takes in what `task` has and lets go of what it withdraws.
    ///
    /// # Errors
    /// When the task's clips make no head.
    fn task(&mut self, task: usize) -> Result<LinearHead, TrainError>;
}

/// The shape of what a head keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::train) struct Shape {
    /// Linear maps.
    pub(in crate::train) shards: usize,
    /// Numbers that enter each.
    pub(in crate::train) width: usize,
    /// Classes.
    pub(in crate::train) classes: usize,
}
