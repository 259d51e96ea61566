//! The loop: task after task, epoch after epoch, in the order of events of the seed (`main.py`).

use serde_json::Value;
use tch::{Device, Tensor};

use super::TrainError;
use super::approach::{self, Approach, DeviceBatch, Step};
use super::evaluate::{Evaluation, evaluate, judge_rows};
use super::feed::Feed;
use super::learner::{Learner, finite, movinet};
use super::logbook::{Logbook, Trained};
use super::optimizer::Optimizer;
use super::plan::Plan;
use super::profile::Phase;
use super::record::{Opened, Record, TaskOutcome};
use super::schedule::{Schedule, watched_figure};
use super::settings::{DeviceChoice, SchedulerName, Settings, TrainConfig};
use super::summary::{Summary, summarise};
use crate::clip::Split;
use crate::metrics::Figures;
use crate::model::checkpoint::{self, LoadMode, Snapshot};
use crate::model::{Mode, ModelConfig, state_dict};
use crate::progress::{Progress, Unit};
use crate::random;
use crate::run_tables::PredictionRow;
use rand::Rng;

/// Trains every task that is not done yet in the run directory of `config`, and says how it went.
///
/// A run that was killed is taken up at its first unfinished task; a complete one is left as it is. libtorch's random
/// generator belongs to the whole process, so two runs in one process at a time disturb each other's dropout.
///
/// # Errors
/// When settings make no sense, inputs cannot be read, the run directory holds another run, or the loss diverges.
pub fn run(config: &TrainConfig) -> Result<Summary, TrainError> {
    config.settings.check()?;
    let device = device(config.device)?;
    if let Some(threads) = config.threads {
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    }
    let mut plan = Plan::read(&config.availability, &config.shards)?;
    if config.settings.stop_after_first_task {
        plan.tasks.truncate(1);
    }
    if plan.tasks.is_empty() {
        return Err(TrainError::NoTask);
    }
    let record = match Record::open(config, &plan)? {
        Opened::Complete(summary, _) => {
            tracing::info!("{} is complete; nothing to do", config.out.display());
            return Ok(Summary::new(config, summary, true));
        }
        Opened::Unfinished(record) => record,
    };
    let mut run = Run::start(config, plan, record, device)?;
    for task in run.record.done()..run.plan.tasks.len() {
        run.task(task)?;
    }
    run.finish()
}

/// The device that a choice stands for.
fn device(choice: DeviceChoice) -> Result<Device, TrainError> {
    match choice {
        DeviceChoice::Cpu => Ok(Device::Cpu),
        DeviceChoice::Auto => Ok(Device::cuda_if_available()),
        DeviceChoice::Cuda(index) => {
            let found = tch::Cuda::device_count();
            if i64::try_from(index).is_ok_and(|index| index < found) {
                Ok(Device::Cuda(index))
            } else {
                Err(TrainError::Device { index, found })
            }
        }
    }
}

/// A run under way.
struct Run<'a> {
    config: &'a TrainConfig,
    settings: &'a Settings,
    plan: Plan,
    record: Record,
    learner: Learner,
    approach: Box<dyn Approach>,
    feed: Feed,
    logbook: Logbook,
    /// The test figures of the tasks done.
    tested: Vec<Figures>,
}

/// The best epoch of a task so far.
struct Best {
    mean_ap: Option<f64>,
    epoch: u32,
    weights: Snapshot,
}

impl<'a> Run<'a> {
    /// Builds the model, and puts back what the done tasks left.
    fn start(config: &'a TrainConfig, plan: Plan, record: Record, device: Device) -> Result<Self, TrainError> {
        let settings = &config.settings;
        let model = ModelConfig {
            variant: settings.variant,
            geometry: settings.geometry,
            classes: i64::try_from(plan.classes()).unwrap_or(i64::MAX),
            dropout: settings.dropout,
            path: settings.model_path,
            seed: settings.seed,
            ..ModelConfig::default()
        };
        let learner = Learner::new(movinet(model), device, settings.criterion);
        let mut run = Self {
            settings,
            learner,
            approach: approach::make(settings),
            feed: Feed::new(config, device),
            logbook: Logbook::open(&record)?,
            tested: Vec::new(),
            config,
            plan,
            record,
        };
        run.load_pretrained()?;
        run.resume()?;
        Ok(run)
    }

