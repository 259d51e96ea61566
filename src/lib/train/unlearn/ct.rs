//! CT: transpose every kernel in space, then train on what stays (an entry of the NeurIPS 2023
//! unlearning challenge). Cost: `epochs` passes over R.

use tch::{Tensor, no_grad};

use super::clips::Clips;
use super::descent::{Descent, Recipe, StepSize, retain, trainable};
use super::{Report, Unlearning};
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::UnlearnName;
use crate::unlearning::rates;

/// The method with its settings.
pub struct Ct {
    /// How it steps.
    pub recipe: Recipe,
}

impl Ct {
    /// The defaults.
    #[must_use]
    pub fn new(step: StepSize) -> Self {
        Self {
            recipe: Recipe::sgd(1e-3, 3, step),
        }
    }
}

/// The transpose in the last two axes of a kernel [O, I, t, h, w] with h = w > 1; `None` of any
/// other tensor.
#[must_use]
pub fn transposed(tensor: &Tensor) -> Option<Tensor> {
    match tensor.size()[..] {
        [_, _, _, height, width] if height == width && width > 1 => {
            Some(tensor.transpose(3, 4).contiguous())
        }
        _ => None,
    }
}

impl Unlearning for Ct {
    fn name(&self) -> UnlearnName {
        UnlearnName::Ct
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        no_grad(|| {
            for (_, mut tensor) in trainable(learner) {
                if let Some(swapped) = transposed(&tensor) {
                    tensor.copy_(&swapped);
                }
            }
        });
        let mut descent = Descent::new(learner, &self.recipe, clips.task());
        let epochs = self.recipe.epochs;
        retain(&mut descent, clips, &self.recipe, |epoch| {
            rates::cosine(epoch, epochs)
        })?;
        Ok(Report {
            losses: descent.losses,
            ..Report::default()
        })
    }
}
