//! The small network of the goldens and the clips that are stated in them.

use std::collections::BTreeMap;

use incdec::model::{Mode, Output};
use incdec::train::learner::{Learner, Network, NetworkBuilder};
use incdec::train::settings::CriterionName;
use incdec::train::unlearn::{Batch, Batches, Clips, Set};
use serde::Deserialize;
use tch::nn::{self, Init};
use tch::{Device, Tensor, no_grad};

use super::Points;
use super::method::{Epoch, NORM};

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Fixture {
    pub(super) network: String,
    pub(super) sizes: BTreeMap<String, i64>,
    pub(super) weights: Weights,
    pub(super) bad_teacher: Weights,
    pub(super) forget: Points,
    pub(super) retain: Points,
    pub(super) heldout: Points,
}

type Weights = BTreeMap<String, Flat>;

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Flat {
    shape: Vec<i64>,
    values: Vec<f32>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inputs {
    #[serde(default)]
    pub(super) redraw: BTreeMap<String, Vec<f32>>,
}

/// A network of the goldens: swish of a linear map, with batch norm in between or not, then a linear head.
struct Mlp {
    first: Tensor,
    first_bias: Option<Tensor>,
    norm: Option<[Tensor; 4]>,
    head: Tensor,
    head_bias: Tensor,
}

impl Network for Mlp {
    fn forward(&self, clips: &Tensor, mode: Mode) -> Output {
        let mut x = clips.matmul(&self.first.tr());
        if let Some(bias) = &self.first_bias {
            x += bias;
        }
        if let Some([weight, bias, mean, variance]) = &self.norm {
            let train = mode.moves_statistics();
            let (momentum, epsilon) = NORM;
            x = x.batch_norm(
                Some(weight),
                Some(bias),
                Some(mean),
                Some(variance),
                train,
                momentum,
                epsilon,
                false,
            );
        }
        let features = &x * x.sigmoid();
        Output {
            logits: features.matmul(&self.head.tr()) + &self.head_bias,
            features,
        }
    }
}

fn builder(fixture: &Fixture) -> NetworkBuilder {
    let fixture = fixture.clone();
    Box::new(move |root: &nn::Path<'_>| {
        let [inputs, hidden, classes] = ["inputs", "hidden", "classes"].map(|s| fixture.sizes[s]);
        let zero = Init::Const(0.0);
        let fc1 = root / "backbone" / "fc1";
        let norm = root / "backbone" / "norm";
        let plain = fixture.network == "mlp";
        Box::new(Mlp {
            first: fc1.var("weight", &[hidden, inputs], zero),
            first_bias: plain.then(|| fc1.var("bias", &[hidden], zero)),
            norm: (!plain).then(|| {
                [
                    norm.var("weight", &[hidden], zero),
                    norm.var("bias", &[hidden], zero),
                    norm.zeros_no_train("running_mean", &[hidden]),
                    norm.zeros_no_train("running_var", &[hidden]),
                ]
            }),
            head: (root / "heads").var("weight", &[classes, hidden], zero),
            head_bias: (root / "heads").var("bias", &[classes], zero),
        })
    })
}

pub(super) fn learner(fixture: &Fixture, weights: &Weights, criterion: CriterionName) -> Learner {
    let learner = Learner::new(builder(fixture), Device::Cpu, criterion);
    let mut variables = learner.store().variables();
    assert!(
        variables
            .keys()
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .eq(weights.keys())
    );
    no_grad(|| {
        for (name, flat) in weights {
            let values = Tensor::from_slice(&flat.values).reshape(&flat.shape);
            variables.get_mut(name).unwrap().copy_(&values);
        }
    });
    learner
}

/// The clips of a case, with the batches that its golden states.
pub(super) struct Stated {
    pub(super) fixture: Fixture,
    pub(super) epochs: Vec<Epoch>,
    pub(super) sample: Vec<usize>,
}

impl Stated {
    pub(super) fn points(&self, set: Set) -> Points {
        let (forget, retain) = (&self.fixture.forget, &self.fixture.retain);
        match set {
            Set::Forget => forget.clone(),
            Set::Retain => retain.clone(),
            Set::HeldOut => self.fixture.heldout.clone(),
            Set::Union | Set::UnionWithSample => Points {
                x: [&forget.x[..], &retain.x].concat(),
                y: [&forget.y[..], &retain.y].concat(),
            },
            Set::RetainSample => Points {
                x: self.sample.iter().map(|&i| retain.x[i].clone()).collect(),
                y: self.sample.iter().map(|&i| retain.y[i]).collect(),
            },
        }
    }

    pub(super) fn lists(&self, set: Set, epoch: usize) -> &[Vec<usize>] {
        let epoch = &self.epochs[epoch % self.epochs.len()];
        match set {
            Set::Forget => &epoch.forget,
            Set::Retain => &epoch.retain,
            _ => &epoch.union,
        }
    }

    pub(super) fn batch(&self, set: Set, places: &[usize]) -> Batch {
        let points = self.points(set);
        let rows: Vec<f32> = places.iter().flat_map(|&i| points.x[i].clone()).collect();
        let labels: Vec<i64> = places.iter().map(|&i| points.y[i]).collect();
        Batch {
            clips: Tensor::from_slice(&rows).reshape([places.len() as i64, -1]),
            labels: Tensor::from_slice(&labels),
            places: places.to_vec(),
        }
    }
}

impl Clips for Stated {
    fn task(&self) -> usize {
        1
    }

    fn count(&self, set: Set) -> usize {
        self.points(set).y.len()
    }

    fn batches(&self, set: Set) -> usize {
        self.lists(set, 0).len()
    }

    fn pass(&self, set: Set, epoch: u32) -> Batches<'_> {
        let lists = self.lists(set, epoch as usize).iter();
        Box::new(lists.map(move |places| Ok(self.batch(set, places))))
    }

    fn in_order(&self, set: Set, most: Option<usize>) -> Batches<'_> {
        let places: Vec<usize> = (0..self.count(set)).collect();
        let size = most.unwrap_or(places.len()).max(1);
        let batches: Vec<_> = places
            .chunks(size)
            .map(|c| Ok(self.batch(set, c)))
            .collect();
        Box::new(batches.into_iter())
    }

    fn wrong_labels(&self, epoch: u32) -> Vec<i64> {
        self.epochs[epoch as usize].labels.clone()
    }
}
