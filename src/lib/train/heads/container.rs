//! A head's numbers as the tensors of a checkpoint.
//!
//! `heads.weight` `[S, M, C]`, `heads.bias` `[S, C]` and `heads.holds` `[S, C]` (0 or 1), all in
//! 64-bit floats, S shards. RanPAC's projection is not among them: the seed gives it.

use tch::nn::{self, VarStore};
use tch::{Device, Kind, Tensor, no_grad};

use super::head::Shape;
use crate::model::{Mode, Output};
use crate::train::learner::{Learner, Network};
use crate::train::settings::CriterionName;
use crate::unlearning::linear_head::LinearHead;

/// A learner whose parameters are those of a head.
pub(in crate::train) struct Container {
    learner: Learner,
}

impl Container {
    /// An empty head of this shape.
    pub(in crate::train) fn new(shape: Shape, criterion: CriterionName) -> Self {
        let size = |n: usize| i64::try_from(n).unwrap_or(i64::MAX);
        let (shards, width, classes) = (size(shape.shards), size(shape.width), size(shape.classes));
        let build = move |root: &nn::Path<'_>| -> Box<dyn Network> {
            let heads = root / "heads";
            let add = |name: &str, shape: &[i64]| {
                let zeros = Tensor::zeros(shape, (Kind::Double, Device::Cpu));
                heads.add(name, zeros, false)
            };
            Box::new(Stored {
                weight: add("weight", &[shards, width, classes]),
                bias: add("bias", &[shards, classes]),
                holds: add("holds", &[shards, classes]),
            })
        };
        Self {
            learner: Learner::new(Box::new(build), Device::Cpu, criterion),
        }
    }

    /// The learner, as the record of a run takes it.
    pub(in crate::train) fn learner(&self) -> &Learner {
        &self.learner
    }

    /// Puts the numbers of `head` in place.
    pub(in crate::train) fn put(&self, head: &LinearHead) {
        let shards = head.shards.iter();
        let weight: Vec<f64> = shards.clone().flat_map(|s| s.weight.clone()).collect();
        let bias: Vec<f64> = shards.clone().flat_map(|s| s.bias.clone()).collect();
        let holds = shards.flat_map(|s| s.holds.iter().map(|h| f64::from(u8::from(*h))));
        let holds: Vec<f64> = holds.collect();
        put(self.learner.store(), "heads.weight", &weight);
        put(self.learner.store(), "heads.bias", &bias);
        put(self.learner.store(), "heads.holds", &holds);
    }
}

fn put(store: &VarStore, name: &str, values: &[f64]) {
    if let Some(tensor) = store.variables().get_mut(name) {
        let values = Tensor::from_slice(values).reshape(tensor.size());
        no_grad(|| tensor.copy_(&values));
    }
}

/// The stored tensors as a network on features that are already those that enter the maps.
struct Stored {
    weight: Tensor,
    bias: Tensor,
    holds: Tensor,
}

impl Network for Stored {
    /// `clips` are features `[N, M]`; a class that no shard holds has the mean of nothing, 0 / 0.
    fn forward(&self, clips: &Tensor, _mode: Mode) -> Output {
        let features = clips.to_kind(Kind::Double);
        let logits = features.unsqueeze(0).matmul(&self.weight) + self.bias.unsqueeze(1);
        let holds = self.holds.unsqueeze(1);
        let sum = (logits * &holds).sum_dim_intlist(0, false, Kind::Double);
        Output {
            logits: sum / self.holds.sum_dim_intlist(0, false, Kind::Double),
            features,
        }
    }
}
