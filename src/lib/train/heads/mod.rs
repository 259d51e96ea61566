//! Models that are a head on cached features: what a withdrawal does to them is one operation.
//!
//! | file | what it is for |
//! |---|---|
//! | `head` | what every head does with a task |
//! | `features` | the feature table joined with the tasks' lists |
//! | `exact` | ridge and RanPAC: sums that add what arrives and subtract what leaves |
//! | `linear` | one linear head, trained by gradient; the head that is only ever trained on |
//! | `sisa` | such heads in shards and slices |
//! | `container` | a head's numbers as the tensors of a checkpoint |

mod container;
mod exact;
mod features;
mod head;
mod linear;
mod sisa;

use super::settings::{ApproachName, Settings};
use crate::unlearning::exact_head::{Expansion, PROJECTION_WIDTH};

pub(super) use container::Container;
pub(super) use features::Features;
pub(super) use head::{Head, Shape};

/// The head that `settings` name on `features`, and the shape of what it keeps.
pub(super) fn make<'a>(
    settings: &'a Settings,
    features: &'a Features,
) -> (Box<dyn Head + 'a>, Shape) {
    let (width, classes) = (features.width(), features.classes());
    let shape = |shards, width| Shape {
        shards,
        width,
        classes,
    };
    match settings.approach {
        ApproachName::Ridge => {
            let expansion = Expansion::Ridge { width };
            let head = exact::Exact::new(expansion, settings.from_scratch, features);
            (Box::new(head), shape(1, width))
        }
        ApproachName::Ranpac => {
            let expansion = Expansion::random(settings.seed, width, PROJECTION_WIDTH);
            let head = exact::Exact::new(expansion, settings.from_scratch, features);
            (Box::new(head), shape(1, PROJECTION_WIDTH))
        }
        ApproachName::Sisa => {
            let shards = crate::unlearning::sisa::SHARDS;
            let head = sisa::Sisa::new(settings, features, shards);
            (Box::new(head), shape(shards, width))
        }
        _ => {
            let head = linear::HeadFinetune::new(settings, features);
            (Box::new(head), shape(1, width))
        }
    }
}
