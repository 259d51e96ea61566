//! Bad teaching (Chundawat et al., <https://arxiv.org/abs/2205.08096>): learn what leaves from a
//! new network and a share of what stays from the old model. Cost: `epochs` passes over F and that
//! share of R.

use tch::{Kind, Tensor};

use super::clips::{Batch, Clips, Set};
use super::descent::{Descent, Recipe, RuleName, StepSize};
use super::distance::distance;
use super::{Report, Unlearning};
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::{Learner, Teacher};
use crate::train::settings::UnlearnName;

/// The share of what stays that is looked at.
pub const RETAINED_SHARE: f64 = 0.3;

/// The method with its settings.
pub struct BadTeacher {
    /// How it steps.
    pub recipe: Recipe,
    /// A network with fresh weights.
    pub new_network: Teacher,
}

impl BadTeacher {
    /// The defaults.
    #[must_use]
    pub fn new(new_network: Teacher, step: StepSize) -> Self {
        Self {
            recipe: Recipe {
                rule: RuleName::Adam,
                rate: 1e-4,
                momentum: 0.0,
                weight_decay: 0.0,
                epochs: 1,
                accumulation: step.batches,
            },
            new_network,
        }
    }
}

impl Unlearning for BadTeacher {
    fn name(&self) -> UnlearnName {
        UnlearnName::BadTeacher
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        let old = learner.teacher();
        let leaving = clips.count(Set::Forget);
        let loss = |learner: &Learner, batch: &Batch| {
            let leaves: Vec<bool> = batch.places.iter().map(|&place| place < leaving).collect();
            let leaves = Tensor::from_slice(&leaves)
                .to_device(batch.labels.device())
                .to_kind(Kind::Bool)
                .unsqueeze(-1);
            let bad = self.new_network.output(&batch.clips).logits;
            let teacher = bad.where_self(&leaves, &old.output(&batch.clips).logits);
            let student = learner.forward(&batch.clips, Mode::Train).logits;
            distance(learner.criterion(), &student, &teacher, 1.0)
        };
        let mut descent = Descent::new(learner, &self.recipe, clips.task());
        for epoch in 0..self.recipe.epochs {
            descent.epoch = epoch;
            let batches = clips.pass(Set::UnionWithSample, epoch);
            descent.pass(batches, self.recipe.rate, &loss)?;
        }
        Ok(Report {
            losses: descent.losses,
            ..Report::default()
        })
    }
}
