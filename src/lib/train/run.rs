//! The loop: task after task, epoch after epoch, in the order of events of the seed (`main.py`).

use std::sync::Arc;
use std::time::Instant;

use rand::Rng;
use serde_json::Value;
use tch::{Device, Tensor};

use super::TrainError;
use super::approach::{self, Approach, DeviceBatch, Step};
use super::evaluate::{Evaluation, evaluate, judge_rows};
use super::feed::Feed;
use super::learner::{Learner, finite, movinet};
use super::logbook::{EpochOutcome, Logbook, Trained};
use super::optimizer::Optimizer;
use super::plan::Plan;
use super::profile::Phase;
use super::record::{Opened, Record, TaskOutcome};
use super::schedule::{Schedule, watched_figure};
use super::seed_outputs::{self, SeedOutputs};
use super::selection::{Best, Selection, Weights};
use super::settings::{DeviceChoice, SchedulerName, Settings, TrainConfig};
use super::summary::{Summary, summarise};
use crate::clip::Split;
use crate::data::Dataset;
use crate::metrics::Figures;
use crate::model::checkpoint::{self, LoadMode, Snapshot};
use crate::model::{Mode, ModelConfig, state_dict};
use crate::progress::{Progress, Unit};
use crate::random;
use crate::run_tables::PredictionRow;

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
        Opened::Complete(summary, record) => {
            tracing::info!("{} is complete; nothing to do", config.out.display());
            if config.seed_outputs && !record.folder().join(seed_outputs::SUMMARY_FILE).exists() {
                let learner = Learner::new(
                    movinet(model(config, &plan)),
                    Device::Cpu,
                    config.settings.criterion,
                );
                SeedOutputs {
                    config,
                    plan: &plan,
                    record: &record,
                }
                .of_complete_run(learner.store())?;
            }
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

/// The network that the settings ask for.
fn model(config: &TrainConfig, plan: &Plan) -> ModelConfig {
    let settings = &config.settings;
    ModelConfig {
        variant: settings.variant,
        geometry: settings.geometry,
        classes: i64::try_from(plan.classes()).unwrap_or(i64::MAX),
        dropout: settings.dropout,
        path: settings.model_path,
        seed: settings.seed,
        checkpoint_blocks: settings.checkpoint_blocks,
    }
}

impl Weights for Learner {
    type Copy = Snapshot;

    fn copy(&self) -> Result<Snapshot, TrainError> {
        Ok(checkpoint::snapshot(self.store())?)
    }

    fn put_back(&self, copy: &Snapshot) -> Result<(), TrainError> {
        Ok(checkpoint::restore(self.store(), copy)?)
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

impl<'a> Run<'a> {
    /// Builds the model, and puts back what the done tasks left.
    fn start(
        config: &'a TrainConfig,
        plan: Plan,
        record: Record,
        device: Device,
    ) -> Result<Self, TrainError> {
        let settings = &config.settings;
        let learner = Learner::new(movinet(model(config, &plan)), device, settings.criterion);
        let mut run = Self {
            settings,
            learner,
            approach: approach::make(settings),
            feed: Feed::new(config, device),
            logbook: Logbook::open(&record, config.seed_outputs)?,
            tested: Vec::new(),
            config,
            plan,
            record,
        };
        run.load_pretrained()?;
        run.resume()?;
        run.seed_outputs(|outputs, store| {
            outputs.at_start()?;
            // A run may have been killed between a task's end and its files; the model holds that task's weights now.
            match outputs.record.done().checked_sub(1) {
                Some(last) => outputs.after_task(last, store),
                None => Ok(()),
            }
        })?;
        Ok(run)
    }

    fn load_pretrained(&self) -> Result<(), TrainError> {
        if let Some(path) = &self.config.pretrained {
            let loaded = checkpoint::load(path, self.learner.store(), LoadMode::Backbone)?;
            tracing::info!("{}: {loaded}", path.display());
        }
        Ok(())
    }

    /// Writes the seed's files where they are asked for.
    fn seed_outputs(
        &self,
        write: impl FnOnce(&SeedOutputs<'_>, &tch::nn::VarStore) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        if !self.config.seed_outputs {
            return Ok(());
        }
        let outputs = SeedOutputs {
            config: self.config,
            plan: &self.plan,
            record: &self.record,
        };
        write(&outputs, self.learner.store())
    }

    /// Puts back weights, approach and figures of the tasks that are done.
    fn resume(&mut self) -> Result<(), TrainError> {
        let done = self.record.done();
        let Some(last) = done.checked_sub(1) else {
            return Ok(());
        };
        tracing::info!(
            "{}: {done} of {} tasks are done; going on",
            self.config.out.display(),
            self.plan.tasks.len()
        );
        checkpoint::load(
            &self.record.checkpoint(last),
            self.learner.store(),
            LoadMode::Exact,
        )?;
        if self.approach.wants_batches() {
            let state = state_dict::read(&self.record.state(last))
                .map_err(checkpoint::CheckpointError::from)?;
            self.approach
                .restore(&self.learner, state.tensors.into_iter().collect());
        }
        for task in 0..done {
            let rows: Vec<&PredictionRow> = self
                .record
                .predictions
                .iter()
                .filter(|row| usize::try_from(row.task) == Ok(task) && row.split == Split::Test)
                .collect();
            self.tested
                .push(judge_rows(&self.plan, self.settings.criterion, &rows)?.figures);
        }
        if let Some(outcome) = self.record.progress.tasks.last() {
            self.feed.skipped.extend(outcome.skipped.iter().cloned());
        }
        Ok(())
    }

    /// Trains and evaluates one task, and publishes what came of it.
    fn task(&mut self, task: usize) -> Result<(), TrainError> {
        self.announce(task)?;
        // Without --from-scratch no weights are drawn anew: the model holds the best of the task before.
        if self.settings.from_scratch && task > 0 {
            self.learner.restart();
            self.load_pretrained()?;
        }
        self.feed.clock.time(Phase::Approach, || {
            self.approach.before_task(&self.learner, task)
        })?;
        self.learner.freeze(
            self.settings.backbone_is_frozen(task),
            self.settings.batch_norm_is_frozen(task),
        );
        // The method itself would fix the lifetime that the closure leaves open.
        #[allow(clippy::redundant_closure_for_method_calls)]
        self.seed_outputs(|outputs, store| outputs.at_start_of_task(store))?;
        let (best, epochs, ended_by) = self.epochs(task)?;
        checkpoint::restore(self.learner.store(), &best.weights)?;

        let plan = self.plan.tasks[task].clone();
        let validation = self.evaluation(&plan.validation)?;
        let test = self.evaluation(&plan.test)?;
        self.tested.push(test.metrics.figures.clone());
        let step = if self.settings.compat.final_metrics_at_last_epoch {
            epochs - 1
        } else {
            best.epoch
        };
        self.logbook.end_of_task(
            &mut self.record,
            &self.plan,
            task,
            step,
            [&validation, &test],
            &self.tested,
        )?;

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
    fn epochs(&mut self, task: usize) -> Result<(Best<Snapshot>, u32, String), TrainError> {
        let (mut optimizer, mut schedule) = self.optimizer(task);
        let mut selection = Selection::new(self.settings.compat.rollback_before_best);
        for epoch in 0..self.settings.epochs {
            let trained = self.train_epoch(task, epoch, &mut optimizer, schedule.rates())?;
            let validation = self.evaluation(&self.plan.tasks[task].validation.clone())?;
            let rates = schedule.rates().to_vec();
            let mean_ap = validation.metrics.figures.mean_ap;
            let rate_changed =
                schedule.step(watched_figure(self.settings, validation.loss, mean_ap));
            selection.judge(&self.learner, epoch, mean_ap, rate_changed)?;
            let outcome = EpochOutcome {
                task,
                epoch,
                trained: &trained,
                validation: &validation,
                rates: &rates,
                best_epoch: selection.best_epoch().unwrap_or(epoch),
            };
            self.logbook.end_of_epoch(&mut self.record, &outcome)?;
            let ended = if self.settings.scheduler == SchedulerName::Fixed {
                (selection.without_better() == self.settings.early_stop).then_some("early stop")
            } else {
                schedule.is_spent().then_some("rate spent")
            };
            let ended = ended.or((epoch + 1 == self.settings.epochs).then_some("epochs"));
            if let Some(ended) = ended
                && let Some(best) = selection.take_best()
            {
                return Ok((best, epoch + 1, ended.to_owned()));
            }
            self.seed_outputs(|outputs, _| outputs.after_epoch(outcome.best_epoch))?;
        }
        // `Settings::check` refuses 0 epochs, and the last one returns above.
        Err(TrainError::Setting {
            flag: "--epochs",
            why: "must be at least 1".into(),
        })
    }

    /// A new optimizer without history and a new schedule. Equal rates: one group; otherwise the head comes first.
    fn optimizer(&self, task: usize) -> (Optimizer, Schedule) {
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
        let seed = random::stream(
            self.settings.seed,
            "dropout",
            &[task as u64, u64::from(epoch)],
        )
        .next_u64();
        tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
        let frozen_norms = self.settings.batch_norm_is_frozen(task)
            && !self.settings.compat.frozen_statistics_move;
        let mode = if frozen_norms {
            Mode::TrainFrozenNorms
        } else {
            Mode::Train
        };
        let plan = self.plan.tasks[task].clone();
        let mut batches = self.feed.training(task, &plan, u64::from(epoch))?;
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
        while let Some(batch) = self.feed.next(&plan.train, &mut batches)? {
            let Self {
                learner,
                approach,
                feed,
                ..
            } = self;
            let loss = feed.clock.time(Phase::Forward, || {
                let output = learner.forward(&batch.device.clips, mode);
                let loss = learner
                    .criterion()
                    .loss(&output.logits, &batch.device.labels);
                let penalty = approach.penalty(
                    learner,
                    &Step {
                        batch: &batch.device,
                        output: &output,
                    },
                );
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
            self.feed
                .clock
                .time(Phase::Optimizer, || optimizer.step(rates));
        }
        progress.finish();
        trained.end();
        finite(trained.loss() + trained.penalty(), task, epoch)?;
        Ok(trained)
    }

    fn evaluation(&mut self, list: &Arc<Dataset>) -> Result<Evaluation, TrainError> {
        let begun = Instant::now();
        let result = evaluate(&self.learner, &self.plan, list, &mut self.feed);
        self.feed.clock.add(Phase::Evaluation, begun.elapsed());
        result
    }

    /// Lets the approach take from the task what it needs for the next.
    fn between_tasks(&mut self, task: usize) -> Result<(), TrainError> {
        let begun = Instant::now();
        let plan = self.plan.tasks[task].clone();
        let mut batches = self.feed.fisher(task, &plan)?;
        let Self {
            learner,
            approach,
            feed,
            ..
        } = self;
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
        let begun = Instant::now();
        let metadata = self.record.metadata(task);
        checkpoint::save(
            &self.record.checkpoint(task),
            self.learner.store(),
            &metadata,
        )?;
        if self.approach.wants_batches() {
            let state = self.approach.state().into_iter().collect();
            checkpoint::write(&self.record.state(task), &state, &metadata)?;
        }
        self.feed.clock.add(Phase::Checkpoint, begun.elapsed());
        self.logbook
            .note_phases(&mut self.record, task, &mut self.feed.clock);
        self.record.progress.tensorboard_bytes = self.logbook.bytes()?;
        self.record.publish_task(outcome)?;
        self.seed_outputs(|outputs, store| outputs.after_task(task, store))
    }

    fn announce(&self, task: usize) -> Result<(), TrainError> {
        let plan = &self.plan.tasks[task];
        let passed_over: usize = plan.unusable.iter().sum();
        self.logbook.tell(&format!(
            "task {task} of {}: {} clips to train on, {} to validate, {} to test{}",
            self.plan.tasks.len(),
            plan.train.len(),
            plan.validation.len(),
            plan.test.len(),
            if passed_over == 0 {
                String::new()
            } else {
                format!("; {passed_over} listed clips have no frames and are passed over")
            },
        ))
    }

    /// Publishes the summary.
    fn finish(self) -> Result<Summary, TrainError> {
        let summary: Value = summarise(&self.plan, self.settings, &self.record);
        if self.config.profile {
            eprintln!("{}", self.feed.clock.report());
        }
        self.seed_outputs(|outputs, _| outputs.at_end())?;
        self.record.complete(&summary)?;
        let summary = Summary::new(self.config, summary, false);
        self.logbook.printed(&summary)?;
        Ok(summary)
    }
}
