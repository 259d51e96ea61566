//! MSG: draw anew the kernels' elements whose gradients are least in conflict between what stays
//! and what leaves, then train on what stays (the kgltop2 entry of the NeurIPS 2023 unlearning
//! challenge). Cost: a pass over F and over as many clips of R, then `epochs` over R.

use std::collections::BTreeMap;

use tch::{Tensor, no_grad};

use super::clips::{Clips, Set};
use super::descent::{Adjust, Descent, Recipe, StepSize, retain};
use super::{Report, Unlearning, measured};
use crate::model::initial;
use crate::random::stream;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::UnlearnName;
use crate::unlearning::{masks, rates};

/// Whether a tensor of this name is one whose elements are drawn anew.
#[must_use]
pub fn is_redrawn(name: &str) -> bool {
    name.starts_with("backbone.") && name.ends_with(".conv3d.weight")
}

/// Fresh values for a tensor of this name and shape.
pub type Redraw = Box<dyn Fn(&str, &[i64]) -> Tensor>;

/// The method with its settings.
pub struct Msg {
    /// How it steps.
    pub recipe: Recipe,
    /// The share of each tensor that is drawn anew.
    pub share: f64,
    /// What the gradients of kept elements of those tensors are multiplied by.
    pub kept_factor: f64,
    /// Which tensors are drawn anew.
    pub redrawn: fn(&str) -> bool,
    /// Where the values come from.
    pub redraw: Redraw,
}

impl Msg {
    /// The defaults.
    #[must_use]
    pub fn new(step: StepSize, seed: u64) -> Self {
        Self {
            recipe: Recipe::sgd(1e-3, 5, step),
            share: 0.3,
            kept_factor: 0.1,
            redrawn: is_redrawn,
            redraw: Box::new(move |name, shape| {
                initial::kaiming_from(stream(seed, &format!("msg redraw {name}"), &[]), shape)
            }),
        }
    }

    /// Draws anew and gives the factor of each gradient from then on.
    fn draw(
        &self,
        learner: &Learner,
        clips: &dyn Clips,
    ) -> Result<BTreeMap<String, Tensor>, TrainError> {
        let stays = measured::gradient(learner, clips, Set::RetainSample)?;
        let leaves = measured::gradient(learner, clips, Set::Forget)?;
        let mut factors = BTreeMap::new();
        for (name, mut tensor) in super::descent::trainable(learner) {
            if !(self.redrawn)(&name) {
                continue;
            }
            let conflict = measured::values(&(&stays[&name] - &leaves[&name]))?;
            let mask = measured::mask(&masks::smallest(&conflict, self.share), &tensor);
            let fresh = (self.redraw)(&name, &tensor.size())
                .to_device(tensor.device())
                .to_kind(tensor.kind());
            no_grad(|| {
                let mixed = fresh.where_self(&mask.gt(0.5), &tensor);
                tensor.copy_(&mixed);
            });
            factors.insert(name, &mask + (1.0 - &mask) * self.kept_factor);
        }
        Ok(factors)
    }
}

/// Multiplies the gradients of these tensors.
fn scaled(factors: BTreeMap<String, Tensor>) -> Adjust {
    Box::new(move |parameters| {
        no_grad(|| {
            for (name, tensor) in parameters {
                if let Some(factor) = factors.get(name) {
                    let mut gradient = tensor.grad();
                    if gradient.defined() {
                        let _ = gradient.g_mul_(factor);
                    }
                }
            }
        });
    })
}

impl Unlearning for Msg {
    fn name(&self) -> UnlearnName {
        UnlearnName::Msg
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        let factors = self.draw(learner, clips)?;
        let descent = Descent::new(learner, &self.recipe, clips.task());
        let mut descent = descent.adjusted(scaled(factors));
        let epochs = self.recipe.epochs;
        retain(&mut descent, clips, &self.recipe, |epoch| {
            rates::up_and_down(epoch + 1, epochs)
        })?;
        Ok(Report {
            losses: descent.losses,
            ..Report::default()
        })
    }
}
