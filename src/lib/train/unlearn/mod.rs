//! How a model is changed so that it behaves as if it had never seen what leaves: one hook, run at
//! the start of a task that withdraws something, when the best weights of the task before are in
//! place.
//!
//! Every method starts at those weights (theta_o), with an optimizer without history. Passes over
//! what stays, or over both, train as ever; passes over what leaves alone keep the running
//! statistics of the norms, so that they never enter them; measured gradients are those of
//! evaluation mode. Where two passes make one step, each runs forward and backward before the next
//! begins: a norm in evaluation mode keeps its running statistics by reference until its backward
//! pass.
//!
//! To add one: write a file beside this one with a struct that implements [`Unlearning`], give it a
//! name in [`UnlearnName`], and a line in [`make`].

mod bad_teacher;
mod clips;
mod ct;
mod descent;
mod distance;
mod draws;
mod finetune;
mod gradient_ascent;
mod l1_sparse;
mod measured;
mod msg;
mod neggrad_plus;
mod norms;
mod random_label;
mod relearn;
mod scrub;
mod sgd;
mod ssd;
mod visits;

use std::collections::BTreeMap;

use tch::{Tensor, no_grad};

use super::TrainError;
use super::learner::{Learner, Teacher};
use super::settings::UnlearnName;

pub use bad_teacher::{BadTeacher, RETAINED_SHARE};
pub use clips::{Batch, Batches, Clips, Set};
pub use ct::{Ct, transposed};
pub use descent::{Recipe, RuleName, StepSize};
pub use distance::distance;
pub use draws::Draws;
pub use finetune::Finetune;
pub use gradient_ascent::GradientAscent;
pub use l1_sparse::L1Sparse;
pub use msg::{Msg, Redraw, is_redrawn};
pub use neggrad_plus::NegGradPlus;
pub use norms::refresh;
pub use random_label::{RandomLabel, SalUn};
pub use relearn::{Relearn, Relearned, relearn};
pub use scrub::Scrub;
pub use ssd::{Importance, Ssd};
pub use visits::Visits;

/// What a method did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Report {
    /// The minimised value of each step.
    pub losses: Vec<f64>,
    /// Evaluated losses on what leaves that a stop was decided on, and the target.
    pub checks: Vec<f64>,
    /// The loss that stops an ascent.
    pub target: Option<f64>,
    /// Whether the target ended it.
    pub stopped: bool,
    /// Errors (shares of clips whose class is not the largest) on F before the first epoch and
    /// after each.
    pub forget_errors: Vec<f64>,
    /// The same on held-out clips like F.
    pub heldout_errors: Vec<f64>,
    /// The epoch, from 1, that SCRUB+R went back to; `None` without held-out clips.
    pub rewound_epoch: Option<usize>,
    /// How many weights were dampened.
    pub selected: Option<usize>,
}

/// A method of unlearning.
pub trait Unlearning {
    /// Which one it is.
    fn name(&self) -> UnlearnName;

    /// Whether it runs when nothing stays.
    fn runs_without_retained(&self) -> bool {
        false
    }

    /// Changes `learner`, which holds theta_o; there is at least one clip that leaves, and one that
    /// stays unless the method runs without.
    ///
    /// # Errors
    /// When a batch cannot be had or a loss is not finite. The weights are then anything.
    fn unlearn(&mut self, learner: &Learner, clips: &dyn Clips) -> Result<Report, TrainError>;
}

/// Runs `method` on `learner`. Nothing changes where nothing leaves, and theta_o is put back after
/// an error.
///
/// # Errors
/// [`TrainError::NothingRetained`] where nothing stays and the method needs it; those of the
/// method.
pub fn unlearn(
    method: &mut dyn Unlearning,
    learner: &Learner,
    clips: &dyn Clips,
) -> Result<Report, TrainError> {
    if clips.count(Set::Forget) == 0 {
        return Ok(Report::default());
    }
    if clips.count(Set::Retain) == 0 && !method.runs_without_retained() {
        return Err(TrainError::NothingRetained {
            method: method.name().name(),
            task: clips.task(),
        });
    }
    let before = Snapshot::of(learner);
    method
        .unlearn(learner, clips)
        .inspect_err(|_| before.put_back(learner))
}

/// The method of this name with its defaults; `None` for none, and for those that train again instead
/// of changing what was trained. `new_network` makes one with fresh weights of a stream of its own.
#[must_use]
pub fn make(
    name: UnlearnName,
    step: StepSize,
    seed: u64,
    new_network: impl FnOnce() -> Teacher,
) -> Option<Box<dyn Unlearning>> {
    let n = step;
    Some(match name {
        UnlearnName::None | UnlearnName::Retrain | UnlearnName::Rollback => return None,
        UnlearnName::Finetune => Box::new(Finetune::new(n)),
        UnlearnName::GradientAscent => Box::new(GradientAscent::new(n)),
        UnlearnName::NegGradPlus => Box::new(NegGradPlus::new(n)),
        UnlearnName::Scrub => Box::new(Scrub::new(n, false)),
        UnlearnName::ScrubR => Box::new(Scrub::new(n, true)),
        UnlearnName::RandomLabel => Box::new(RandomLabel::new(n)),
        UnlearnName::SalUn => Box::new(SalUn::new(n)),
        UnlearnName::L1Sparse => Box::new(L1Sparse::new(n)),
        UnlearnName::BadTeacher => Box::new(BadTeacher::new(new_network(), n)),
        UnlearnName::Ssd => Box::new(Ssd::new(Importance::OfLabels, n.batch_size)),
        UnlearnName::Lfssd => Box::new(Ssd::new(Importance::OfOutputs, n.batch_size)),
        UnlearnName::Msg => Box::new(Msg::new(n, seed)),
        UnlearnName::Ct => Box::new(Ct::new(n)),
    })
}

/// All tensors of a model, running statistics included, as they were.
struct Snapshot(BTreeMap<String, Tensor>);

impl Snapshot {
    fn of(learner: &Learner) -> Self {
        let tensors = learner.store().variables().into_iter();
        Self(no_grad(|| {
            tensors
                .map(|(name, tensor)| (name, tensor.detach().copy()))
                .collect()
        }))
    }

    fn put_back(&self, learner: &Learner) {
        no_grad(|| {
            for (name, mut tensor) in learner.store().variables() {
                tensor.copy_(&self.0[&name]);
            }
        });
    }
}
