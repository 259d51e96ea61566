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
mod mix;
mod replay;
mod teacher;

use super::settings::{ApproachName, Settings};

pub use ewc::{Ewc, Fisher, estimate, quadratic};
pub use fd::{FeatureDistillation, distance};
pub use finetune::Finetune;
pub use hooks::{Approach, DeviceBatch, DeviceBatches, Kept, LogitsOf, Step};
pub use lwf::{Lwf, distillation};
pub use mix::{Mix, Replay};
pub use replay::Rehearsal;

/// The approach that `settings` name. Heads on cached features have no hooks: their runs go another
/// way and take none of this.
#[must_use]
pub fn make(settings: &Settings) -> Box<dyn Approach> {
    match settings.approach {
        ApproachName::Finetune
        | ApproachName::Ridge
        | ApproachName::Ranpac
        | ApproachName::Sisa
        | ApproachName::HeadFinetune => Box::new(Finetune),
        ApproachName::Lwf => Box::new(Lwf::new(settings)),
        ApproachName::Fd => Box::new(FeatureDistillation::new(settings)),
        ApproachName::Ewc => Box::new(Ewc::new(settings)),
        ApproachName::Er | ApproachName::DerPlusPlus | ApproachName::Gdumb => {
            Box::new(Rehearsal::new(settings))
        }
    }
}
