//! The epochs of a task: batches, losses, gradients, updates, and when it ends.

use std::ops::Range;
use std::sync::Arc;

use rand::Rng;
use tch::{Kind, Tensor};

use super::Run;
use super::asking::nothing;
use super::under_way::{UnderWay, VALIDATION};
use crate::data::Dataset;
use crate::model::Mode;
use crate::model::checkpoint;
use crate::progress::{Progress, Unit};
use crate::random;
use crate::run_record::{Part, Position};
use crate::train::TrainError;
use crate::train::alike;
use crate::train::approach::{DeviceBatch, Step};
use crate::train::dealt::{Gradients, Outcome, Together};
use crate::train::feed::{Epoch, Pass};
use crate::train::optimizer::Optimizer;
use crate::train::profile::Phase;
use crate::train::rate_schedule::{RateSchedule, watched_figure};
use crate::train::record::{EpochEnd, extend};
use crate::train::settings::SchedulerName;
use crate::train::status;
use crate::train::trained::Trained;
use crate::train::trouble::{Divergence, Watch, Work};
use crate::train::watch::Moment;
use crate::train::world::{World, WorldError};

/// What a micro-batch of training comes to: its classification loss and, where the approach adds one, the penalty.
const LOSSES: usize = 2;

impl Run<'_> {
    /// Trains the rest of the epoch under way, validates, and judges: it ends the task, or the next
    /// one begins.
    pub(super) fn epoch(&mut self, at: &mut UnderWay) -> Result<(), TrainError> {
        let device = self.learner.device();
        if at.position.part == Part::Training {
            self.train_epoch(at)?;
            at.enter(Part::Validation, device);
        }
        let Position { task, epoch, .. } = at.position;
        at.trained.end(task, self.training_list(task).len())?;
        self.ask(at)?;
        let validation = self.judged(at, VALIDATION)?;
        let rates = at.schedule.rates().to_vec();
        let mean_ap = validation.metrics.figures.mean_ap;
        let watched = watched_figure(self.settings, validation.loss, mean_ap);
        let rate_changed = at.schedule.step(watched);
        alike::same_weights(self.world, &self.learner, task, epoch)?;
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
        let list = self.training_list(task);
        let mut pass = self.feed.training(&self.epoch_of(task, epoch), first)?;
        self.feed.list_follows(&data.tasks[task].validation);
        self.next_epoch_follows(task, epoch)?;
        let progress = Progress::new(
            &format!("task {task}, epoch {epoch}"),
            Some(pass.batches() as u64),
            Unit::Count("batches"),
        );
        progress.inc(first as u64);
        let mut watch = Watch::new(self.learner.device());
        self.work = Work::Training { epoch };
        let every = self.settings.micro_batches();
        let mut gradients = Gradients::new(self.world, &at.optimizer);
        let (mut done, mut pending) = (first, 0);
        while done < pass.batches() {
            // As many as the step still lacks: of a batch without readable clips, the next one takes the place.
            let window = done..pass.batches().min(done + every - pending);
            let own = self.micro_batches(at.position, &list, &mut pass, &window, &mut gradients)?;
            let outcomes = self.together(own, &window, LOSSES)?;
            self.gathered(|world| gradients.add(world, &window, &outcomes))?;
            for outcome in &outcomes {
                self.feed.note_skipped(&list, &outcome.skipped)?;
                pending += usize::from(outcome.was_computed());
                self.count(outcome, &mut at.trained, &mut watch)
                    .map_err(|found| self.diverged(task, epoch, found))?;
            }
            progress.inc(window.len() as u64);
            done = window.end;
            if pending == every || (pending > 0 && done == pass.batches()) {
                gradients.give();
                self.update(at, done, &mut watch)?;
                pending = 0;
            }
        }
        progress.finish();
        watch
            .look()
            .map_err(|found| self.diverged(task, epoch, found))
    }

    /// Forward and backward through this rank's batches of `window`.
    fn micro_batches(
        &mut self,
        at: Position,
        list: &Dataset,
        pass: &mut Pass,
        window: &Range<usize>,
        gradients: &mut Gradients,
    ) -> Result<Vec<Outcome>, TrainError> {
        let (task, epoch) = (at.task, at.epoch);
        let mut own = Vec::new();
        while let Some(batch) = self.feed.next(list, pass, window.end)? {
            let number = batch.number;
            let (values, moments) = match batch.device {
                Some(device) => {
                    seed_dropout(self.settings.seed, task, epoch, number);
                    let computed = self.add_gradients(task, &device, &batch.samples);
                    gradients.take(number);
                    self.feed.recycle(device);
                    computed
                }
                None => (nothing(self.learner.device()), None),
            };
            own.push(Outcome {
                number,
                samples: batch.samples,
                skipped: batch.skipped,
                values,
                moments,
            });
        }
        Ok(own)
    }

    /// The outcomes of all ranks' batches of `window`, of at most so many values each, in order.
    pub(super) fn together(
        &mut self,
        own: Vec<Outcome>,
        window: &Range<usize>,
        values: usize,
    ) -> Result<Vec<Outcome>, TrainError> {
        let (batch_size, device) = (self.feed.batch_size(), self.learner.device());
        self.gathered(|world| {
            let together = Together {
                world,
                batch_size,
                values,
                device,
            };
            together.of(own, window)
        })
    }

    /// Does what needs the other ranks, timed.
    fn gathered<T>(
        &mut self,
        work: impl FnOnce(&World) -> Result<T, WorldError>,
    ) -> Result<T, TrainError> {
        let world = self.world;
        Ok(self.feed.clock.time(Phase::Gathering, || work(world))?)
    }

    /// Counts a micro-batch that some rank has computed: its losses, and the moments that move the running statistics.
    fn count(
        &self,
        outcome: &Outcome,
        trained: &mut Trained,
        watch: &mut Watch,
    ) -> Result<(), (Box<Divergence>, Vec<usize>)> {
        if !outcome.was_computed() {
            return Ok(());
        }
        let (loss, clips) = (outcome.values.get(0), &outcome.samples);
        let penalty = (outcome.values.numel() == LOSSES).then(|| outcome.values.get(1));
        if let Some(moments) = &outcome.moments {
            self.learner.move_statistics(moments);
        }
        trained.add(&loss, penalty.as_ref(), clips.len());
        watch.loss(&loss, penalty.as_ref(), clips)
    }

    fn epoch_of(&self, task: usize, epoch: u32) -> Epoch<'_> {
        Epoch {
            task,
            lists: &self.data.tasks[task],
            replay: self.replay.as_ref(),
            number: u64::from(epoch),
        }
    }

    /// Says where the clips come from that behind what is known to come another epoch follows, if `epoch` is not the last.
    pub(super) fn next_epoch_follows(&self, task: usize, epoch: u32) -> Result<(), TrainError> {
        if epoch + 1 < self.epochs[task] {
            self.feed.epoch_follows(&self.epoch_of(task, epoch + 1))?;
        }
        Ok(())
    }

    /// The clips that `task` trains on.
    fn training_list(&self, task: usize) -> Arc<Dataset> {
        let replayed = self.replay.as_ref().map(|replay| &replay.list);
        Arc::clone(replayed.unwrap_or(&self.data.tasks[task].train))
    }

    /// A loss of `task` and `epoch` that is no number, with the names of its clips.
    fn diverged(
        &self,
        task: usize,
        epoch: u32,
        (mut found, clips): (Box<Divergence>, Vec<usize>),
    ) -> TrainError {
        let list = self.training_list(task);
        let names = clips.iter().filter_map(|&clip| list.samples().get(clip));
        found.clips = names.map(|sample| sample.clip_id.clone()).collect();
        found.checkpoint = self.record.last_weights();
        TrainError::Diverged { task, epoch, found }
    }

    /// Forward and backward through one batch: its losses and moments. Nothing here waits for a GPU.
    fn add_gradients(
        &mut self,
        task: usize,
        batch: &DeviceBatch,
        places: &[usize],
    ) -> (Tensor, Option<Tensor>) {
        let frozen_norms = self.settings.batch_norm_is_frozen(self.stage(task))
            && !self.settings.compat.frozen_statistics_move;
        let mode = if frozen_norms {
            Mode::TrainFrozenNorms
        } else {
            Mode::Train
        };
        let (learner, approach) = (&self.learner, &self.approach);
        let (sum, losses, moments) = self.feed.clock.time(Phase::Forward, || {
            let (output, moments) = learner.forward_apart(&batch.clips, mode);
            let step = Step {
                batch,
                output: &output,
                places,
            };
            let loss = approach.classification(learner, &step);
            let penalty = approach.penalty(learner, &step);
            let apart = [Some(&loss), penalty.as_ref()].into_iter().flatten();
            let apart: Vec<Tensor> = apart.map(|value| value.detach().reshape([1])).collect();
            let losses = Tensor::cat(&apart, 0).to_kind(Kind::Float);
            let sum = penalty.map_or_else(|| loss.shallow_clone(), |penalty| &loss + penalty);
            (sum, losses, moments)
        });
        self.feed.clock.time(Phase::Backward, || sum.backward());
        (losses, moments)
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
}

/// Begins libtorch's generator, on every device, for the micro-batch `number`: dropout draws from a
/// named stream, so nothing of a generator has to be kept to go on behind any of them.
fn seed_dropout(seed: u64, task: usize, epoch: u32, number: usize) {
    let keys = [task as u64, u64::from(epoch), number as u64];
    let drawn = random::stream(seed, "dropout", &keys).next_u64();
    tch::manual_seed(i64::from_le_bytes(drawn.to_le_bytes()));
}
