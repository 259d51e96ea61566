//! The clips of a withdrawal as methods see them.

use tch::Tensor;

use crate::train::TrainError;

/// Clips that a pass goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Set {
    /// F, what leaves.
    Forget,
    /// R, what stays.
    Retain,
    /// F, then R.
    Union,
    /// F, then a share of R drawn once, for bad teaching. Its first batch holds a clip of F.
    UnionWithSample,
    /// As many clips of R as F has, or all of it, drawn once, for MSG.
    RetainSample,
    /// H, held-out clips like F, which steer and are never trained on.
    HeldOut,
}

/// Clips on the device.
#[derive(Debug)]
pub struct Batch {
    /// [N, 3, T, H, W], normalised.
    pub clips: Tensor,
    /// Class indices, `[N]`.
    pub labels: Tensor,
    /// The places of the clips in their set; those of a union begin with F's.
    pub places: Vec<usize>,
}

impl Batch {
    /// How many clips there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.places.len()
    }
}

/// Batches in order.
pub type Batches<'a> = Box<dyn Iterator<Item = Result<Batch, TrainError>> + 'a>;

/// Where a method gets its clips.
pub trait Clips {
    /// The task that withdraws.
    fn task(&self) -> usize;

    /// How many clips a set has.
    fn count(&self, set: Set) -> usize;

    /// How many batches a training pass over a set has.
    fn batches(&self, set: Set) -> usize;

    /// A training pass: every clip once, augmented, in an order drawn for the set and `epoch`, from
    /// 0. The same epoch gives the same order again.
    fn pass(&self, set: Set, epoch: u32) -> Batches<'_>;

    /// Every clip once in list order, in the evaluation view, in batches of at most `most` clips.
    fn in_order(&self, set: Set, most: Option<usize>) -> Batches<'_>;

    /// Labels of F, in its order, that are wrong on purpose: each drawn uniformly from the other
    /// classes, anew for each epoch.
    fn wrong_labels(&self, epoch: u32) -> Vec<i64>;
}
