//! How the model is updated from task to task: hooks around one loop.
//!
//! The loop and the evaluation never know which approach runs. To add one: write a file beside this
//! one with a struct that implements [`Approach`], give it a name in [`ApproachName`], and a line
//! in [`make`].

mod ewc;
mod fd;
mod finetune;
mod hooks;
mod lwf;
mod teacher;

use super::settings::{ApproachName, Settings};

pub use ewc::{Ewc, Fisher, estimate, quadratic};
pub use fd::{FeatureDistillation, distance};
pub use finetune::Finetune;
pub use hooks::{Approach, DeviceBatch, DeviceBatches, Kept, Step};
pub use lwf::{Lwf, distillation};

/// The approach that `settings` name.
#[must_use]
pub fn make(settings: &Settings) -> Box<dyn Approach> {
    match settings.approach {
        ApproachName::Finetune => Box::new(Finetune),
        ApproachName::Lwf => Box::new(Lwf::new(settings)),
        ApproachName::Fd => Box::new(FeatureDistillation::new(settings)),
        ApproachName::Ewc => Box::new(Ewc::new(settings)),
    }
}
