//! Elastic Weight Consolidation (Kirkpatrick et al., <https://arxiv.org/abs/1612.00796>), as the
//! seed has it: each backbone parameter is held to its old value as strongly as the Fisher
//! information says that it mattered. The head is free.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Kind, Tensor, no_grad};

use super::{Approach, DeviceBatch, DeviceBatches, Step};
use crate::model::Mode;
use crate::model::checkpoint;
use crate::model::state_dict::StateDict;
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

    fn forget(&mut self) {
        self.fisher.clear();
        self.old.clear();
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

    fn restore(
        &mut self,
        learner: &Learner,
        path: &Path,
        state: StateDict,
    ) -> Result<(), TrainError> {
        // Every task's information is merged into that of task 0, in which no parameter is frozen.
        checkpoint::compare(path, learner.backbone(), &state)?;
        self.fisher = state
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_device(learner.device())))
            .collect();
        self.remember(learner);
        Ok(())
    }
}

/// Half the sum, over the parameters that have both, of F (theta - old)^2: a scalar, or nothing
/// before the first Fisher.
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

/// The Fisher information of the backbone parameters that take gradients, in evaluation mode over
/// `batches`.
///
/// `batch`: sum over batches of b (gradient of the batch's mean loss)^2, divided by the clips seen.
/// `per-sample`: mean over clips of the squared gradient. The loss is that of `pseudo_loss`.
///
/// # Errors
/// When a batch cannot be had, or no clip of them could be read.
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
    if seen == 0 {
        return Err(TrainError::NoReadableClip);
    }
    #[allow(clippy::cast_precision_loss)] // A number of clips.
    let clips = seen as f64;
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

/// The loss that the Fisher information differentiates. Multilabel: against the model's own
/// decision, the one-hot of the largest logit; multiclass: against the true labels.
fn pseudo_loss(criterion: CriterionName, logits: &Tensor, labels: &Tensor) -> Tensor {
    match criterion {
        CriterionName::Multilabel => criterion.loss(logits, &logits.argmax(1, false)),
        CriterionName::Multiclass => criterion.loss(logits, labels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::learner::fake;
    use tch::Device;

    fn learner() -> Learner {
        Learner::new(
            fake::builder(2, 0.5),
            Device::Cpu,
            CriterionName::Multilabel,
        )
    }

    fn batch(value: f64) -> DeviceBatch {
        DeviceBatch {
            clips: Tensor::full([2, 3, 1, 2, 2], value, (Kind::Float, Device::Cpu)),
            labels: Tensor::from_slice(&[0i64, 1]),
        }
    }

    /// One task is over and the first backbone parameter has moved by 1: the penalty of the next
    /// step.
    fn penalty(settings: &Settings) -> f64 {
        let learner = learner();
        let mut ewc = Ewc::new(settings);
        let step = batch(1.0);
        let output = learner.forward(&step.clips, Mode::Evaluate);
        let step = Step {
            batch: &step,
            output: &output,
        };
        assert!(
            ewc.penalty(&learner, &step).is_none(),
            "task 0 has no penalty"
        );
        ewc.after_task(&learner, 0, &mut std::iter::once(Ok(batch(1.0))))
            .unwrap();
        no_grad(|| {
            for (_, parameter) in learner.backbone().take(1) {
                let _ = parameter.shallow_clone().g_add_scalar_(1.0);
            }
        });
        ewc.penalty(&learner, &step).unwrap().double_value(&[])
    }

    #[test]
    fn the_seeds_penalty_counts_q_once_more() {
        let mut settings = Settings {
            ewc_lambda: 4.0,
            ..Settings::default()
        };
        let ours = penalty(&settings);
        settings.compat.ewc_penalty_counted_twice = true;
        assert!(ours > 0.0);
        assert!((penalty(&settings) / ours - 5.0 / 4.0).abs() < 1e-6);
    }

    #[test]
    fn a_later_fisher_is_merged_and_the_state_is_taken_back() {
        let learner = learner();
        let settings = Settings {
            ewc_alpha: 0.25,
            ..Settings::default()
        };
        let mut ewc = Ewc::new(&settings);
        ewc.after_task(&learner, 0, &mut std::iter::once(Ok(batch(1.0))))
            .unwrap();
        let first = ewc.fisher["backbone.features"].double_value(&[0, 0]);
        ewc.after_task(&learner, 1, &mut std::iter::once(Ok(batch(2.0))))
            .unwrap();
        let second = estimate(
            &learner,
            FisherEstimate::Batch,
            &mut std::iter::once(Ok(batch(2.0))),
        )
        .unwrap();
        let wanted = 0.25 * first + 0.75 * second["backbone.features"].double_value(&[0, 0]);
        assert!((ewc.fisher["backbone.features"].double_value(&[0, 0]) - wanted).abs() < 1e-9);
        let mut resumed = Ewc::new(&settings);
        let path = Path::new("task-1-state.safetensors");
        let state = || -> StateDict { ewc.state().into_iter().collect() };
        resumed.restore(&learner, path, state()).unwrap();
        assert_eq!(
            resumed.fisher.keys().collect::<Vec<_>>(),
            ["backbone.features", "backbone.norm.weight"]
        );
        assert_eq!(resumed.old.len(), 2);
        let mut other = state();
        other.insert(
            "backbone.features".into(),
            Tensor::zeros([1], (Kind::Float, Device::Cpu)),
        );
        let refused = resumed
            .restore(&learner, path, other)
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("task-1-state.safetensors does not fit"),
            "{refused}"
        );
        assert!(
            refused.contains("1 misshapen: backbone.features [1]"),
            "{refused}"
        );
        let mut fewer = state();
        fewer.remove("backbone.features");
        assert!(resumed.restore(&learner, path, fewer).is_err());
    }

    #[test]
    fn a_fisher_over_no_clip_is_an_error() {
        let none = &mut std::iter::empty();
        let error = estimate(&learner(), FisherEstimate::Batch, none).unwrap_err();
        assert!(matches!(error, TrainError::NoReadableClip), "{error}");
    }

    #[test]
    fn the_batch_estimate_is_the_squared_mean_gradient_and_the_other_the_mean_of_squares() {
        let learner = learner();
        // Two clips with the same gradient g: batch gives 2 g^2 / 2, per sample (g^2 + g^2) / 2.
        let of = |which| estimate(&learner, which, &mut std::iter::once(Ok(batch(1.0)))).unwrap();
        let (batch, each) = (of(FisherEstimate::Batch), of(FisherEstimate::PerSample));
        let value = |fisher: &Fisher| fisher["backbone.features"].double_value(&[0, 0]);
        assert!(value(&batch) > 0.0);
        assert!((value(&batch) - value(&each)).abs() < 1e-9);
        learner.freeze(true, false);
        assert!(
            of(FisherEstimate::Batch).is_empty(),
            "what is frozen has no new Fisher"
        );
    }
}
