//! Train on what stays, and let what leaves be forgotten by itself. Cost: `epochs` passes over R.

use super::clips::Clips;
use super::descent::{Descent, Recipe, StepSize, retain};
use super::{Report, Unlearning};
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::UnlearnName;

/// The method with its settings.
pub struct Finetune {
    /// How it steps.
    pub recipe: Recipe,
}

impl Finetune {
    /// The defaults.
    #[must_use]
    pub fn new(step: StepSize) -> Self {
        Self {
            recipe: Recipe::sgd(0.01, 10, step),
        }
    }
}

impl Unlearning for Finetune {
    fn name(&self) -> UnlearnName {
        UnlearnName::Finetune
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        let mut descent = Descent::new(learner, &self.recipe, clips.task());
        retain(&mut descent, clips, &self.recipe, |_| 1.0)?;
        Ok(Report {
            losses: descent.losses,
            ..Report::default()
        })
    }
}
