//! The loop: task after task, epoch after epoch, in the order of events of the seed (`main.py`).

mod epoch;
mod pretrained;
mod withdrawal;

use std::time::Instant;

use tch::Device;

use super::TrainError;
use super::approach::{self, Approach};
use super::feed::Feed;
use super::learner::{Learner, movinet};
use super::machine;
use super::profile::Phase;
use super::record::{Hold, Opened, Record, TaskEnd, TrainSummary};
use super::selection::Weights;
use super::settings::{Settings, TrainConfig};
use super::task_sequence::TaskSequence;
use crate::model::ModelConfig;
use crate::model::checkpoint::{self, Snapshot};
use crate::run_record::RunHead;

/// Trains every task that is not done yet in the run directory of `config`, and says how it went.
///
/// A run that was killed is taken up at its first unfinished task; a complete one is left as it is.
/// libtorch's random generator belongs to the whole process, so two runs in one process at a time
/// disturb each other's dropout.
///
/// Nothing is written into the run directory before the inputs are read and the weights to start
/// from are in place.
///
/// # Errors
/// When settings make no sense, inputs cannot be read, the run directory is in use, holds another
/// run or vanishes, or the loss diverges.
pub fn run(config: &TrainConfig) -> Result<TrainSummary, TrainError> {
    run_with(config, approach::make(&config.settings))
}

/// The same with an approach of the caller's own; of the settings, `approach` then is no more than
/// a name.
///
/// # Errors
/// As [`run`].
pub fn run_with(
    config: &TrainConfig,
    mut approach: Box<dyn Approach>,
) -> Result<TrainSummary, TrainError> {
    config.check()?;
    let hold = Hold::take(config)?;
    machine::check(config.instructions)?;
    let device = device(config)?;
    if let Some(threads) = threads(config)? {
        // `TrainConfig::check` keeps it far below the limit.
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    }
    let machine = machine::here(device, config.instructions)?;
    let data = tasks(config)?;
    let learner = Learner::new(
        movinet(model(config, &data)),
        device,
        config.settings.criterion,
    );
    let loaded = pretrained::load(config, &learner)?;
    let mut record = match Record::open(config, &data, &learner, loaded.as_ref(), machine, hold)? {
        Opened::Complete(summary) => return Ok(*summary),
        Opened::Unfinished(record) => *record,
    };
    record.resume(&learner, approach.as_mut())?;
    record.training_begins(&learner)?;
    let mut run = Run {
        config,
        settings: &config.settings,
        feed: Feed::new(config, device, record.skipped()),
        data: &data,
        record,
        learner,
        approach,
    };
    for task in run.record.done()..data.tasks.len() {
        run.task(task)?;
    }
    if config.profile {
        tracing::info!("{}", run.feed.clock.report());
    }
    run.record.run_ended()
}

/// A run under way.
struct Run<'a> {
    config: &'a TrainConfig,
    settings: &'a Settings,
    data: &'a TaskSequence,
    record: Record<'a>,
    learner: Learner,
    approach: Box<dyn Approach>,
    feed: Feed,
}

impl Run<'_> {
    /// Trains and evaluates one task.
    fn task(&mut self, task: usize) -> Result<(), TrainError> {
        // Without --from-scratch no weights are drawn anew: the model holds the best of the task
        // before.
        if self.settings.from_scratch && task > 0 {
            self.learner.restart();
            pretrained::load(self.config, &self.learner)?;
        }
        self.withdraw(task)?;
        self.feed.clock.time(Phase::Approach, || {
            self.approach.before_task(&self.learner, task)
        })?;
        self.learner.freeze(
            self.settings.backbone_is_frozen(task),
            self.settings.batch_norm_is_frozen(task),
        );
        self.record.task_begins(task, &self.learner)?;

        let (best, epochs, ended_by) = self.epochs(task)?;
        checkpoint::restore(self.learner.store(), &best.weights)?;
        let lists = &self.data.tasks[task];
        let evaluations = [
            self.evaluation(&lists.validation)?,
            self.evaluation(&lists.test)?,
        ];
        if self.approach.wants_batches() {
            self.between_tasks(task)?;
        }
        let end = TaskEnd {
            task,
            best_epoch: best.epoch,
            epochs,
            ended_by,
            evaluations,
            state: self.approach.state(),
            skipped: self.feed.skipped.iter().cloned().collect(),
        };
        self.record
            .task_ended(end, &self.learner, &mut self.feed.clock)
    }

    /// Lets the approach take from the task what it needs for the next.
    fn between_tasks(&mut self, task: usize) -> Result<(), TrainError> {
        let begun = Instant::now();
        let lists = &self.data.tasks[task];
        let mut batches = self.feed.fisher(task, lists)?;
        let feed = &mut self.feed;
        let mut on_device = std::iter::from_fn(|| {
            let batch = feed.next_untimed(&lists.train, &mut batches);
            batch
                .map(|batch| batch.map(|batch| batch.device))
                .transpose()
        });
        self.approach
            .after_task(&self.learner, task, &mut on_device)?;
        self.feed.clock.add(Phase::Approach, begun.elapsed());
        Ok(())
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

/// The tasks to train.
fn tasks(config: &TrainConfig) -> Result<TaskSequence, TrainError> {
    let mut data = TaskSequence::read(&config.availability, &config.shards)?;
    if config.settings.stop_after_first_task {
        data.tasks.truncate(1);
    }
    if data.tasks.is_empty() {
        return Err(TrainError::NoTask);
    }
    Ok(data)
}

/// The threads that are asked for; else those that an unfinished run began with, where it says so.
fn threads(config: &TrainConfig) -> Result<Option<usize>, TrainError> {
    if config.threads.is_some() {
        return Ok(config.threads);
    }
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
fn model(config: &TrainConfig, data: &TaskSequence) -> ModelConfig {
    let settings = &config.settings;
    ModelConfig {
        variant: settings.variant,
        geometry: settings.geometry,
        classes: i64::try_from(data.deal.taxonomy.classes()).unwrap_or(i64::MAX),
        dropout: settings.dropout,
        path: settings.model_path,
        precision: settings.precision,
        seed: settings.seed,
        checkpoint_blocks: settings.checkpoint_blocks,
    }
}