    fn load_pretrained(&self) -> Result<(), TrainError> {
        if let Some(path) = &self.config.pretrained {
            let loaded = checkpoint::load(path, self.learner.store(), LoadMode::Backbone)?;
            tracing::info!("{}: {loaded}", path.display());
        }
        Ok(())
    }

    /// Puts back weights, approach and figures of the tasks that are done.
    fn resume(&mut self) -> Result<(), TrainError> {
        let done = self.record.done();
        let Some(last) = done.checked_sub(1) else {
            return Ok(());
        };
        tracing::info!("{}: {done} of {} tasks are done; going on", self.config.out.display(), self.plan.tasks.len());
        checkpoint::load(&self.record.checkpoint(last), self.learner.store(), LoadMode::Exact)?;
        if self.approach.wants_batches() {
            let state = state_dict::read(&self.record.state(last)).map_err(checkpoint::CheckpointError::from)?;
            self.approach.restore(&self.learner, state.tensors.into_iter().collect());
        }
        for task in 0..done {
            let rows: Vec<&PredictionRow> = self
                .record
                .predictions
                .iter()
                .filter(|row| usize::try_from(row.task) == Ok(task) && row.split == Split::Test)
                .collect();
            self.tested.push(judge_rows(&self.plan, self.settings.criterion, &rows)?.figures);
        }
        if let Some(outcome) = self.record.progress.tasks.last() {
            self.feed.skipped.extend(outcome.skipped.iter().cloned());
        }
        Ok(())
    }

    /// Trains and evaluates one task, and publishes what came of it.
    fn task(&mut self, task: usize) -> Result<(), TrainError> {
        self.announce(task);
        // Without --from-scratch no weights are drawn anew: the model holds the best of the task before.
        if self.settings.from_scratch && task > 0 {
            self.learner.restart();
            self.load_pretrained()?;
        }
        self.feed.clock.time(Phase::Approach, || self.approach.before_task(&self.learner, task))?;
        self.learner.freeze(self.settings.backbone_is_frozen(task), self.settings.batch_norm_is_frozen(task));
        let (best, epochs, ended_by) = self.epochs(task)?;
        checkpoint::restore(self.learner.store(), &best.weights)?;

        let plan = self.plan.tasks[task].clone();
        let validation = self.evaluation(&plan.validation)?;
        let test = self.evaluation(&plan.test)?;
        self.tested.push(test.metrics.figures.clone());
        let step = if self.settings.compat.final_metrics_at_last_epoch { epochs - 1 } else { best.epoch };
        self.logbook.end_of_task(&mut self.record, &self.plan, task, step, [&validation, &test], &self.tested)?;

        if self.approach.wants_batches() {
            self.between_tasks(task)?;
        }
        let outcome = TaskOutcome {
            best_epoch: best.epoch,
            epochs,
            ended_by,
            unusable: plan.unusable,
            skipped: self.feed.skipped.iter().cloned().collect(),
        };
        self.publish(task, outcome)
    }

