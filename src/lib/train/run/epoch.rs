//! The epochs of a task: batches, losses, gradients, updates, and when it ends.

use std::sync::Arc;
use std::time::Instant;

use rand::Rng;
use tch::Tensor;

use super::Run;
use crate::data::Dataset;
use crate::model::Mode;
use crate::model::checkpoint::Snapshot;
use crate::progress::{Progress, Unit};
use crate::random;
use crate::train::TrainError;
use crate::train::approach::Step;
use crate::train::evaluate::{Evaluation, evaluate};
use crate::train::feed::FedBatch;
use crate::train::learner::finite;
use crate::train::optimizer::Optimizer;
use crate::train::profile::Phase;
use crate::train::rate_schedule::{RateSchedule, watched_figure};
use crate::train::record::EpochEnd;
use crate::train::selection::{Best, Selection};
use crate::train::settings::SchedulerName;
use crate::train::trained::Trained;

impl Run<'_> {
    /// Trains epochs until the schedule, early stopping or the limit ends the task. Gives the best
    /// epoch, the number of epochs and what ended them.
    pub(super) fn epochs(
        &mut self,
        task: usize,
    ) -> Result<(Best<Snapshot>, u32, &'static str), TrainError> {
        let (mut optimizer, mut schedule) = self.optimizer(task);
        let mut selection = Selection::new(self.settings.compat.rollback_before_best);
        for epoch in 0..self.settings.epochs {
            let trained = self.train_epoch(task, epoch, &mut optimizer, schedule.rates())?;
            let validation = self.evaluation(&self.data.tasks[task].validation)?;
            let rates = schedule.rates().to_vec();
            let mean_ap = validation.metrics.figures.mean_ap;
            let rate_changed =
                schedule.step(watched_figure(self.settings, validation.loss, mean_ap));
            selection.judge(&self.learner, epoch, mean_ap, rate_changed)?;
            let ended_by = self.ended_by(epoch, &schedule, &selection);
            self.record.epoch_ended(&EpochEnd {
                task,
                epoch,
                trained: &trained,
                validation: &validation,
                rates: &rates,
                best_epoch: selection.best_epoch().unwrap_or(epoch),
                ends_task: ended_by.is_some(),
            })?;
            if let Some(ended_by) = ended_by
                && let Some(best) = selection.take_best()
            {
                return Ok((best, epoch + 1, ended_by));
            }
        }
        // `Settings::check` refuses 0 epochs, and the last one returns above.
        Err(TrainError::Setting {
            flag: "--epochs",
            why: "must be at least 1".into(),
        })
    }

    /// What ends the task with `epoch`, if anything does.
    fn ended_by(
        &self,
        epoch: u32,
        schedule: &RateSchedule,
        selection: &Selection<Snapshot>,
    ) -> Option<&'static str> {
        let ended = if self.settings.scheduler == SchedulerName::Fixed {
            (selection.without_better() == self.settings.early_stop).then_some("early stop")
        } else {
            schedule.is_spent().then_some("rate spent")
        };
        ended.or((epoch + 1 == self.settings.epochs).then_some("epochs"))
    }

    /// A new optimizer without history and a new schedule. Equal rates: one group; otherwise the
    /// head comes first.
    fn optimizer(&self, task: usize) -> (Optimizer, RateSchedule) {
        let tensors = |parameters: &mut dyn Iterator<Item = (&str, &Tensor)>| -> Vec<Tensor> {
            parameters
                .map(|(_, tensor)| tensor.shallow_clone())
                .collect()
        };
        let head = tensors(&mut self.learner.trainable_head());
        let backbone = tensors(&mut self.learner.trainable_backbone());
        let (backbone_rate, head_rate) = self.settings.rates(task);
        #[allow(clippy::float_cmp)]
        // The seed makes one group where the two settings are the same number.
        let (groups, rates) = if backbone_rate == head_rate {
            (
                vec![head.into_iter().chain(backbone).collect()],
                vec![head_rate],
            )
        } else {
            (vec![head, backbone], vec![head_rate, backbone_rate])
        };
        let optimizer = Optimizer::new(self.settings.optimizer, self.settings.weight_decay, groups);
        (optimizer, RateSchedule::new(self.settings, task, rates))
    }

    /// One pass over the training list.
    fn train_epoch(
        &mut self,
        task: usize,
        epoch: u32,
        optimizer: &mut Optimizer,
        rates: &[f64],
    ) -> Result<Trained, TrainError> {
        // Dropout draws from libtorch's generator, which begins each epoch from a named stream.
        let seed = random::stream(
            self.settings.seed,
            "dropout",
            &[task as u64, u64::from(epoch)],
        )
        .next_u64();
        tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
        let lists = &self.data.tasks[task];
        let mut batches = self.feed.training(task, lists, u64::from(epoch))?;
        let total = batches.batches();
        let progress = Progress::new(
            &format!("task {task}, epoch {epoch}"),
            Some(total as u64),
            Unit::Count("batches"),
        );
        let mut trained = Trained::new(self.learner.device());
        let every = self.settings.accumulation.max(1);
        let mut pending = 0;
        optimizer.zero_grad();
        while let Some(batch) = self.feed.next(&lists.train, &mut batches)? {
            self.add_gradients(task, &batch, &mut trained);
            self.feed.recycle(batch);
            pending += 1;
            if pending == every {
                self.update(optimizer, rates);
                pending = 0;
            }
            progress.inc(1);
        }
        if pending > 0 {
            self.update(optimizer, rates);
        }
        progress.finish();
        trained.end()?;
        finite(trained.loss() + trained.penalty(), task, epoch)?;
        Ok(trained)
    }

    /// Forward and backward through one batch. Nothing here waits for a GPU.
    fn add_gradients(&mut self, task: usize, batch: &FedBatch, trained: &mut Trained) {
        let frozen_norms = self.settings.batch_norm_is_frozen(task)
            && !self.settings.compat.frozen_statistics_move;
        let mode = if frozen_norms {
            Mode::TrainFrozenNorms
        } else {
            Mode::Train
        };
        let (learner, approach) = (&self.learner, &self.approach);
        let loss = self.feed.clock.time(Phase::Forward, || {
            let output = learner.forward(&batch.device.clips, mode);
            let loss = learner
                .criterion()
                .loss(&output.logits, &batch.device.labels);
            let step = Step {
                batch: &batch.device,
                output: &output,
            };
            let penalty = approach.penalty(learner, &step);
            trained.add(&loss, penalty.as_ref(), batch.samples.len());
            penalty.map_or_else(|| loss.shallow_clone(), |penalty| &loss + penalty)
        });
        self.feed.clock.time(Phase::Backward, || loss.backward());
    }

    /// A step of the optimizer on the gradients so far, which are forgotten.
    fn update(&mut self, optimizer: &mut Optimizer, rates: &[f64]) {
        self.feed.clock.time(Phase::Optimizer, || {
            optimizer.step(rates);
            optimizer.zero_grad();
        });
    }

    pub(super) fn evaluation(&mut self, list: &Arc<Dataset>) -> Result<Evaluation, TrainError> {
        let begun = Instant::now();
        let result = evaluate(
            &self.learner,
            &self.data.deal.taxonomy,
            list,
            &mut self.feed,
        );
        self.feed.clock.add(Phase::Evaluation, begun.elapsed());
        result
    }
}
