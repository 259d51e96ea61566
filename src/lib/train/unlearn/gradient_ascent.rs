//! Climb the loss of what leaves (Thudi et al., <https://arxiv.org/abs/2109.13398>) until it is
//! that of held-out clips like it. Cost: an evaluation of H and one of F, then up to `epochs` passes
//! over F with five evaluations of F each.

use super::clips::{Clips, Set};
use super::descent::{Descent, Recipe, StepSize, classification};
use super::{Report, Unlearning, measured};
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::{CriterionName, UnlearnName};

/// Looks at the loss in a pass.
const CHECKS_A_PASS: usize = 5;

/// The method with its settings.
pub struct GradientAscent {
    /// How it steps.
    pub recipe: Recipe,
    /// The loss to stop at; `None` is that of held-out clips like F, or that of an even guess
    /// without them.
    pub threshold: Option<f64>,
    /// Steps between two looks at the loss; `None` is a fifth of a pass.
    pub check_every: Option<usize>,
}

impl GradientAscent {
    /// The defaults.
    #[must_use]
    pub fn new(step: StepSize) -> Self {
        Self {
            recipe: Recipe::sgd(1e-4, 5, step),
            threshold: None,
            check_every: None,
        }
    }

    fn target(&self, learner: &Learner, clips: &dyn Clips) -> Result<f64, TrainError> {
        if let Some(threshold) = self.threshold {
            return Ok(threshold);
        }
        if let Some(loss) = measured::loss(learner, clips, Set::HeldOut)? {
            return Ok(loss);
        }
        let classes = match learner.criterion() {
            CriterionName::Multilabel => 2.0,
            CriterionName::Multiclass => classes(learner, clips)?,
        };
        Ok(f64::ln(classes))
    }
}

/// The number of classes, as the model's first answer has it.
fn classes(learner: &Learner, clips: &dyn Clips) -> Result<f64, TrainError> {
    let first = clips.in_order(Set::Forget, Some(1)).next().transpose()?;
    let logits = first.map(|batch| learner.forward(&batch.clips, Mode::Evaluate).logits);
    Ok(logits.map_or(1.0, |logits| logits.size()[1] as f64))
}

impl Unlearning for GradientAscent {
    fn name(&self) -> UnlearnName {
        UnlearnName::GradientAscent
    }

    fn runs_without_retained(&self) -> bool {
        true
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        let target = self.target(learner, clips)?;
        let fifth = clips.batches(Set::Forget).div_ceil(CHECKS_A_PASS).max(1);
        let every = self.check_every.unwrap_or(fifth).max(1);
        let mut descent = Descent::new(learner, &self.recipe, clips.task());
        let ascent = classification(Mode::TrainFrozenNorms);
        let mut report = Report {
            target: Some(target),
            ..Report::default()
        };
        let reached = |report: &mut Report| -> Result<bool, TrainError> {
            let loss = measured::loss(learner, clips, Set::Forget)?;
            report.checks.extend(loss);
            report.stopped = loss.is_some_and(|loss| loss >= target);
            Ok(report.stopped)
        };
        if reached(&mut report)? {
            return Ok(report);
        }
        'passes: for epoch in 0..self.recipe.epochs {
            descent.epoch = epoch;
            let mut batches = clips.pass(Set::Forget, epoch).peekable();
            while batches.peek().is_some() {
                let chunk = batches.by_ref().take(descent.accumulation());
                let chunk: Vec<_> = chunk.collect::<Result<_, _>>()?;
                descent.begin();
                let value = descent.mean(&chunk, -1.0, &ascent)?;
                descent.step(self.recipe.rate, value);
                if descent.losses.len().is_multiple_of(every) && reached(&mut report)? {
                    break 'passes;
                }
            }
        }
        report.losses = descent.losses;
        Ok(report)
    }
}
