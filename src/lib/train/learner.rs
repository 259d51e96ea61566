//! The model as training sees it: named parameters on a device, a forward pass in one of three
//! modes, and what is frozen.

use std::collections::BTreeMap;

use tch::nn::VarStore;
use tch::{Device, Tensor, nn, no_grad};

use super::settings::CriterionName;
use crate::model::checkpoint::{self, CheckpointError, Snapshot};
use crate::model::state_dict::StateDict;
use crate::model::{Mode, ModelConfig, Movinet, Output};

/// First part of the names of the head's parameters.
const HEAD: &str = "heads.";
/// First part of the names of the backbone's parameters.
const BACKBONE: &str = "backbone.";
/// What the names of batch norm's weights and biases end in.
const BATCH_NORM: [&str; 2] = [".norm.weight", ".norm.bias"];

/// A network over the parameters of a [`VarStore`].
pub trait Network {
    /// The output for `clips`, [N, 3, T, H, W], normalised.
    fn forward(&self, clips: &Tensor, mode: Mode) -> Output;

    /// The same without moving running statistics. Where the batch would have moved them, its moments come with the output,
    /// for [`Network::move_statistics`].
    fn forward_apart(&self, clips: &Tensor, mode: Mode) -> (Output, Option<Tensor>) {
        (self.forward(clips, mode), None)
    }

    /// Moves the running statistics through the moments of a batch.
    fn move_statistics(&self, _moments: &Tensor) {}
}

impl Network for Movinet {
    fn forward(&self, clips: &Tensor, mode: Mode) -> Output {
        Movinet::forward(self, clips, mode)
    }

    fn forward_apart(&self, clips: &Tensor, mode: Mode) -> (Output, Option<Tensor>) {
        Movinet::forward_apart(self, clips, mode)
    }

    fn move_statistics(&self, moments: &Tensor) {
        Movinet::move_statistics(self, moments);
    }
}

/// Builds `MoViNets` of one configuration.
#[must_use]
pub fn movinet(config: ModelConfig) -> NetworkBuilder {
    Box::new(move |root| Box::new(Movinet::new(root, &config)))
}

