//! The epochs of a task: batches, losses, gradients, updates, and when it ends.

use std::time::Instant;

use rand::Rng;
use tch::Tensor;

use super::Run;
use super::under_way::{UnderWay, VALIDATION, answers_of};
use crate::model::Mode;
use crate::model::checkpoint;
use crate::progress::{Progress, Unit};
use crate::random;
use crate::run_record::{Part, Position};
use crate::train::TrainError;
use crate::train::approach::Step;
use crate::train::evaluate::Evaluation;
use crate::train::feed::FedBatch;
use crate::train::optimizer::Optimizer;
use crate::train::profile::Phase;
use crate::train::rate_schedule::{RateSchedule, watched_figure};
use crate::train::record::{EpochEnd, extend};
use crate::train::settings::SchedulerName;
use crate::train::status;
use crate::train::trained::Trained;
use crate::train::trouble::{Divergence, Watch, Work};
use crate::train::watch::Moment;

impl Run<'_> {
    /// Trains the rest of the epoch under way, validates, and judges: it ends the task, or the next
    /// one begins.
    pub(super) fn epoch(&mut self, at: &mut UnderWay) -> Result<(), TrainError> {
        let device = self.learner.device();
        if at.position.part == Part::Training {
            self.train_epoch(at)?;
            at.enter(Part::Validation, device);
        }
        at.trained.end()?;
        let Position { task, epoch, .. } = at.position;
        self.ask(at)?;
        let validation = self.judged(at, VALIDATION)?;
        let rates = at.schedule.rates().to_vec();
        let mean_ap = validation.metrics.figures.mean_ap;
        let watched = watched_figure(self.settings, validation.loss, mean_ap);
        let rate_changed = at.schedule.step(watched);
        at.selection
            .judge(&self.learner, epoch, mean_ap, rate_changed)?;
        let ends_task = self.ended_by(at).is_some();
        let pace = self.forecast.epoch_ended(
            (task, epoch),
            (at.trained.seconds(), at.trained.timed_clips()),
            (validation.seconds, validation.clips.len()),
            ends_task,
        );
        status::log(task, epoch, &pace);
        self.record.epoch_ended(&EpochEnd {
            pace: &pace,
            task,
            epoch,
            trained: &at.trained,
            validation: &validation,
            rates: &rates,
            best_epoch: at.selection.best().map_or(epoch, |best| best.epoch),
            ends_task,
        })?;
        if ends_task {
            if let Some(best) = at.selection.best() {
                checkpoint::restore(self.learner.store(), &best.weights)?;
            }
            at.enter(Part::BestValidation, device);
        } else {
            at.position.epoch += 1;
            at.enter(Part::Training, device);
        }
        self.look(Moment::EpochEnd, at)
    }

    /// What ends the task with the epoch that was judged last, if anything does.
    pub(super) fn ended_by(&self, at: &UnderWay) -> Option<&'static str> {
        let ended = if self.settings.scheduler == SchedulerName::Fixed {
            let without_better = at.selection.without_better();
            (without_better == self.settings.early_stop).then_some("early stop")
        } else {
            at.schedule.is_spent().then_some("rate spent")
        };
        let is_last = at.position.epoch + 1 == self.epochs[at.position.task];
        ended.or(is_last.then_some(extend::LAST_EPOCH))
    }

    /// A new optimizer without history and a new schedule. Equal rates: one group; otherwise the
    /// head comes first.
    pub(super) fn optimizer(&self, task: usize) -> (Optimizer, RateSchedule) {
        let tensors = |parameters: &mut dyn Iterator<Item = (&str, &Tensor)>| -> Vec<Tensor> {
            parameters
                .map(|(_, tensor)| tensor.shallow_clone())
                .collect()
        };
        let head = tensors(&mut self.learner.trainable_head());
        let backbone = tensors(&mut self.learner.trainable_backbone());
        let stage = self.stage(task);
        let (backbone_rate, head_rate) = self.settings.rates(stage);
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
        (optimizer, RateSchedule::new(self.settings, stage, rates))
    }

    /// The rest of a pass over the training list. Where it may be stopped, no gradient is pending.
    fn train_epoch(&mut self, at: &mut UnderWay) -> Result<(), TrainError> {
        let Position {
            task,
            epoch,
            batches: first,
            ..
        } = at.position;
        let data = self.data;
        let lists = &data.tasks[task];
        let mut pass = self.feed.training(task, lists, u64::from(epoch), first)?;
        let progress = Progress::new(
            &format!("task {task}, epoch {epoch}"),
            Some(pass.batches() as u64),
            Unit::Count("batches"),
        );
        progress.inc(first as u64);
        let mut watch = Watch::new(self.learner.device());
        self.work = Work::Training { epoch };
        let every = self.settings.accumulation.max(1);
        let mut pending = 0;
        at.optimizer.zero_grad();
        while let Some(batch) = self.feed.next(&lists.train, &mut pass)? {
            seed_dropout(self.settings.seed, task, epoch, batch.number);
            self.add_gradients(task, &batch, &mut at.trained, &mut watch)
                .map_err(|found| self.diverged(task, epoch, found))?;
            self.feed.recycle(batch);
            progress.inc(1);
            pending += 1;
            if pending == every {
                self.update(at, pass.position(), &mut watch)?;
                pending = 0;
            }
        }
        if pending > 0 {
            self.update(at, pass.position(), &mut watch)?;
        }
        progress.finish();
        watch
            .look()
            .map_err(|found| self.diverged(task, epoch, found))
    }

    /// A loss of `task` and `epoch` that is no number, with the names of its clips.
    fn diverged(
        &self,
        task: usize,
        epoch: u32,
        (mut found, clips): (Box<Divergence>, Vec<usize>),
    ) -> TrainError {
        let list = self.data.tasks[task].train.samples();
        let names = clips.iter().filter_map(|&clip| list.get(clip));
        found.clips = names.map(|sample| sample.clip_id.clone()).collect();
        found.checkpoint = self.record.last_weights();
        TrainError::Diverged { task, epoch, found }
    }

    /// Forward and backward through one batch. Nothing here waits for a GPU but a look of `watch`.
    fn add_gradients(
        &mut self,
        task: usize,
        batch: &FedBatch,
        trained: &mut Trained,
        watch: &mut Watch,
    ) -> Result<(), (Box<Divergence>, Vec<usize>)> {
        let frozen_norms = self.settings.batch_norm_is_frozen(self.stage(task))
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
            watch.loss(&loss, penalty.as_ref(), &batch.samples)?;
            Ok(penalty.map_or_else(|| loss.shallow_clone(), |penalty| &loss + penalty))
        })?;
        self.feed.clock.time(Phase::Backward, || loss.backward());
        Ok(())
    }

    /// A step of the optimizer on the gradients so far, which are forgotten: `batches` of the epoch
    /// are done.
    fn update(
        &mut self,
        at: &mut UnderWay,
        batches: usize,
        watch: &mut Watch,
    ) -> Result<(), TrainError> {
        self.feed.clock.time(Phase::Optimizer, || {
            watch.step(at.optimizer.gradient_norm());
            at.optimizer.step(at.schedule.rates());
            at.optimizer.zero_grad();
        });
        at.position.batches = batches;
        self.look(Moment::Training, at)
    }

    /// Asks the model about the rest of the list that the part of the task is about.
    pub(super) fn ask(&mut self, at: &mut UnderWay) -> Result<(), TrainError> {
        self.work = Work::Evaluating;
        let which = answers_of(at.position.part);
        let list = self.list(at, which);
        let mut pass = self.feed.in_order(list, at.position.batches);
        let mut begun = Instant::now();
        while let Some(batch) = self.feed.next_untimed(list, &mut pass)? {
            at.answers[which].add(&self.learner, &batch);
            self.feed.recycle(batch);
            at.position.batches = pass.position();
            self.feed.clock.add(Phase::Evaluation, begun.elapsed());
            self.look(Moment::Evaluation, at)?;
            begun = Instant::now();
        }
        Ok(())
    }

    /// How good the answers are, on the validation set or on the test set.
    pub(super) fn judged(&mut self, at: &UnderWay, which: usize) -> Result<Evaluation, TrainError> {
        let begun = Instant::now();
        let (criterion, taxonomy) = (self.learner.criterion(), &self.data.deal.taxonomy);
        let result = at.answers[which].judge(criterion, taxonomy, self.list(at, which));
        self.feed.clock.add(Phase::Evaluation, begun.elapsed());
        result
    }
}

/// Begins libtorch's generator, on every device, for the micro-batch `number`: dropout draws from a
/// named stream, so nothing of a generator has to be kept to go on behind any of them.
fn seed_dropout(seed: u64, task: usize, epoch: u32, number: usize) {
    let keys = [task as u64, u64::from(epoch), number as u64];
    let drawn = random::stream(seed, "dropout", &keys).next_u64();
    tch::manual_seed(i64::from_le_bytes(drawn.to_le_bytes()));
}
