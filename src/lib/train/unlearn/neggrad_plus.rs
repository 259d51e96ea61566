//! `NegGrad`+ (Kurmanji et al., <https://arxiv.org/abs/2302.09880>): descend the loss of what stays
//! and climb that of what leaves, in one step. Cost: `epochs` times the larger of both numbers of
//! batches, twice.

use tch::{Kind, Tensor};

use super::clips::{Batch, Clips, Set};
use super::descent::{Descent, Recipe, StepSize, classification};
use super::{Report, Unlearning};
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::UnlearnName;

/// The method with its settings.
pub struct NegGradPlus {
    /// How it steps.
    pub recipe: Recipe,
    /// The weight of what stays; what leaves has the rest.
    pub alpha: f64,
    /// The pull back to the weights before.
    pub anchor: f64,
}

impl NegGradPlus {
    /// The defaults.
    #[must_use]
    pub fn new(step: StepSize) -> Self {
        Self {
            recipe: Recipe::sgd(0.01, 5, step),
            alpha: 0.95,
            anchor: 0.0,
        }
    }

    fn epoch(
        &self,
        descent: &mut Descent<'_>,
        clips: &dyn Clips,
        origin: &[Tensor],
    ) -> Result<(), TrainError> {
        let epoch = descent.epoch;
        let batches = clips.batches(Set::Forget).max(clips.batches(Set::Retain));
        let cycle = |set| {
            (0..)
                .flat_map(move |_: u64| clips.pass(set, epoch))
                .take(batches)
        };
        let (mut forget, mut retain) = (cycle(Set::Forget), cycle(Set::Retain));
        let chunk = |of: &mut dyn Iterator<Item = Result<Batch, TrainError>>, size| {
            of.take(size).collect::<Result<Vec<_>, _>>()
        };
        for _ in 0..batches.div_ceil(descent.accumulation()) {
            // What leaves goes forward and backward before what stays moves the running statistics.
            let leaves = chunk(&mut forget, descent.accumulation())?;
            let stays = chunk(&mut retain, descent.accumulation())?;
            descent.begin();
            let climb = classification(Mode::TrainFrozenNorms);
            let mut value = descent.mean(&leaves, self.alpha - 1.0, &climb)?;
            value += descent.mean(&stays, self.alpha, &classification(Mode::Train))?;
            if self.anchor != 0.0 {
                value += self.pull(descent, origin)?;
            }
            descent.step(self.recipe.rate, value);
        }
        Ok(())
    }

    fn pull(&self, descent: &Descent<'_>, origin: &[Tensor]) -> Result<f64, TrainError> {
        let squares = descent.parameters().iter().zip(origin);
        let terms = squares.map(|((_, now), before)| (now - before).square().sum(None::<Kind>));
        let sum: Tensor = terms.sum();
        let term = sum * (self.alpha * self.anchor / 2.0);
        term.f_backward()?;
        Ok(term.double_value(&[]))
    }
}

impl Unlearning for NegGradPlus {
    fn name(&self) -> UnlearnName {
        UnlearnName::NegGradPlus
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        let mut descent = Descent::new(learner, &self.recipe, clips.task());
        let origin: Vec<Tensor> = descent
            .parameters()
            .iter()
            .map(|(_, tensor)| tensor.detach().copy())
            .collect();
        for epoch in 0..self.recipe.epochs {
            descent.epoch = epoch;
            self.epoch(&mut descent, clips, &origin)?;
        }
        Ok(Report {
            losses: descent.losses,
            ..Report::default()
        })
    }
}