/// Makes a network under the root of a new store; called once for the learner and once for every
/// teacher.
pub type NetworkBuilder = Box<dyn Fn(&nn::Path<'_>) -> Box<dyn Network>>;

/// A network with its parameters, and how to make another of the same shape.
pub struct Learner {
    store: VarStore,
    network: Box<dyn Network>,
    build: NetworkBuilder,
    /// All tensors that are trained unless they are frozen, by name, in sorted order.
    parameters: BTreeMap<String, Tensor>,
    criterion: CriterionName,
}

impl Learner {
    /// A new network on `device` with the parameters that `build` gives it.
    #[must_use]
    pub fn new(build: NetworkBuilder, device: Device, criterion: CriterionName) -> Self {
        let store = VarStore::new(device);
        let network = build(&store.root());
        let parameters = store
            .variables()
            .into_iter()
            .filter(|(_, tensor)| tensor.requires_grad())
            .collect();
        Self {
            store,
            network,
            build,
            parameters,
            criterion,
        }
    }

    /// Where the parameters lie.
    #[must_use]
    pub fn device(&self) -> Device {
        self.store.device()
    }

    /// The classification loss and the probabilities that go with it.
    #[must_use]
    pub fn criterion(&self) -> CriterionName {
        self.criterion
    }

    /// The store of all parameters and running statistics.
    #[must_use]
    pub fn store(&self) -> &VarStore {
        &self.store
    }

    /// The output for `clips`, [N, 3, T, H, W], normalised.
    #[must_use]
    pub fn forward(&self, clips: &Tensor, mode: Mode) -> Output {
        self.network.forward(clips, mode)
    }

    /// [`Learner::forward`] that moves no running statistics; the batch's moments come with the output where it would have.
    #[must_use]
    pub fn forward_apart(&self, clips: &Tensor, mode: Mode) -> (Output, Option<Tensor>) {
        self.network.forward_apart(clips, mode)
    }

    /// Moves the running statistics through the moments of a batch.
    pub fn move_statistics(&self, moments: &Tensor) {
        self.network.move_statistics(moments);
    }

    /// The backbone's parameters by name, frozen ones included, in sorted order.
    pub fn backbone(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named(|name| name.starts_with(BACKBONE))
    }

    /// The backbone's parameters that take gradients now.
    pub fn trainable_backbone(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.backbone().filter(|(_, tensor)| tensor.requires_grad())
    }

    /// The head's parameters that take gradients now.
    pub fn trainable_head(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.named(|name| name.starts_with(HEAD))
            .filter(|(_, tensor)| tensor.requires_grad())
    }

    fn named(&self, wanted: impl Fn(&str) -> bool) -> impl Iterator<Item = (&str, &Tensor)> {
        self.parameters
            .iter()
            .map(|(name, tensor)| (name.as_str(), tensor))
            .filter(move |(name, _)| wanted(name))
    }

    /// Says which parameters take gradients: all, less the backbone's and less batch norm's where
    /// those are frozen.
    pub fn freeze(&self, backbone: bool, batch_norm: bool) {
        for (name, tensor) in &self.parameters {
            let is_norm = BATCH_NORM.iter().any(|end| name.ends_with(end));
            let frozen = (backbone && name.starts_with(BACKBONE)) || (batch_norm && is_norm);
            let _ = tensor.set_requires_grad(!frozen);
        }
    }

    /// Draws the parameters anew, as at the start of a run.
    pub fn restart(&mut self) {
        let fresh = VarStore::new(self.device());
        drop((self.build)(&fresh.root()));
        copy(&fresh, &self.store);
    }

    /// A frozen copy of the network as it is now.
    #[must_use]
    pub fn teacher(&self) -> Teacher {
        let teacher = self.blank_teacher();
        copy(&self.store, &teacher.store);
        teacher
    }

    /// A frozen network with the variables that [`Teacher::state`] gave.
    ///
    /// # Errors
    /// When they are not those of a network of this shape.
    pub fn teacher_of(&self, state: StateDict) -> Result<Teacher, CheckpointError> {
        let teacher = self.blank_teacher();
        checkpoint::restore(&teacher.store, &Snapshot::of(state))?;
        Ok(teacher)
    }

    fn blank_teacher(&self) -> Teacher {
        let store = VarStore::new(self.device());
        let network = (self.build)(&store.root());
        for tensor in store.variables().values() {
            let _ = tensor.set_requires_grad(false);
        }
        Teacher { network, store }
    }
}

/// Copies every tensor of `from` into the one of the same name in `to`.
fn copy(from: &VarStore, to: &VarStore) {
    let mut targets = to.variables();
    no_grad(|| {
        for (name, tensor) in from.variables() {
            if let Some(target) = targets.get_mut(&name) {
                target.copy_(&tensor);
            }
        }
    });
}

/// A frozen copy of a network, always in evaluation mode.
pub struct Teacher {
    network: Box<dyn Network>,
    store: VarStore,
}

impl Teacher {
    /// Its variables by name; they are shared, not copied.
    #[must_use]
    pub fn state(&self) -> StateDict {
        self.store.variables().into_iter().collect()
    }

    /// The copy's output for `clips`, [N, 3, T, H, W], normalised; takes no gradient.
    #[must_use]
    pub fn output(&self, clips: &Tensor) -> Output {
        no_grad(|| self.network.forward(clips, Mode::Evaluate))
    }
}

/// A network small enough for tests: features are a linear map of the clip's mean colour with
/// dropout-free batch norm left out, logits a linear map of the features.
#[cfg(test)]
pub(super) mod fake {
    use super::{Network, NetworkBuilder};
    use crate::model::{Mode, Output};
    use tch::nn::{self, Init};
    use tch::{Kind, Tensor};

    struct Linear {
        features: Tensor,
        norm: Tensor,
        head: Tensor,
        bias: Tensor,
    }

    impl Network for Linear {
        fn forward(&self, clips: &Tensor, mode: Mode) -> Output {
            let colour = clips.mean_dim(&[2i64, 3, 4][..], false, Kind::Float);
            let mut features = colour.matmul(&self.features) * &self.norm;
            if mode != Mode::Evaluate {
                features = features.dropout(0.25, true);
            }
            Output {
                logits: features.matmul(&self.head) + &self.bias,
                features,
            }
        }
    }

    /// Builds networks with 4 features and `classes` classes whose parameters are all `start` at
    /// first.
    pub(crate) fn builder(classes: i64, start: f64) -> NetworkBuilder {
        Box::new(move |root: &nn::Path<'_>| {
            let constant = Init::Const(start);
            let backbone = root / "backbone";
            let norm = &backbone / "norm";
            Box::new(Linear {
                features: backbone.var("features", &[3, 4], constant),
                norm: norm.var("weight", &[4], constant),
                head: (root / "heads").var("weight", &[4, classes], constant),
                bias: (root / "heads").var("bias", &[classes], constant),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Kind;

    fn learner() -> Learner {
        Learner::new(
            fake::builder(2, 0.5),
            Device::Cpu,
            CriterionName::Multilabel,
        )
    }

    fn names<'a>(parameters: impl Iterator<Item = (&'a str, &'a Tensor)>) -> Vec<&'a str> {
        parameters.map(|(name, _)| name).collect()
    }

    #[test]
    fn freezing_takes_parameters_out_and_gives_them_back() {
        let learner = learner();
        assert_eq!(
            names(learner.trainable_backbone()),
            ["backbone.features", "backbone.norm.weight"]
        );
        learner.freeze(false, true);
        assert_eq!(names(learner.trainable_backbone()), ["backbone.features"]);
        learner.freeze(true, false);
        assert_eq!(names(learner.trainable_backbone()), [""; 0]);
        assert_eq!(
            names(learner.trainable_head()),
            ["heads.bias", "heads.weight"]
        );
        learner.freeze(false, false);
        assert_eq!(names(learner.trainable_backbone()).len(), 2);
    }

    #[test]
    fn a_teacher_stays_as_it_was_and_takes_no_gradient() {
        let learner = learner();
        let clips = Tensor::ones([1, 3, 2, 4, 4], (Kind::Float, Device::Cpu));
        let teacher = learner.teacher();
        let before = teacher.output(&clips);
        no_grad(|| {
            for (_, tensor) in learner.trainable_backbone() {
                let _ = tensor.shallow_clone().g_add_scalar_(1.0);
            }
        });
        let after = teacher.output(&clips);
        assert_eq!(before.logits, after.logits);
        assert!(!after.logits.requires_grad());
        let moved = learner.forward(&clips, Mode::Evaluate);
        assert_ne!(moved.logits, after.logits);
        let again = learner.teacher_of(teacher.state()).unwrap();
        assert_eq!(again.output(&clips).logits, before.logits);
        assert!(learner.teacher_of(StateDict::new()).is_err());
    }

    #[test]
    fn a_restart_brings_the_first_parameters_back() {
        let mut learner = learner();
        no_grad(|| {
            let _ = learner.parameters["heads.bias"]
                .shallow_clone()
                .g_add_scalar_(1.0);
        });
        learner.restart();
        assert!((learner.parameters["heads.bias"].double_value(&[0]) - 0.5).abs() < 1e-9);
        assert!(learner.parameters["heads.bias"].requires_grad());
    }
}
