//! Elastic Weight Consolidation (Kirkpatrick et al., <https://arxiv.org/abs/1612.00796>), as the
//! seed has it: each backbone parameter is held to its old value as strongly as the Fisher
//! information says that it mattered. The head is free.

mod fisher;

use std::path::Path;

use tch::{Kind, Tensor};

use super::{Approach, DeviceBatch, Step};
use crate::model::checkpoint;
use crate::model::state_dict::StateDict;
use crate::run_record::Remedy;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::{FisherEstimate, Settings};

use fisher::{FisherSum, squares};

pub use fisher::{Fisher, estimate};

/// What names begin with, or are, in a task's checkpoint.
const FISHER: &str = "fisher.";
const OLD: &str = "old.";
const SUMS: &str = "sums.";
const CLIPS: &str = "clips";

/// Holds weights to their old values by their Fisher information.
pub struct Ewc {
    lambda: f64,
    alpha: f64,
    estimate: FisherEstimate,
    counted_twice: bool,
    fisher: Fisher,
    /// The best weights of the task before.
    old: Fisher,
    /// The information of the task that is over, as far as its batches are seen.
    making: Option<FisherSum>,
}

impl Ewc {
    /// The approach with `ewc_lambda`, `ewc_alpha` and `fisher` of `settings`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            lambda: settings.ewc_lambda,
            alpha: settings.ewc_alpha,
            estimate: settings.fisher,
            counted_twice: settings.compat.ewc_penalty_counted_twice,
            fisher: Fisher::new(),
            old: Fisher::new(),
            making: None,
        }
    }

    fn remember(&mut self, learner: &Learner) {
        self.old = learner
            .backbone()
            .map(|(name, tensor)| (name.to_owned(), tensor.detach().copy()))
            .collect();
    }
}

impl Approach for Ewc {
    fn penalty(&self, learner: &Learner, _step: &Step<'_>) -> Option<Tensor> {
        let q = quadratic(learner.backbone(), &self.fisher, &self.old)?;
        // The seed adds q itself to the loss and lambda q on top.
        let factor = if self.counted_twice {
            1.0 + self.lambda
        } else {
            self.lambda
        };
        Some(q * factor)
    }

    fn forget(&mut self) {
        self.fisher.clear();
        self.old.clear();
        self.making = None;
    }

    fn wants_batches(&self, learner: &Learner) -> bool {
        // What is frozen keeps the information that it has.
        learner.trainable_backbone().next().is_some()
    }

    fn wants_single_clips(&self) -> bool {
        self.estimate == FisherEstimate::PerSample
    }

    fn observe(
        &self,
        learner: &Learner,
        _task: usize,
        batch: &DeviceBatch,
    ) -> Result<Tensor, TrainError> {
        Ok(squares(learner, batch))
    }

    fn take_in(
        &mut self,
        learner: &Learner,
        clips: usize,
        observed: &Tensor,
    ) -> Result<(), TrainError> {
        let making = self.making.get_or_insert_with(FisherSum::default);
        making.add(learner, clips, observed);
        Ok(())
    }

    fn after_task(&mut self, learner: &Learner, task: usize) -> Result<(), TrainError> {
        if self.wants_batches(learner) {
            let made = self.making.take().unwrap_or_default().mean(task)?;
            for (name, new) in made {
                let merged = match self.fisher.get(&name) {
                    Some(old) => old * self.alpha + new * (1.0 - self.alpha),
                    None => new,
                };
                self.fisher.insert(name, merged);
            }
        }
        self.remember(learner);
        Ok(())
    }

    fn under_way(&self) -> StateDict {
        let making = self.making.iter().flat_map(|making| {
            let clips = Tensor::from_slice(&[making.clips]);
            named(SUMS, &making.sums).chain([(CLIPS.to_owned(), clips)])
        });
        named(FISHER, &self.fisher)
            .chain(named(OLD, &self.old))
            .chain(making)
            .collect()
    }

    fn go_on(
        &mut self,
        learner: &Learner,
        _task: usize,
        path: &Path,
        held: StateDict,
    ) -> Result<(), TrainError> {
        let part = |prefix: &str| -> StateDict {
            let named = held.iter().filter_map(|(name, tensor)| {
                let name = name.strip_prefix(prefix)?.to_owned();
                Some((name, tensor.to_device(learner.device())))
            });
            named.collect()
        };
        (self.fisher, self.old) = (part(FISHER), part(OLD));
        if !self.fisher.is_empty() {
            checkpoint::compare(path, learner.backbone(), &self.fisher)?;
            checkpoint::compare(path, learner.backbone(), &self.old)?;
        }
        self.making = match held.get(CLIPS) {
            None => None,
            Some(clips) => Some(FisherSum {
                sums: part(SUMS),
                clips: clips.f_int64_value(&[0])?,
            }),
        };
        Ok(())
    }

    fn state(&self) -> Vec<(String, Tensor)> {
        self.fisher
            .iter()
            .map(|(name, tensor)| (name.clone(), tensor.shallow_clone()))
            .collect()
    }

    /// All of it is Fisher information.
    fn remedy(&self, _name: &str) -> Remedy {
        Remedy::Rebuilt
    }

    fn restore(
        &mut self,
        learner: &Learner,
        path: &Path,
        state: StateDict,
    ) -> Result<(), TrainError> {
        // Every task's information is merged into that of task 0, in which no parameter is frozen.
        checkpoint::compare(path, learner.backbone(), &state)?;
        self.fisher = state
            .into_iter()
            .map(|(name, tensor)| (name, tensor.to_device(learner.device())))
            .collect();
        self.remember(learner);
        Ok(())
    }
}

