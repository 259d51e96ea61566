//! Selective synaptic dampening (Foster et al., <https://arxiv.org/abs/2308.07707>) and its form
//! without labels (<https://arxiv.org/abs/2402.01401>): weights that matter more to what leaves
//! than to all are made smaller. Nothing is trained. Cost: two passes over F and one over R.

use tch::{Kind, Tensor, no_grad};

use super::clips::{Batch, Clips, Set};
use super::descent::{classification, trainable};
use super::{Report, Unlearning, measured};
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::UnlearnName;

/// What makes a weight important.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Importance {
    /// The squared gradient of the classification loss.
    OfLabels,
    /// The absolute gradient of the mean squared norm of the logits.
    OfOutputs,
}

/// The method with its settings.
pub struct Ssd {
    /// What makes a weight important.
    pub importance: Importance,
    /// How many times more it must matter to what leaves.
    pub alpha: f64,
    /// How strongly it is dampened.
    pub lambda: f64,
    /// Clips a batch, at most as many as leave: importances depend on it.
    pub batch_size: usize,
}

impl Ssd {
    /// The defaults.
    #[must_use]
    pub fn new(importance: Importance, batch_size: usize) -> Self {
        Self {
            importance,
            alpha: 10.0,
            lambda: 1.0,
            batch_size,
        }
    }

    fn importances(
        &self,
        learner: &Learner,
        clips: &dyn Clips,
        set: Set,
    ) -> Result<measured::Gradients, TrainError> {
        let size = self.batch_size.min(clips.count(Set::Forget));
        let batches = clips.in_order(set, Some(size));
        match self.importance {
            Importance::OfLabels => {
                let loss = classification(Mode::Evaluate);
                measured::importance(learner, batches, &loss, Tensor::square)
            }
            Importance::OfOutputs => {
                let norm = |learner: &Learner, batch: &Batch| {
                    let logits = learner.forward(&batch.clips, Mode::Evaluate).logits;
                    logits.square().sum(None::<Kind>) / batch.count() as f64
                };
                measured::importance(learner, batches, &norm, Tensor::abs)
            }
        }
    }
}

impl Unlearning for Ssd {
    fn name(&self) -> UnlearnName {
        match self.importance {
            Importance::OfLabels => UnlearnName::Ssd,
            Importance::OfOutputs => UnlearnName::Lfssd,
        }
    }

    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError> {
        let forget = self.importances(learner, clips, Set::Forget)?;
        let all = self.importances(learner, clips, Set::Union)?;
        let mut selected = 0;
        no_grad(|| {
            for (name, mut tensor) in trainable(learner) {
                let (forget, all) = (&forget[&name], &all[&name]);
                let chosen = forget.gt_tensor(&(all * self.alpha));
                let factor = (all * self.lambda / forget).clamp_max(1.0);
                let factor = factor.where_self(&chosen, &tensor.ones_like());
                selected += usize::try_from(chosen.sum(Kind::Int64).int64_value(&[])).unwrap_or(0);
                let _ = tensor.g_mul_(&factor);
            }
        });
        Ok(Report {
            selected: Some(selected),
            ..Report::default()
        })
    }
}
