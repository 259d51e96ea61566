//! The keys of random streams.

/// What tells one epoch's random streams from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StreamKeys {
    /// The task, from 0.
    pub task: u64,
    /// The epoch within the task, from 0.
    pub epoch: u64,
}
