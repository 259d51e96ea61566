//! The loop: task after task, epoch after epoch, in the order of events of the seed (`main.py`).

mod epoch;
mod pretrained;
mod resume;

use std::time::Instant;

use serde_json::Value;
use tch::Device;

use super::TrainError;
use super::approach::{self, Approach, DeviceBatch};
use super::feed::Feed;
use super::learner::{Learner, movinet};
use super::machine;
use super::plan::Plan;
use super::profile::Phase;
use super::record::hold::Hold;
use super::record::logbook::Logbook;
use super::record::seed_outputs::{self, SeedOutputs};
use super::record::summary::{Summary, summarise};
use super::record::{Opened, Record};
use super::selection::Weights;
use super::settings::{Settings, TrainConfig};
use crate::metrics::Figures;
use crate::model::ModelConfig;
use crate::model::checkpoint::{self, Snapshot};
use crate::run_record::{RunHead, TaskOutcome};

/// Trains every task that is not done yet in the run directory of `config`, and says how it went.
///
/// A run that was killed is taken up at its first unfinished task; a complete one is left as it is. libtorch's random
/// generator belongs to the whole process, so two runs in one process at a time disturb each other's dropout.
///
/// Nothing is written into the run directory before the inputs are read and the weights to start from are in place.
///
/// # Errors
/// When settings make no sense, inputs cannot be read, the run directory is in use, holds another run or vanishes, or the
/// loss diverges.
pub fn run(config: &TrainConfig) -> Result<Summary, TrainError> {
    config.check()?;
    let hold = Hold::take(config)?;
    machine::check(config.instructions)?;
    let device = device(config)?;
    if let Some(threads) = config
        .threads
        .map_or_else(|| threads_of(config), |n| Ok(Some(n)))?
    {
        // `TrainConfig::check` keeps it far below the limit.
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    }
    let machine = machine::here(device, config.instructions)?;
    let mut plan = Plan::read(&config.availability, &config.shards)?;
    if config.settings.stop_after_first_task {
        plan.tasks.truncate(1);
    }
    if plan.tasks.is_empty() {
        return Err(TrainError::NoTask);
    }
    let builder = movinet(model(config, &plan));
    let learner = Learner::new(builder, device, config.settings.criterion);
    let loaded = pretrained::load(config, &learner)?;
    let record = match Record::open(config, &plan, loaded.as_ref(), machine, hold)? {
        Opened::Complete(summary, record) => {
            tracing::info!("{} is complete; nothing to do", config.out.display());
            if config.seed_outputs && !record.folder().join(seed_outputs::SUMMARY_FILE).exists() {
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
    let mut run = Run::start(config, plan, record, learner)?;
    for task in run.record.done()..run.plan.tasks.len() {
        run.task(task)?;
    }
    run.finish()
}

/// The threads that an unfinished run began with, where there is one and says so.
fn threads_of(config: &TrainConfig) -> Result<Option<usize>, TrainError> {
    let machine = RunHead::read(&config.out)?.and_then(|head| head.machine);
    Ok(machine.map(|machine| machine.threads))
}

/// The device that the run computes on.
fn device(config: &TrainConfig) -> Result<Device, TrainError> {
    let device = config.device.find_for(config.settings.precision)?;
    if config.settings.checkpoint_blocks && device != Device::Cpu {
        return Err(TrainError::Setting {
            flag: "--checkpoint-blocks",
            why: "only the fused operators of --device cpu compute blocks again".into(),
        });
    }
    Ok(device)
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
        precision: settings.precision,
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
    /// Puts back what the done tasks left.
    fn start(
        config: &'a TrainConfig,
        plan: Plan,
        record: Record,
        learner: Learner,
    ) -> Result<Self, TrainError> {
        let settings = &config.settings;
        let mut run = Self {
            settings,
            approach: approach::make(settings),
            feed: Feed::new(config, learner.device()),
            learner,
            logbook: Logbook::open(&record, config.seed_outputs)?,
            tested: Vec::new(),
            config,
            plan,
            record,
        };
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

    /// Writes the seed's files where they are asked for.
    fn seed_outputs(
        &self,
        write: impl FnOnce(&SeedOutputs<'_>, &tch::nn::VarStore) -> Result<(), TrainError>,
    ) -> Result<(), TrainError> {
        if !self.config.seed_outputs {
            return Ok(());
        }
        self.record.still_there()?;
        let outputs = SeedOutputs {
            config: self.config,
            plan: &self.plan,
            record: &self.record,
        };
        write(&outputs, self.learner.store())
    }

    /// Trains and evaluates one task, and publishes what came of it.
    fn task(&mut self, task: usize) -> Result<(), TrainError> {
        self.announce(task)?;
        // Without --from-scratch no weights are drawn anew: the model holds the best of the task before.
        if self.settings.from_scratch && task > 0 {
            self.learner.restart();
            pretrained::load(self.config, &self.learner)?;
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
            hashes: None,
        };
        self.publish(task, outcome)
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
        self.record.still_there()?;
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
            tracing::info!("{}", self.feed.clock.report());
        }
        self.seed_outputs(|outputs, _| outputs.at_end())?;
        self.record.complete(&summary)?;
        let summary = Summary::new(self.config, summary, false);
        self.logbook.printed(&summary)?;
        Ok(summary)
    }
}
