//! What every head does with a task.

use crate::train::TrainError;
use crate::unlearning::linear_head::LinearHead;

/// A model on cached features. Stages, the tasks that are not passed over, come in order, each once.
pub(in crate::train) trait Head {
    /// Takes in what `stage` has and lets go of what it withdraws.
    ///
    /// # Errors
    /// When its clips make no head.
    fn advance(&mut self, stage: usize) -> Result<LinearHead, TrainError>;
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
