//! What is measured without a step: losses, errors and gradients in evaluation mode.

use std::collections::BTreeMap;

use tch::{Kind, Tensor, no_grad};

use super::clips::{Batches, Clips, Set};
use super::descent::{classification, trainable};
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::Learner;

/// The evaluated mean loss over a set's clips; `None` for an empty one.
pub(super) fn loss(
    learner: &Learner,
    clips: &dyn Clips,
    set: Set,
) -> Result<Option<f64>, TrainError> {
    mean(clips, set, |batch| {
        let loss = no_grad(|| classification(Mode::Evaluate)(learner, batch));
        loss.double_value(&[]) * batch.count() as f64
    })
}

/// The share of a set's clips whose class is not that of the largest logit; `None` for an empty
/// one.
pub(super) fn error(
    learner: &Learner,
    clips: &dyn Clips,
    set: Set,
) -> Result<Option<f64>, TrainError> {
    mean(clips, set, |batch| {
        let logits = no_grad(|| learner.forward(&batch.clips, Mode::Evaluate).logits);
        let wrong = logits.argmax(-1, false).ne_tensor(&batch.labels);
        wrong.sum(Kind::Double).double_value(&[])
    })
}

/// The sum of `of` over batches, over the number of clips.
fn mean(
    clips: &dyn Clips,
    set: Set,
    of: impl Fn(&super::Batch) -> f64,
) -> Result<Option<f64>, TrainError> {
    let count = clips.count(set);
    let mut sum = 0.0;
    for batch in clips.in_order(set, None) {
        sum += of(&batch?);
    }
    Ok((count > 0).then(|| sum / count as f64))
}

/// Gradients by parameter.
pub(super) type Gradients = BTreeMap<String, Tensor>;

/// The gradient of the mean loss over a set, every clip counted alike whatever the batches.
pub(super) fn gradient(
    learner: &Learner,
    clips: &dyn Clips,
    set: Set,
) -> Result<Gradients, TrainError> {
    let count = clips.count(set) as f64;
    let weigh = |batch: &super::Batch| {
        classification(Mode::Evaluate)(learner, batch) * (batch.count() as f64 / count)
    };
    let mut sum = Gradients::new();
    for batch in clips.in_order(set, None) {
        let gradients = of_loss(learner, &weigh(&batch?))?;
        add(&mut sum, gradients);
    }
    Ok(sum)
}

/// The mean over `batches` of what `of` makes of a batch's gradients.
pub(super) fn importance(
    learner: &Learner,
    batches: Batches<'_>,
    loss: &dyn Fn(&Learner, &super::Batch) -> Tensor,
    of: fn(&Tensor) -> Tensor,
) -> Result<Gradients, TrainError> {
    let (mut sum, mut count) = (Gradients::new(), 0.0);
    for batch in batches {
        let gradients = of_loss(learner, &loss(learner, &batch?))?;
        add(
            &mut sum,
            gradients
                .into_iter()
                .map(|(name, g)| (name, of(&g)))
                .collect(),
        );
        count += 1.0;
    }
    Ok(sum.into_iter().map(|(name, t)| (name, t / count)).collect())
}

fn of_loss(learner: &Learner, loss: &Tensor) -> Result<Gradients, TrainError> {
    let parameters = trainable(learner);
    for (_, tensor) in &parameters {
        tensor.shallow_clone().zero_grad();
    }
    loss.f_backward()?;
    let gradient = |tensor: &Tensor| {
        let gradient = tensor.grad();
        if gradient.defined() {
            gradient.copy()
        } else {
            tensor.zeros_like()
        }
    };
    Ok(no_grad(|| {
        parameters
            .iter()
            .map(|(name, tensor)| (name.clone(), gradient(tensor)))
            .collect()
    }))
}

fn add(sum: &mut Gradients, more: Gradients) {
    for (name, tensor) in more {
        match sum.get_mut(&name) {
            Some(total) => *total += tensor,
            None => {
                sum.insert(name, tensor);
            }
        }
    }
}

/// The values of a tensor in C order.
pub(super) fn values(tensor: &Tensor) -> Result<Vec<f64>, TrainError> {
    Ok(Vec::try_from(
        tensor
            .detach()
            .to_kind(Kind::Double)
            .reshape([-1])
            .contiguous(),
    )?)
}

/// A mask in the shape of `like`: 1 where it holds, else 0.
pub(super) fn mask(mask: &[bool], like: &Tensor) -> Tensor {
    Tensor::from_slice(mask)
        .to_device(like.device())
        .to_kind(like.kind())
        .reshape(like.size())
}
