//! The Fisher information: how much each parameter of the backbone matters to what was learnt.

use std::collections::BTreeMap;

use tch::{Tensor, no_grad};

use crate::model::Mode;
use crate::train::TrainError;
use crate::train::approach::{DeviceBatch, DeviceBatches};
use crate::train::learner::Learner;
use crate::train::settings::{CriterionName, FisherEstimate};

/// A tensor for each backbone parameter, by name.
pub type Fisher = BTreeMap<String, Tensor>;

/// The Fisher information of the backbone parameters that take gradients, in evaluation mode over
/// `batches` of `task`.
///
/// `batch`: sum over batches of b (gradient of the batch's mean loss)^2, divided by the clips seen.
/// `per-sample`: mean over clips of the squared gradient. The loss is that of `pseudo_loss`.
///
/// # Errors
/// When a batch cannot be had, or no clip of them could be read.
pub fn estimate(
    learner: &Learner,
    estimate: FisherEstimate,
    task: usize,
    batches: &mut DeviceBatches<'_>,
) -> Result<Fisher, TrainError> {
    if learner.trainable_backbone().next().is_none() {
        return Ok(Fisher::new());
    }
    let mut making = FisherSum::default();
    for batch in batches {
        for part in batch?.parts(estimate == FisherEstimate::PerSample) {
            let clips = usize::try_from(part.labels.size()[0]).unwrap_or(0);
            making.add(learner, clips, &squares(learner, &part));
        }
    }
    making.mean(task)
}

/// A Fisher information in the making.
#[derive(Default)]
pub(super) struct FisherSum {
    /// Sums of squared gradients, by the parameter's name.
    pub(super) sums: Fisher,
    /// Clips seen.
    pub(super) clips: i64,
}

impl FisherSum {
    /// Adds what [`squares`] gave for so many clips.
    pub(super) fn add(&mut self, learner: &Learner, clips: usize, squares: &Tensor) {
        self.clips += i64::try_from(clips).unwrap_or(i64::MAX);
        let mut start = 0;
        for (name, parameter) in learner.trainable_backbone() {
            let size = i64::try_from(parameter.numel()).unwrap_or(i64::MAX);
            let square = squares.narrow(0, start, size).view_as(parameter);
            start += size;
            let zeros = || parameter.detach().zeros_like();
            let sum = self.sums.entry(name.to_owned()).or_insert_with(zeros);
            *sum += square;
        }
    }

    /// The mean over the clips of `task`.
    pub(super) fn mean(self, task: usize) -> Result<Fisher, TrainError> {
        if self.clips == 0 {
            return Err(TrainError::NothingObserved { task });
        }
        #[allow(clippy::cast_precision_loss)] // A number of clips.
        let clips = self.clips as f64;
        let means = self.sums.into_iter().map(|(name, sum)| (name, sum / clips));
        Ok(means.collect())
    }
}

/// The squared gradients of the batch's loss times its clips, of the backbone parameters that take gradients, one after the
/// other.
pub(super) fn squares(learner: &Learner, batch: &DeviceBatch) -> Tensor {
    let parameters: Vec<&Tensor> = learner.trainable_backbone().map(|(_, t)| t).collect();
    let logits = learner.forward(&batch.clips, Mode::Evaluate).logits;
    let loss = pseudo_loss(learner.criterion(), &logits, &batch.labels);
    let gradients = Tensor::run_backward(&[loss], &parameters, false, false);
    #[allow(clippy::cast_precision_loss)] // A batch size.
    let size = batch.labels.size()[0] as f64;
    no_grad(|| {
        let squares = gradients
            .into_iter()
            .map(|gradient| gradient.square() * size);
        let flat: Vec<Tensor> = squares.map(|square| square.reshape([-1])).collect();
        Tensor::cat(&flat, 0)
    })
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
pub(super) mod tests {
    use tch::{Device, Kind};

    use super::*;
    use crate::train::learner::fake;

    pub(in super::super) fn learner() -> Learner {
        Learner::new(
            fake::builder(2, 0.5),
            Device::Cpu,
            CriterionName::Multilabel,
        )
    }

    pub(in super::super) fn batch(value: f64) -> DeviceBatch {
        DeviceBatch {
            clips: Tensor::full([2, 3, 1, 2, 2], value, (Kind::Float, Device::Cpu)),
            labels: Tensor::from_slice(&[0i64, 1]),
        }
    }

    #[test]
    fn a_fisher_over_no_clip_is_an_error() {
        let none = &mut std::iter::empty();
        let error = estimate(&learner(), FisherEstimate::Batch, 4, none).unwrap_err();
        assert!(error.to_string().starts_with("task 4: no clip"), "{error}");
    }

    #[test]
    fn the_batch_estimate_is_the_squared_mean_gradient_and_the_other_the_mean_of_squares() {
        let learner = learner();
        // Two clips with the same gradient g: batch gives 2 g^2 / 2, per sample (g^2 + g^2) / 2.
        let of =
            |which| estimate(&learner, which, 0, &mut std::iter::once(Ok(batch(1.0)))).unwrap();
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