/// Half the sum, over the parameters that have both, of F (theta - old)^2: a scalar, or nothing
/// before the first Fisher.
pub fn quadratic<'a>(
    parameters: impl Iterator<Item = (&'a str, &'a Tensor)>,
    fisher: &Fisher,
    old: &Fisher,
) -> Option<Tensor> {
    let (mut information, mut differences) = (Vec::new(), Vec::new());
    for (name, parameter) in parameters {
        if let (Some(f), Some(old)) = (fisher.get(name), old.get(name)) {
            information.push(f.reshape([-1]));
            differences.push((parameter - old).reshape([-1]));
        }
    }
    if information.is_empty() {
        return None;
    }
    let difference = Tensor::cat(&differences, 0);
    Some((Tensor::cat(&information, 0) * difference.square()).sum(Kind::Float) * 0.5)
}

/// The tensors under their names behind `prefix`; they are shared, not copied.
fn named<'a>(
    prefix: &'static str,
    tensors: &'a Fisher,
) -> impl Iterator<Item = (String, Tensor)> + 'a {
    let tensors = tensors.iter();
    tensors.map(move |(name, tensor)| (format!("{prefix}{name}"), tensor.shallow_clone()))
}

#[cfg(test)]
mod tests {
    use tch::Device;

    use super::fisher::tests::{batch, learner};
    use super::*;
    use crate::model::Mode;
    use tch::no_grad;

    fn see(ewc: &mut Ewc, learner: &Learner, task: usize, batch: &DeviceBatch) {
        let observed = ewc.observe(learner, task, batch).unwrap();
        ewc.take_in(learner, 2, &observed).unwrap();
    }

    /// One task is over and the first backbone parameter has moved by 1: the penalty of the next
    /// step.
    fn penalty(settings: &Settings) -> f64 {
        let learner = learner();
        let mut ewc = Ewc::new(settings);
        let step = batch(1.0);
        let output = learner.forward(&step.clips, Mode::Evaluate);
        let step = Step {
            batch: &step,
            output: &output,
            places: &[0, 1],
        };
        assert!(
            ewc.penalty(&learner, &step).is_none(),
            "task 0 has no penalty"
        );
        see(&mut ewc, &learner, 0, &batch(1.0));
        ewc.after_task(&learner, 0).unwrap();
        no_grad(|| {
            for (_, parameter) in learner.backbone().take(1) {
                let _ = parameter.shallow_clone().g_add_scalar_(1.0);
            }
        });
        ewc.penalty(&learner, &step).unwrap().double_value(&[])
    }

    #[test]
    fn the_seeds_penalty_counts_q_once_more() {
        let mut settings = Settings {
            ewc_lambda: 4.0,
            ..Settings::default()
        };
        let ours = penalty(&settings);
        settings.compat.ewc_penalty_counted_twice = true;
        assert!(ours > 0.0);
        assert!((penalty(&settings) / ours - 5.0 / 4.0).abs() < 1e-6);
    }

    #[test]
    fn a_later_fisher_is_merged_and_the_state_is_taken_back() {
        let learner = learner();
        let settings = Settings {
            ewc_alpha: 0.25,
            ..Settings::default()
        };
        let mut ewc = Ewc::new(&settings);
        see(&mut ewc, &learner, 0, &batch(1.0));
        ewc.after_task(&learner, 0).unwrap();
        let first = ewc.fisher["backbone.features"].double_value(&[0, 0]);
        // It may be stopped in the midst of it.
        see(&mut ewc, &learner, 1, &batch(2.0));
        let held: StateDict = ewc.under_way();
        let path = Path::new("checkpoint");
        ewc = Ewc::new(&settings);
        ewc.go_on(&learner, 1, path, held).unwrap();
        ewc.after_task(&learner, 1).unwrap();
        let second = estimate(
            &learner,
            FisherEstimate::Batch,
            1,
            &mut std::iter::once(Ok(batch(2.0))),
        )
        .unwrap();
        let wanted = 0.25 * first + 0.75 * second["backbone.features"].double_value(&[0, 0]);
        assert!((ewc.fisher["backbone.features"].double_value(&[0, 0]) - wanted).abs() < 1e-9);
        let mut resumed = Ewc::new(&settings);
        let path = Path::new("task-1-state.safetensors");
        let state = || -> StateDict { ewc.state().into_iter().collect() };
        resumed.restore(&learner, path, state()).unwrap();
        assert_eq!(
            resumed.fisher.keys().collect::<Vec<_>>(),
            ["backbone.features", "backbone.norm.weight"]
        );
        assert_eq!(resumed.old.len(), 2);
        let mut other = state();
        other.insert(
            "backbone.features".into(),
            Tensor::zeros([1], (Kind::Float, Device::Cpu)),
        );
        let refused = resumed
            .restore(&learner, path, other)
            .unwrap_err()
            .to_string();
        assert!(
            refused.contains("task-1-state.safetensors does not fit"),
            "{refused}"
        );
        assert!(
            refused.contains("1 misshapen: backbone.features [1]"),
            "{refused}"
        );
        let mut fewer = state();
        fewer.remove("backbone.features");
        assert!(resumed.restore(&learner, path, fewer).is_err());
    }
}
