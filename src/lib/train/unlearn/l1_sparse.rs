//! Train on what stays with a penalty on the sum of magnitudes (Jia et al.,
//! <https://arxiv.org/abs/2304.04934>), which fades out. Cost: `epochs` passes over R.

use tch::{Kind, Tensor};

use super::clips::{Batch, Clips, Set};
use super::descent::{Descent, Recipe, StepSize, classification, trainable};
use super::{Report, Unlearning};
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::UnlearnName;
use crate::unlearning::rates;

/// The method with its settings.
pub struct L1Sparse {
    /// How it steps.
    pub recipe: Recipe,
    /// The penalty's weight in the first epoch.
    pub l1: f64,
    /// The last epochs, which have none.
    pub without_l1: u32,
}

impl L1Sparse {
    /// The defaults.
    #[must_use]
    pub fn new(step: StepSize) -> Self {
        Self {
            recipe: Recipe::sgd(0.01, 10, step),
            l1: 5e-4,
            without_l1: 2,
        }
    }
}

impl Unlearning for L1Sparse {
    fn name(&self) -> UnlearnName {
        UnlearnName::L1Sparse
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        let mut descent = Descent::new(learner, &self.recipe, clips.task());
        let parameters = trainable(learner);
        for epoch in 0..self.recipe.epochs {
            descent.epoch = epoch;
            let weight = self.l1 * rates::penalty(epoch, self.recipe.epochs, self.without_l1);
            let loss = |learner: &Learner, batch: &Batch| {
                let magnitudes = parameters.iter().map(|(_, t)| t.abs().sum(None::<Kind>));
                classification(Mode::Train)(learner, batch) + magnitudes.sum::<Tensor>() * weight
            };
            descent.pass(clips.pass(Set::Retain, epoch), self.recipe.rate, &loss)?;
        }
        Ok(Report {
            losses: descent.losses,
            ..Report::default()
        })
    }
}
