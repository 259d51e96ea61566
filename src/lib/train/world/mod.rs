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
//! | `join` | how the ranks come together and connect |
//! | `beat` | who is still there: each rank beats through the store, and silence means lost |
//! | `gpus`, `exchange` | the GPUs of a group, and over what their tensors are exchanged |
//! | `c10d` | the binding to PyTorch's store and process groups, its C++ beside it |
//! | [`nccl`] | NCCL, in a library of its own that is loaded where a GPU is computed on |

mod beat;
mod c10d;
mod error;
mod exchange;
mod gpus;
mod group;
mod join;
mod launch;
pub mod nccl;

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};

use crate::data::Deal;
use crate::panics;

pub use error::{Failure, Member, WorldError};
pub use group::{Failed, Group, Timeouts};
pub use launch::Launch;

/// Does the work of a rank. A panic is a defect, no loss of the rank: it becomes an error, so that the others hear what it
/// says, and nobody takes it for a passing trouble.
///
/// # Errors
/// Those of `work`, and [`WorldError::Panicked`].
pub fn caught<T, E: From<WorldError>>(work: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
    panics::caught(work).unwrap_or_else(|message| Err(WorldError::Panicked(message).into()))
}

/// All processes of a run.
#[derive(Debug)]
pub enum World {
    /// This one alone.
    Alone,
    /// This one and others.
    Group(Box<Group>),
}

impl World {
    /// Meets the other processes that `launch` names; alone without one.
    ///
    /// # Errors
    /// When not all of them come within the timeout, naming those that are missing.
    pub fn join(launch: Option<&Launch>, timeouts: Timeouts) -> Result<Self, WorldError> {
        launch.map_or(Ok(Self::Alone), |launch| {
            Group::join(launch, timeouts).map(|group| Self::Group(Box::new(group)))
        })
    }

    /// Says that this rank computes on `device`. From then on what lies on GPUs is exchanged over NCCL, where every rank has a
    /// GPU of its own and the library that lies beside `program` ([`nccl::Nccl::load`]); else, and that is said once, over Gloo.
    /// All ranks say so at the same place.
    ///
    /// # Errors
    /// When a rank is lost, or NCCL cannot connect the GPUs.
    pub fn compute_on(&self, device: Device, program: &Path) -> Result<(), WorldError> {
        match self {
            Self::Alone => Ok(()),
            Self::Group(group) => group.compute_on(device, program),
        }
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

    /// Which batches this rank goes through: r, r + n, r + 2n, ...
    #[must_use]
    pub fn deal(&self) -> Deal {
        Deal {
            rank: self.rank(),
            of: self.size(),
        }
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

    /// The 32-bit floats, in one dimension, of rank `by`, on `device`. That rank alone has them.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn floats(
        &self,
        by: usize,
        own: Option<Tensor>,
        device: Device,
    ) -> Result<Tensor, WorldError> {
        let own = own.unwrap_or_else(|| Tensor::zeros([0], (Kind::Float, device)));
        let Self::Group(group) = self else {
            return Ok(own);
        };
        let mut size = Tensor::from_slice(&own.size());
        group.broadcast(&mut size, by)?;
        let mut floats = if self.rank() == by {
            own
        } else {
            Tensor::zeros([size.int64_value(&[0])], (Kind::Float, device))
        };
        if floats.numel() > 0 {
            group.broadcast(&mut floats, by)?;
        }
        Ok(floats)
    }

    /// The bytes of rank 0, which alone has them.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn bytes(&self, own: Option<Vec<u8>>) -> Result<Vec<u8>, WorldError> {
        let own = own.unwrap_or_default();
        let Self::Group(group) = self else {
            return Ok(own);
        };
        let mut size = Tensor::from_slice(&[i64::try_from(own.len()).unwrap_or(i64::MAX)]);
        group.broadcast(&mut size, 0)?;
        let mut bytes = if self.is_first() {
            Tensor::from_slice(&own)
        } else {
            Tensor::zeros([size.int64_value(&[0])], (Kind::Uint8, Device::Cpu))
        };
        if bytes.numel() > 0 {
            group.broadcast(&mut bytes, 0)?;
        }
        Vec::try_from(bytes).map_err(|e: tch::TchError| WorldError::Broken(e.to_string()))
    }

    /// Whole numbers of every rank, in the order of the ranks.
    ///
    /// # Errors
    /// When a rank is lost.
    pub fn numbers(&self, own: i64) -> Result<Vec<i64>, WorldError> {
        if self.size() == 1 {
            return Ok(vec![own]);
        }
        let all = self.gather(&Tensor::from_slice(&[own]))?;
        Ok(all.iter().map(|tensor| tensor.int64_value(&[0])).collect())
    }

    /// Makes sure that what has a name is the same on all ranks.
    ///
    /// # Errors
    /// When something differs: the first by its name, with the rank and both values; when a rank is lost.
    pub fn agree(&self, facts: &BTreeMap<String, String>) -> Result<(), WorldError> {
        match self {
            Self::Alone => Ok(()),
            Self::Group(group) => group.agree(facts),
        }
    }

    /// Tells the others that this rank ends, and why.
    pub fn fail(&self, error: &dyn Failed) {
        if let Self::Group(group) = self {
            group.fail(error);
        }
    }

    /// The hosts of the processes, in the order of their ranks; none where there is but this one.
    #[must_use]
    pub fn hosts(&self) -> &[String] {
        match self {
            Self::Alone => &[],
            Self::Group(group) => group.hosts(),
        }
    }
}