    /// Trains epochs until the schedule, early stopping or the limit ends the task. Gives the best epoch, the number of
    /// epochs and what ended them.
    fn epochs(&mut self, task: usize) -> Result<(Best, u32, String), TrainError> {
        let (mut optimizer, mut schedule) = self.optimizer(task);
        let mut best: Option<Best> = None;
        let mut without_better = 0;
        let compat = self.settings.compat;
        for epoch in 0..self.settings.epochs {
            let trained = self.train_epoch(task, epoch, &mut optimizer, schedule.rates())?;
            let validation = self.evaluation(&self.plan.tasks[task].validation.clone())?;
            let rates = schedule.rates().to_vec();
            let mean_ap = validation.metrics.figures.mean_ap;
            let rate_changed = schedule.step(watched_figure(self.settings, validation.loss, mean_ap));
            if rate_changed && compat.rollback_before_best {
                self.roll_back(best.as_ref())?;
            }
            // Strictly better; the first epoch always counts. `None < Some`, so a defined figure beats an undefined one.
            if best.as_ref().is_none_or(|best| mean_ap > best.mean_ap) {
                let weights = checkpoint::snapshot(self.learner.store())?;
                best = Some(Best { mean_ap, epoch, weights });
                without_better = 0;
            } else {
                without_better += 1;
            }
            if rate_changed && !compat.rollback_before_best {
                self.roll_back(best.as_ref())?;
            }
            let best_epoch = best.as_ref().map_or(epoch, |best| best.epoch);
            self.logbook.end_of_epoch(&mut self.record, task, epoch, &trained, &validation, &rates, best_epoch)?;
            let ended = if self.settings.scheduler == SchedulerName::Fixed {
                (without_better == self.settings.early_stop).then_some("early stop")
            } else {
                schedule.is_spent().then_some("rate spent")
            };
            let ended = ended.or((epoch + 1 == self.settings.epochs).then_some("epochs"));
            if let (Some(ended), Some(best)) = (ended, best.take_if(|_| ended.is_some())) {
                return Ok((best, epoch + 1, ended.to_owned()));
            }
        }
        // `Settings::check` refuses 0 epochs, and the last one returns above.
        Err(TrainError::Setting { flag: "--epochs", why: "must be at least 1".into() })
    }

    /// A new optimizer without history and a new schedule. Equal rates: one group; otherwise the head comes first.
    fn optimizer(&self, task: usize) -> (Optimizer, Schedule) {
        let tensors = |parameters: &mut dyn Iterator<Item = (&str, &Tensor)>| -> Vec<Tensor> {
            parameters.map(|(_, tensor)| tensor.shallow_clone()).collect()
        };
        let head = tensors(&mut self.learner.trainable_head());
        let backbone = tensors(&mut self.learner.trainable_backbone());
        let (backbone_rate, head_rate) = self.settings.rates(task);
        #[allow(clippy::float_cmp)] // The seed makes one group where the two settings are the same number.
        let (groups, rates) = if backbone_rate == head_rate {
            (vec![head.into_iter().chain(backbone).collect()], vec![head_rate])
        } else {
            (vec![head, backbone], vec![head_rate, backbone_rate])
        };
        let optimizer = Optimizer::new(self.settings.optimizer, self.settings.weight_decay, groups);
        (optimizer, Schedule::new(self.settings, task, rates))
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
        let seed = random::stream(self.settings.seed, "dropout", &[task as u64, u64::from(epoch)]).next_u64();
        tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
        let frozen_norms = self.settings.batch_norm_is_frozen(task) && !self.settings.compat.frozen_statistics_move;
        let mode = if frozen_norms { Mode::TrainFrozenNorms } else { Mode::Train };
        let plan = self.plan.tasks[task].clone();
        let mut batches = self.feed.training(task, &plan, u64::from(epoch))?;
        let total = batches.batches();
        let progress = Progress::new(&format!("task {task}, epoch {epoch}"), Some(total as u64), Unit::Count("batches"));
        let mut trained = Trained::new(self.learner.device());
        let every = self.settings.accumulation.max(1);
        let mut pending = 0;
        optimizer.zero_grad();
        while let Some(batch) = self.feed.next(&plan.train, &mut batches)? {
            let Self { learner, approach, feed, .. } = self;
            let loss = feed.clock.time(Phase::Forward, || {
                let output = learner.forward(&batch.device.clips, mode);
                let loss = learner.criterion().loss(&output.logits, &batch.device.labels);
                let penalty = approach.penalty(learner, &Step { batch: &batch.device, output: &output });
                trained.add(&loss, penalty.as_ref(), batch.samples.len());
                penalty.map_or_else(|| loss.shallow_clone(), |penalty| &loss + penalty)
            });
            feed.clock.time(Phase::Backward, || loss.backward());
            pending += 1;
            if pending == every {
                feed.clock.time(Phase::Optimizer, || optimizer.step(rates));
                optimizer.zero_grad();
                pending = 0;
            }
            progress.inc(1);
        }
        if pending > 0 {
            self.feed.clock.time(Phase::Optimizer, || optimizer.step(rates));
        }
        progress.finish();
        trained.end();
        finite(trained.loss() + trained.penalty(), task, epoch)?;
        Ok(trained)
    }

