//! Elastic Weight Consolidation (Kirkpatrick et al., <https://arxiv.org/abs/1612.00796>), as the seed has it: each backbone
//! parameter is held to its old value as strongly as the Fisher information says that it mattered. The head is free.

use std::collections::BTreeMap;

use tch::{Kind, Tensor, no_grad};

use super::{Approach, DeviceBatch, DeviceBatches, Step};
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::{CriterionName, FisherEstimate, Settings};

/// A tensor for each backbone parameter, by name.
pub type Fisher = BTreeMap<String, Tensor>;

/// Holds weights to their old values by their Fisher information.
pub struct Ewc {
    lambda: f64,
    alpha: f64,
    estimate: FisherEstimate,
    counted_twice: bool,
    fisher: Fisher,
    /// The best weights of the task before.
    old: Fisher,
}

impl Ewc {
    /// The approach with `ewc_lambda`, `ewc_alpha` and `fisher` of `settings`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            lambda: settings.ewc_lambda,
            alpha: settings.ewc_alpha,
            estimate: settings.fisher,
            counted_twice: settings.compat.ewc_penalty_counted_twice,
            fisher: Fisher::new(),
            old: Fisher::new(),
        }
    }

    fn remember(&mut self, learner: &Learner) {
        self.old = learner
            .backbone()
            .map(|(name, tensor)| (name.to_owned(), tensor.detach().copy()))
            .collect();
    }
}

impl Approach for Ewc {
    fn penalty(&self, learner: &Learner, _step: &Step<'_>) -> Option<Tensor> {
        let q = quadratic(learner.backbone(), &self.fisher, &self.old)?;
        // The seed adds q itself to the loss and lambda q on top.
        let factor = if self.counted_twice {
            1.0 + self.lambda
        } else {
            self.lambda
        };
        Some(q * factor)
    }

    fn wants_batches(&self) -> bool {
        true
    }

    fn after_task(
        &mut self,
        learner: &Learner,
        _task: usize,
        batches: &mut DeviceBatches<'_>,
    ) -> Result<(), TrainError> {
        let new = estimate(learner, self.estimate, batches)?;
        for (name, new) in new {
            let merged = match self.fisher.get(&name) {
                Some(old) => old * self.alpha + new * (1.0 - self.alpha),
                None => new,
            };
            self.fisher.insert(name, merged);
        }
        self.remember(learner);
        Ok(())
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        self.fisher
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
            .collect()
    }

    fn restore(&mut self, learner: &Learner, state: Vec<(String, Tensor)>) {
        self.fisher = state
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_device(learner.device())))
            .collect();
        self.remember(learner);
    }
}

/// Half the sum, over the parameters that have both, of F (theta - old)^2: a scalar, or nothing before the first Fisher.
pub fn quadratic<'a>(
    parameters: impl Iterator<Item = (&'a str, &'a Tensor)>,
    fisher: &Fisher,
    old: &Fisher,
) -> Option<Tensor> {
    let (mut information, mut differences) = (Vec::new(), Vec::new());
    for (name, parameter) in parameters {
        if let (Some(f), Some(old)) = (fisher.get(name), old.get(name)) {
            information.push(f.reshape([-1]));
            differences.push((parameter - old).reshape([-1]));
        }
    }
    if information.is_empty() {
        return None;
    }
    let difference = Tensor::cat(&differences, 0);
    Some((Tensor::cat(&information, 0) * difference.square()).sum(Kind::Float) * 0.5)
}

/// The Fisher information of the backbone parameters that take gradients, in evaluation mode over `batches`.
///
/// `batch`: sum over batches of b (gradient of the batch's mean loss)^2, divided by the clips seen. `per-sample`: mean over
/// clips of the squared gradient. The loss is that of [`pseudo_loss`].
///
/// # Errors
/// When a batch cannot be had.
pub fn estimate(
    learner: &Learner,
    estimate: FisherEstimate,
    batches: &mut DeviceBatches<'_>,
) -> Result<Fisher, TrainError> {
    let parameters: Vec<(String, Tensor)> = learner
        .trainable_backbone()
        .map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone()))
        .collect();
    if parameters.is_empty() {
        return Ok(Fisher::new());
    }
    let tensors: Vec<&Tensor> = parameters.iter().map(|(_, tensor)| tensor).collect();
    let mut sums: Vec<Tensor> = tensors.iter().map(|t| t.detach().zeros_like()).collect();
    let mut seen = 0;
    for batch in batches {
        let batch = batch?;
        let size = batch.clips.size()[0];
        seen += size;
        match estimate {
            FisherEstimate::Batch => add_squares(learner, &batch, &tensors, &mut sums, size),
            FisherEstimate::PerSample => {
                for i in 0..size {
                    let one = DeviceBatch {
                        clips: batch.clips.narrow(0, i, 1),
                        labels: batch.labels.narrow(0, i, 1),
                    };
                    add_squares(learner, &one, &tensors, &mut sums, 1);
                }
            }
        }
    }
    #[allow(clippy::cast_precision_loss)] // A number of clips.
    let clips = seen.max(1) as f64;
    let names = parameters.iter().map(|(name, _)| name.clone());
    Ok(names.zip(sums.into_iter().map(|sum| sum / clips)).collect())
}

/// Adds `size` times the squared gradients of the batch's loss.
fn add_squares(
    learner: &Learner,
    batch: &DeviceBatch,
    parameters: &[&Tensor],
    sums: &mut [Tensor],
    size: i64,
) {
    let logits = learner.forward(&batch.clips, Mode::Evaluate).logits;
    let loss = pseudo_loss(learner.criterion(), &logits, &batch.labels);
    let gradients = Tensor::run_backward(&[loss], parameters, false, false);
    no_grad(|| {
        #[allow(clippy::cast_precision_loss)] // A batch size.
        let size = size as f64;
        for (sum, gradient) in sums.iter_mut().zip(gradients) {
            *sum += gradient.square() * size;
        }
    });
}

/// The loss that the Fisher information differentiates. Multilabel: against the model's own decision, the one-hot of the
/// largest logit; multiclass: against the true labels.
fn pseudo_loss(criterion: CriterionName, logits: &Tensor, labels: &Tensor) -> Tensor {
    match criterion {
        CriterionName::Multilabel => criterion.loss(logits, &logits.argmax(1, false)),
        CriterionName::Multiclass => criterion.loss(logits, labels),
    }
}
