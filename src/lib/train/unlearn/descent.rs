//! The steps that methods make.

use tch::Tensor;

use super::clips::{Batch, Batches};
use super::sgd::Sgd;
use crate::choice::choice;
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::optimizer::Optimizer;
use crate::train::settings::OptimizerName;
use crate::train::trouble::finite;

/// Clips a step that the default rates are for.
const CLIPS_OF_DEFAULT_RATES: f64 = 128.0;

choice! {
    /// The update rule of a method.
    #[derive(Default)]
    pub enum RuleName: "update rule" {
        /// Gradient descent with momentum.
        #[default]
        Sgd = "sgd",
        /// The run's Adam.
        Adam = "adam",
    }
}

/// What one step is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StepSize {
    /// Clips of a batch.
    pub batch_size: usize,
    /// Batches of a step, at least 1.
    pub batches: usize,
}

/// How a method steps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Recipe {
    /// The update rule.
    pub rule: RuleName,
    /// The learning rate as it stands.
    pub rate: f64,
    /// Of gradient descent.
    pub momentum: f64,
    /// Added to the gradient.
    pub weight_decay: f64,
    /// Passes.
    pub epochs: u32,
    /// Batches whose gradients are averaged for one step.
    pub accumulation: usize,
}

impl Recipe {
    /// Gradient descent with the defaults of all methods; `rate` is for steps of 128 clips and
    /// scaled to those of `step`.
    #[must_use]
    pub fn sgd(rate: f64, epochs: u32, step: StepSize) -> Self {
        Self {
            rule: RuleName::Sgd,
            rate: rate * (step.batch_size * step.batches) as f64 / CLIPS_OF_DEFAULT_RATES,
            momentum: 0.9,
            weight_decay: 5e-4,
            epochs,
            accumulation: step.batches,
        }
    }
}

enum Rule {
    Sgd(Sgd),
    /// Its groups: the backbone, the head, those without a parameter left out.
    Adam(Box<Optimizer>),
}

/// What is done to the gradients of a step, by parameter, before the weights move.
pub(super) type Adjust = Box<dyn Fn(&[(String, Tensor)])>;

/// One optimizer over the trainable parameters, and what it minimised.
pub(super) struct Descent<'a> {
    pub(super) learner: &'a Learner,
    pub(super) losses: Vec<f64>,
    pub(super) epoch: u32,
    task: usize,
    rule: Rule,
    parameters: Vec<(String, Tensor)>,
    accumulation: usize,
    adjust: Option<Adjust>,
    /// The rate of the head's parameters, where it is another; of Adam alone.
    head_rate: Option<f64>,
    backbone_moves: bool,
}

/// The parameters that take gradients now, in sorted order.
pub(super) fn trainable(learner: &Learner) -> Vec<(String, Tensor)> {
    let all = learner.trainable_backbone().chain(learner.trainable_head());
    all.map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
        .collect()
}

impl<'a> Descent<'a> {
    pub(super) fn new(learner: &'a Learner, recipe: &Recipe, task: usize) -> Self {
        let parameters = trainable(learner);
        let tensors = || parameters.iter().map(|(_, t)| t.shallow_clone()).collect();
        let backbone: Vec<Tensor> = learner
            .trainable_backbone()
            .map(|(_, t)| t.shallow_clone())
            .collect();
        let backbone_moves = !backbone.is_empty();
        let head = learner.trainable_head();
        let head = head.map(|(_, t)| t.shallow_clone()).collect();
        let rule = match recipe.rule {
            RuleName::Sgd => Rule::Sgd(Sgd::new(recipe.momentum, recipe.weight_decay, tensors())),
            RuleName::Adam => Rule::Adam(Box::new(Optimizer::new(
                OptimizerName::Adam,
                recipe.weight_decay,
                vec![backbone, head],
            ))),
        };
        Self {
            learner,
            losses: Vec::new(),
            epoch: 0,
            task,
            rule,
            parameters,
            accumulation: recipe.accumulation.max(1),
            adjust: None,
            head_rate: None,
            backbone_moves,
        }
    }

    /// Has Adam move the head's parameters at a rate of their own.
    pub(super) fn with_head_rate(mut self, rate: f64) -> Self {
        self.head_rate = Some(rate);
        self
    }

    /// Has `adjust` change the gradients before every step.
    pub(super) fn adjusted(mut self, adjust: Adjust) -> Self {
        self.adjust = Some(adjust);
        self
    }

    /// One pass: a step for each `accumulation` batches, on the mean of `loss`.
    pub(super) fn pass(
        &mut self,
        batches: Batches<'_>,
        rate: f64,
        loss: &dyn Fn(&Learner, &Batch) -> Tensor,
    ) -> Result<(), TrainError> {
        let mut batches = batches.peekable();
        while batches.peek().is_some() {
            let chunk: Vec<Batch> = batches
                .by_ref()
                .take(self.accumulation)
                .collect::<Result<_, _>>()?;
            self.begin();
            let value = self.mean(&chunk, 1.0, loss)?;
            self.step(rate, value);
        }
        Ok(())
    }

    /// Forgets all gradients.
    pub(super) fn begin(&self) {
        for (_, tensor) in &self.parameters {
            tensor.shallow_clone().zero_grad();
        }
    }

    /// Adds `weight` times the gradient of the mean of `loss` over `chunk`, and gives `weight`
    /// times that mean.
    pub(super) fn mean(
        &self,
        chunk: &[Batch],
        weight: f64,
        loss: &dyn Fn(&Learner, &Batch) -> Tensor,
    ) -> Result<f64, TrainError> {
        let mut sum = 0.0;
        for batch in chunk {
            let term = loss(self.learner, batch) * (weight / chunk.len() as f64);
            sum += finite(term.double_value(&[]), self.task, self.epoch)?;
            term.f_backward()?;
        }
        Ok(sum)
    }

    /// Moves the weights.
    pub(super) fn step(&mut self, rate: f64, minimised: f64) {
        if let Some(adjust) = &self.adjust {
            adjust(&self.parameters);
        }
        match &mut self.rule {
            Rule::Sgd(sgd) => sgd.step(rate),
            Rule::Adam(adam) => {
                let rates = [rate, self.head_rate.unwrap_or(rate)];
                adam.step(&rates[usize::from(!self.backbone_moves)..]);
            }
        }
        self.losses.push(minimised);
    }

    pub(super) fn accumulation(&self) -> usize {
        self.accumulation
    }

    pub(super) fn parameters(&self) -> &[(String, Tensor)] {
        &self.parameters
    }
}

/// The run's classification loss of a batch.
pub(super) fn classification(mode: Mode) -> impl Fn(&Learner, &Batch) -> Tensor {
    move |learner, batch| {
        let logits = learner.forward(&batch.clips, mode).logits;
        learner.criterion().loss(&logits, &batch.labels)
    }
}

/// Passes over what stays at the rates of `factor` (of the epoch, from 0).
pub(super) fn retain(
    descent: &mut Descent<'_>,
    clips: &dyn super::Clips,
    recipe: &Recipe,
    factor: impl Fn(u32) -> f64,
) -> Result<(), TrainError> {
    for epoch in 0..recipe.epochs {
        descent.epoch = epoch;
        let batches = clips.pass(super::Set::Retain, epoch);
        let rate = recipe.rate * factor(epoch);
        descent.pass(batches, rate, &classification(Mode::Train))?;
    }
    Ok(())
}
