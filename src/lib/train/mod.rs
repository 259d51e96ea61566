//! The train stage: task after task.

pub mod approach;
mod choice;
mod criterion;
pub mod learner;
pub mod optimizer;
pub mod schedule;
pub mod settings;

/// Why a run failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A setting makes no sense.
    #[error("{flag}: {why}")]
    Setting {
        /// The flag.
        flag: &'static str,
        /// What it may be.
        why: String,
    },
    /// The loss left the numbers.
    #[error("task {task}, epoch {epoch}: the loss is {loss}")]
    Diverged {
        /// The task.
        task: usize,
        /// The epoch within it.
        epoch: u32,
        /// What the loss was.
        loss: f64,
    },
}
