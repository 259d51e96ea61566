//! The processes that train one run together: one alone, or a group over PyTorch's c10d.
//!
//! The loop asks for its rank, deals its work by it, and gathers what the others have computed; whether there are others it
//! does not know. What is gathered comes in the order of the ranks, so sums that are made of it do not depend on who was
//! first. Nothing here adds or averages: a collective that sums would do so in an order of its own.
//!
//! | file | what it is for |
//! |---|---|
//! | [`Launch`] | which rank this process is, from what torchrun, Slurm or a person put into the environment |
//! | [`Group`] | a rank among others: gathers, broadcasts, comparisons, and a clean end |
//! | `beat` | who is still there: each rank beats through the store, and silence means lost |
//! | `c10d` | the binding to PyTorch's store and process groups, its C++ beside it |

mod beat;
mod c10d;
mod error;
mod group;
mod launch;

use tch::Tensor;

pub use error::{LostRank, WorldError};
pub use group::{Group, Timeouts};
pub use launch::Launch;

/// All processes of a run.
#[derive(Debug)]
pub enum World {
    /// This one alone.
    Alone,
    /// This one and others.
    Group(Group),
}

impl World {
    /// Meets the other processes that `launch` names; alone without one.
    ///
    /// # Errors
    /// When not all of them come within the timeout, naming those that are missing.
    pub fn join(launch: Option<&Launch>, timeouts: Timeouts) -> Result<Self, WorldError> {
        launch.map_or(Ok(Self::Alone), |launch| {
            Group::join(launch, timeouts).map(Self::Group)
        })
    }

    /// This process's number, from 0.
    #[must_use]
    pub fn rank(&self) -> usize {
        match self {
            Self::Alone => 0,
            Self::Group(group) => group.rank(),
        }
    }

    /// The number of processes.
    #[must_use]
    pub fn size(&self) -> usize {
        match self {
            Self::Alone => 1,
            Self::Group(group) => group.size(),
        }
    }

    /// Whether this process writes what the run leaves.
    #[must_use]
    pub fn is_first(&self) -> bool {
        self.rank() == 0
    }

    /// Those of `count` pieces of work that are this rank's: r, r + n, r + 2n, ...
    pub fn share(&self, count: usize) -> impl Iterator<Item = usize> + use<> {
        (self.rank()..count).step_by(self.size())
    }

    /// `tensor` of every rank, in the order of the ranks. All ranks give one of the same shape and kind.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn gather(&self, tensor: &Tensor) -> Result<Vec<Tensor>, WorldError> {
        match self {
            Self::Alone => Ok(vec![tensor.shallow_clone()]),
            Self::Group(group) => group.gather(tensor),
        }
    }

    /// Makes `tensor` that of rank 0 everywhere.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn broadcast(&self, tensor: &mut Tensor) -> Result<(), WorldError> {
        match self {
            Self::Alone => Ok(()),
            Self::Group(group) => group.broadcast(tensor),
        }
    }

    /// Makes sure that `value` is the same on all ranks.
    ///
    /// # Errors
    /// When it differs, naming `what`, the rank and both values; when a rank is lost.
    pub fn agree(&self, what: &str, value: &str) -> Result<(), WorldError> {
        match self {
            Self::Alone => Ok(()),
            Self::Group(group) => group.agree(what, value),
        }
    }
}
