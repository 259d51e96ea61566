//! Train on everything with wrong labels for what leaves (Golatkar et al.,
//! <https://arxiv.org/abs/1911.04933>), and `SalUn` (Fan et al.,
//! <https://arxiv.org/abs/2310.12508>), which does so on the weights alone that matter to what
//! leaves. Cost: `epochs` passes over F and R; `SalUn` one more over F.

use std::collections::BTreeMap;

use tch::{Tensor, no_grad};

use super::clips::{Batch, Clips, Set};
use super::descent::{Adjust, Descent, Recipe, StepSize};
use super::{Report, Unlearning, measured};
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::UnlearnName;
use crate::unlearning::masks;

/// The method with its settings.
pub struct RandomLabel {
    /// How it steps.
    pub recipe: Recipe,
}

impl RandomLabel {
    /// The defaults.
    #[must_use]
    pub fn new(step: StepSize) -> Self {
        Self {
            recipe: Recipe::sgd(0.01, 5, step),
        }
    }
}

impl Unlearning for RandomLabel {
    fn name(&self) -> UnlearnName {
        UnlearnName::RandomLabel
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        let descent = Descent::new(learner, &self.recipe, clips.task());
        mislead(descent, clips, &self.recipe)
    }
}

/// The passes over F and R with wrong labels for F. The labels of the data set stay as they are.
fn mislead(
    mut descent: Descent<'_>,
    clips: &dyn Clips,
    recipe: &Recipe,
) -> Result<Report, TrainError> {
    for epoch in 0..recipe.epochs {
        descent.epoch = epoch;
        let wrong = clips.wrong_labels(epoch);
        let loss = |learner: &Learner, batch: &Batch| {
            let logits = learner.forward(&batch.clips, Mode::Train).logits;
            learner.criterion().loss(&logits, &labels(batch, &wrong))
        };
        descent.pass(clips.pass(Set::Union, epoch), recipe.rate, &loss)?;
    }
    Ok(Report {
        losses: descent.losses,
        ..Report::default()
    })
}

/// The labels of a batch of a union, F's replaced.
fn labels(batch: &Batch, wrong: &[i64]) -> Tensor {
    let at = |(i, &place): (usize, &usize)| {
        let row = i64::try_from(i).unwrap_or(i64::MAX);
        wrong
            .get(place)
            .copied()
            .unwrap_or_else(|| batch.labels.int64_value(&[row]))
    };
    let labels: Vec<i64> = batch.places.iter().enumerate().map(at).collect();
    Tensor::from_slice(&labels).to_device(batch.labels.device())
}

/// The method with its settings.
pub struct SalUn {
    /// How it steps.
    pub recipe: Recipe,
    /// The share of the weights that may move.
    pub share: f64,
}

impl SalUn {
    /// The defaults.
    #[must_use]
    pub fn new(step: StepSize) -> Self {
        Self {
            recipe: Recipe::sgd(0.01, 5, step),
            share: 0.5,
        }
    }
}

impl Unlearning for SalUn {
    fn name(&self) -> UnlearnName {
        UnlearnName::SalUn
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        let gradients = measured::gradient(learner, clips, Set::Forget)?;
        let flat = gradients
            .iter()
            .map(|(name, tensor)| Ok((name.clone(), measured::values(tensor)?)));
        let chosen = masks::largest(&flat.collect::<Result<_, TrainError>>()?, self.share);
        let tensor = |(name, mask): (String, Vec<bool>)| {
            let mask = measured::mask(&mask, &gradients[&name]);
            (name, mask)
        };
        let chosen: BTreeMap<String, Tensor> = chosen.into_iter().map(tensor).collect();
        // With the decay inside the masked gradient, what is outside the mask has a gradient of 0
        // in every step: neither it nor its moments ever move.
        let steps = Recipe {
            weight_decay: 0.0,
            ..self.recipe
        };
        let adjust = masked(chosen, self.recipe.weight_decay);
        let descent = Descent::new(learner, &steps, clips.task()).adjusted(adjust);
        mislead(descent, clips, &steps)
    }
}

/// Makes every gradient g into m (g + decay theta).
fn masked(masks: BTreeMap<String, Tensor>, decay: f64) -> Adjust {
    Box::new(move |parameters| {
        no_grad(|| {
            for (name, tensor) in parameters {
                let mut gradient = tensor.grad();
                if gradient.defined() {
                    let decayed = (&gradient + tensor * decay) * &masks[name];
                    gradient.copy_(&decayed);
                }
            }
        });
    })
}
