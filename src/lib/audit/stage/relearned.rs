//! How many steps bring what left back: a figure of each network, which several comparisons share.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::runs::AuditedRun;
use super::{AuditConfig, AuditStageError};
use crate::audit::relearn::{MOST_PASSES, RelearnTime, TARGET_FACTOR, steps_between_checks};
use crate::train::{Relearning, RelearningConfig};

/// What decides how long weights take: their file, the clips, the loss before, and both rates.
type Key = (PathBuf, String, [u64; 3]);

/// What was found so far.
#[derive(Default)]
pub(super) struct Relearned {
    found: HashMap<Key, RelearnTime>,
    /// The withdrawal that was looked at last: the run directory and the task.
    open: Option<((PathBuf, usize), Relearning)>,
}

impl Relearned {
    /// The times of `weights` on what `task` withdrew from `run`: steps until the evaluated loss is
    /// at most [`TARGET_FACTOR`] times that of the weights at `known`, which had not unlearned.
    ///
    /// # Errors
    /// When weights do not fit, or clips cannot be read.
    pub(super) fn times(
        &mut self,
        config: &AuditConfig,
        run: &AuditedRun,
        (task, forget): (usize, &[&str]),
        known: &Path,
        weights: &[&Path],
    ) -> Result<Vec<RelearnTime>, AuditStageError> {
        let place = (run.folder.clone(), task);
        if self.open.as_ref().is_none_or(|(open, _)| *open != place) {
            let relearning = Relearning::open(&RelearningConfig {
                run: run.folder.clone(),
                settings: run.settings.clone(),
                shards: config.shards.clone(),
                task,
                forget: forget.iter().map(|&clip| clip.to_owned()).collect(),
                device: config.device,
                workers: config.workers,
                seed: config.seed,
            })?;
            self.open = Some((place, relearning));
        }
        let Some((_, relearning)) = &self.open else {
            return Ok(Vec::new());
        };
        let every = steps_between_checks(relearning.batches());
        let most = MOST_PASSES * relearning.batches();
        let before = relearning.time(known, f64::INFINITY, every, 0)?;
        let loss = before.and_then(|found| found.checks.first().copied());
        let Some(target) = loss.map(|loss| TARGET_FACTOR * loss) else {
            return Ok(Vec::new());
        };
        let rates = [run.settings.lr_backbone, run.settings.lr_head].map(f64::to_bits);
        let mut times = Vec::new();
        for path in weights {
            let [backbone, head] = rates;
            let numbers = [target.to_bits(), backbone, head];
            let key = ((*path).to_owned(), forget.join("\n"), numbers);
            let time = if let Some(time) = self.found.get(&key) {
                *time
            } else {
                let found = relearning.time(path, target, every, most)?;
                let steps = found.as_ref().map_or(0, |found| found.steps);
                RelearnTime {
                    steps: u32::try_from(steps).unwrap_or(u32::MAX),
                    censored: found.is_some_and(|found| found.censored),
                }
            };
            self.found.insert(key, time);
            times.push(time);
        }
        Ok(times)
    }
}