    fn evaluation(&mut self, list: &std::sync::Arc<crate::data::Dataset>) -> Result<Evaluation, TrainError> {
        let begun = std::time::Instant::now();
        let result = evaluate(&self.learner, &self.plan, list, &mut self.feed);
        self.feed.clock.add(Phase::Evaluation, begun.elapsed());
        result
    }

    fn roll_back(&self, best: Option<&Best>) -> Result<(), TrainError> {
        match best {
            Some(best) => Ok(checkpoint::restore(self.learner.store(), &best.weights)?),
            None => Ok(()),
        }
    }

    /// Lets the approach take from the task what it needs for the next.
    fn between_tasks(&mut self, task: usize) -> Result<(), TrainError> {
        let begun = std::time::Instant::now();
        let plan = self.plan.tasks[task].clone();
        let mut batches = self.feed.fisher(task, &plan)?;
        let Self { learner, approach, feed, .. } = self;
        let mut on_device = std::iter::from_fn(|| {
            feed.next_untimed(&plan.train, &mut batches)
                .map(|batch| batch.map(|batch| -> DeviceBatch { batch.device }))
                .transpose()
        });
        approach.after_task(learner, task, &mut on_device)?;
        self.feed.clock.add(Phase::Approach, begun.elapsed());
        Ok(())
    }

    /// Publishes weights, tables and, last, that the task is done.
    fn publish(&mut self, task: usize, outcome: TaskOutcome) -> Result<(), TrainError> {
        let begun = std::time::Instant::now();
        let metadata = self.record.metadata(task);
        checkpoint::save(&self.record.checkpoint(task), self.learner.store(), &metadata)?;
        if self.approach.wants_batches() {
            let state = self.approach.state().into_iter().collect();
            checkpoint::write(&self.record.state(task), &state, &metadata)?;
        }
        self.feed.clock.add(Phase::Checkpoint, begun.elapsed());
        self.logbook.note_phases(&mut self.record, task, &mut self.feed.clock);
        self.record.progress.tensorboard_bytes = self.logbook.bytes()?;
        self.record.publish_task(outcome)
    }

    fn announce(&self, task: usize) {
        let plan = &self.plan.tasks[task];
        let passed_over: usize = plan.unusable.iter().sum();
        tracing::info!(
            "task {task} of {}: {} clips to train on, {} to validate, {} to test{}",
            self.plan.tasks.len(),
            plan.train.len(),
            plan.validation.len(),
            plan.test.len(),
            if passed_over == 0 { String::new() } else { format!("; {passed_over} listed clips have no frames and are passed over") },
        );
    }

    /// Publishes the summary.
    fn finish(self) -> Result<Summary, TrainError> {
        let summary: Value = summarise(&self.plan, self.settings, &self.record);
        self.record.complete(&summary)?;
        if self.config.profile {
            eprintln!("{}", self.feed.clock.report());
        }
        Ok(Summary::new(self.config, summary, false))
    }
}
