//! The room that a run needs on its disk, looked at before the first step.

use std::path::Path;

use tch::nn::VarStore;

use crate::artifact;
use crate::clip::Split;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::{ApproachName, TrainConfig, UnlearnName};
use crate::train::task_sequence::TaskSequence;

/// Bytes of a prediction in its table before compression, beside its probabilities: id, subcategory
/// and numbers.
const PREDICTION_BYTES: u64 = 100;
/// Bytes of an epoch in tables, events and the log.
const EPOCH_BYTES: u64 = 4_000;
/// Bytes of what is always there: settings, copies of the tasks, the summary.
const FIXED_BYTES: u64 = 1 << 20;
/// Checkpoints inside a task that lie on the disk at a time: two, and the next one being written.
const CHECKPOINTS_IN_TASK: u64 = 3;

/// What a run is still to write, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::train) struct Need {
    /// Weights, those that had unlearned, and the approach's state of each task.
    weights: u64,
    /// What is kept while a task lasts, and removed at its end.
    inside_task: u64,
    /// Tables, events and the log.
    tables: u64,
}

impl Need {
    /// What the run of `config` is still to write with `done` of its tasks done; `epochs` are the
    /// most of each.
    pub(in crate::train) fn of(
        config: &TrainConfig,
        data: &TaskSequence,
        epochs: &[u32],
        learner: &Learner,
        done: usize,
    ) -> Self {
        let model = bytes(learner.store());
        let backbone = learner.backbone();
        let backbone: u64 = backbone.map(|(_, tensor)| size(tensor.numel())).sum();
        let state = match config.settings.approach {
            ApproachName::Ewc => backbone,
            ApproachName::Finetune
            | ApproachName::Lwf
            | ApproachName::Fd
            // The buffer's logits are a few kilobytes.
            | ApproachName::Er
            | ApproachName::DerPlusPlus
            | ApproachName::Gdumb
            | ApproachName::Ridge
            | ApproachName::Ranpac
            | ApproachName::Sisa
            | ApproachName::HeadFinetune => 0,
        };
        let unlearned = match config.settings.unlearn {
            UnlearnName::None => 0,
            _ => model,
        };
        let left = &data.tasks[done.min(data.tasks.len())..];
        let tasks = left.len() as u64;
        let classes = data.deal.taxonomy.classes() as u64;
        let judged = [Split::Validation, Split::Test];
        let predictions: usize = left
            .iter()
            .flat_map(|task| judged.map(|split| task.list(split).len()))
            .sum();
        let epochs: u64 = epochs.iter().skip(done).map(|&n| u64::from(n)).sum();
        Self {
            weights: tasks * (model + state + unlearned),
            // Weights, the best ones, what the approach remembers, and Adam's two moments.
            inside_task: CHECKPOINTS_IN_TASK * (2 * model + 2 * backbone + state.max(model)),
            tables: FIXED_BYTES
                + epochs * EPOCH_BYTES
                + predictions as u64 * (PREDICTION_BYTES + 4 * classes),
        }
    }

    fn total(self) -> u64 {
        self.weights + self.inside_task + self.tables
    }

    /// Looks whether the disk of `folder` has room for it; a system that does not say is believed.
    ///
    /// # Errors
    /// [`TrainError::NoSpace`].
    pub(in crate::train) fn check(self, folder: &Path) -> Result<(), TrainError> {
        self.check_against(folder, artifact::free_bytes(folder))
    }

    fn check_against(self, folder: &Path, free: Option<u64>) -> Result<(), TrainError> {
        match free {
            Some(free_bytes) if free_bytes < self.total() => Err(TrainError::NoSpace {
                folder: folder.to_owned(),
                needed_bytes: self.total(),
                weights_bytes: self.weights,
                free_bytes,
            }),
            _ => Ok(()),
        }
    }
}

/// Bytes of all tensors of a store.
fn bytes(store: &VarStore) -> u64 {
    let tensors = store.variables();
    tensors.values().map(|tensor| size(tensor.numel())).sum()
}

/// Bytes of so many 32-bit floats.
fn size(values: usize) -> u64 {
    4 * values as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_disk_with_less_room_than_is_needed_is_refused_with_both_numbers() {
        let need = Need {
            weights: 3 << 20,
            inside_task: 2 << 20,
            tables: 1 << 20,
        };
        let folder = Path::new("run");
        need.check_against(folder, Some(6 << 20)).unwrap();
        need.check_against(folder, None).unwrap();
        let refused = need.check_against(folder, Some((6 << 20) - 1)).unwrap_err();
        let said = refused.to_string();
        assert!(said.contains("6.00 MiB"), "{said}");
        assert!(said.contains("3.00 MiB of it weights"), "{said}");
        assert_eq!(crate::hint::Hint::exit(&refused).code(), 75);
    }
}
