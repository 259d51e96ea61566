//! Running statistics taken anew over what stays.

use std::collections::BTreeMap;

use tch::{Tensor, no_grad};

use super::clips::{Clips, Set};
use crate::model::{Mode, NORM_MOMENTUM};
use crate::train::TrainError;
use crate::train::learner::Learner;

/// What the names of running statistics end in.
const RUNNING: [&str; 2] = [".running_mean", ".running_var"];

/// Makes every norm's running mean and variance the mean, over the batches of R in list order, of
/// each batch's mean and unbiased variance. Nothing changes without a batch.
///
/// From statistics of 0 a training pass leaves exactly the momentum times those of the batch,
/// whichever network it is.
///
/// # Errors
/// When a batch cannot be had.
pub fn refresh(learner: &Learner, clips: &dyn Clips, batch_size: usize) -> Result<(), TrainError> {
    let mut running: BTreeMap<String, Tensor> = learner
        .store()
        .variables()
        .into_iter()
        .filter(|(name, _)| RUNNING.iter().any(|end| name.ends_with(end)))
        .collect();
    let mut sums: BTreeMap<String, Tensor> = BTreeMap::new();
    let mut batches = 0.0;
    for batch in clips.in_order(Set::Retain, Some(batch_size)) {
        let batch = batch?;
        no_grad(|| {
            for tensor in running.values_mut() {
                let _ = tensor.zero_();
            }
            drop(learner.forward(&batch.clips, Mode::Train));
            for (name, tensor) in &running {
                let of_batch = tensor / NORM_MOMENTUM;
                match sums.get_mut(name) {
                    Some(sum) => *sum += of_batch,
                    None => drop(sums.insert(name.clone(), of_batch)),
                }
            }
        });
        batches += 1.0;
    }
    no_grad(|| {
        for (name, sum) in sums {
            if let Some(tensor) = running.get_mut(&name) {
                tensor.copy_(&(sum / batches));
            }
        }
    });
    Ok(())
}
