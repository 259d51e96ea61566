//! SCRUB (Kurmanji et al., <https://arxiv.org/abs/2302.09880>): move away from the old model on
//! what leaves and stay with it on what stays; SCRUB+R then goes back to the epoch whose error on
//! what leaves is that of held-out clips like it. Cost: `epochs` passes over R, `msteps` over F,
//! and with going back an evaluation of F and H an epoch and a copy of the weights of each.

use super::clips::{Clips, Set};
use super::descent::{Descent, Recipe, StepSize};
use super::distance::distance;
use super::{Report, Snapshot, Unlearning, measured};
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::UnlearnName;
use crate::unlearning::rates;

/// The method with its settings.
pub struct Scrub {
    /// How it steps.
    pub recipe: Recipe,
    /// The weight of the classification loss of what stays.
    pub gamma: f64,
    /// The weight of the distance to the old model on what stays.
    pub alpha: f64,
    /// The temperature of both distances.
    pub temperature: f64,
    /// Epochs, from 1, that begin with a pass over what leaves.
    pub msteps: u32,
    /// Epochs after which the rate decays.
    pub decay_after: Vec<u32>,
    /// What it is multiplied by.
    pub decay: f64,
    /// Whether to go back at the end.
    pub rewind: bool,
}

impl Scrub {
    /// The defaults.
    #[must_use]
    pub fn new(step: StepSize, rewind: bool) -> Self {
        Self {
            recipe: Recipe::sgd(5e-4, 5, step),
            gamma: 1.0,
            alpha: 0.5,
            temperature: 2.0,
            msteps: 3,
            decay_after: vec![3, 5, 9],
            decay: 0.1,
            rewind,
        }
    }
}

impl Unlearning for Scrub {
    fn name(&self) -> UnlearnName {
        if self.rewind {
            UnlearnName::ScrubR
        } else {
            UnlearnName::Scrub
        }
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        let teacher = learner.teacher();
        let criterion = learner.criterion();
        let apart = |learner: &Learner, batch: &super::Batch, mode| {
            let student = learner.forward(&batch.clips, mode).logits;
            let old = teacher.output(&batch.clips).logits;
            let far = distance(criterion, &student, &old, self.temperature);
            (student, far)
        };
        let away = |learner: &Learner, batch: &super::Batch| {
            -apart(learner, batch, Mode::TrainFrozenNorms).1
        };
        let stay = |learner: &Learner, batch: &super::Batch| {
            let (student, far) = apart(learner, batch, Mode::Train);
            criterion.loss(&student, &batch.labels) * self.gamma + far * self.alpha
        };
        let mut descent = Descent::new(learner, &self.recipe, clips.task());
        let mut report = Report::default();
        let mut epochs = Vec::new();
        if self.rewind {
            look(learner, clips, &mut report)?;
        }
        for epoch in 1..=self.recipe.epochs {
            descent.epoch = epoch;
            let rate = self.recipe.rate * rates::milestones(epoch, &self.decay_after, self.decay);
            if epoch <= self.msteps {
                descent.pass(clips.pass(Set::Forget, epoch - 1), rate, &away)?;
            }
            descent.pass(clips.pass(Set::Retain, epoch - 1), rate, &stay)?;
            if self.rewind {
                look(learner, clips, &mut report)?;
                epochs.push(Snapshot::of(learner));
            }
        }
        report.rewound_epoch = rates::rewind(&report.forget_errors, &report.heldout_errors);
        if let Some(epoch) = report.rewound_epoch {
            epochs[epoch - 1].put_back(learner);
        }
        report.losses = descent.losses;
        Ok(report)
    }
}

/// Notes the errors that going back is decided on.
fn look(learner: &Learner, clips: &dyn Clips, report: &mut Report) -> Result<(), TrainError> {
    let error = |set| measured::error(learner, clips, set);
    report.forget_errors.extend(error(Set::Forget)?);
    report.heldout_errors.extend(error(Set::HeldOut)?);
    Ok(())
}
