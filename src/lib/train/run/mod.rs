//! The loop: task after task, epoch after epoch, in the order of events of the seed (`main.py`).

mod epoch;
mod pretrained;
mod rollback;
mod under_way;
mod withdrawal;

use std::sync::Arc;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use tch::{Cuda, Device, Tensor};

use super::TrainError;
use super::alike;
use super::approach::{self, Approach, DeviceBatch, Kept};
use super::dealt::Outcome;
use super::device::DeviceChoice;
use super::evaluate::Evaluation;
use super::feed::Feed;
use super::forecast::Forecast;
use super::learner::{Learner, movinet};
use super::machine;
use super::profile::Phase;
use super::record::{self, Begun, Hold, Opened, RankRecord, Record, TaskEnd, TrainSummary, extend};
use super::selection::Weights;
use super::settings::{Settings, TrainConfig};
use super::task_sequence::{Task, TaskSequence};
use super::trouble::{self, Need, Work};
use super::watch::{Moment, Order, Watch, Watchman};
use super::withdrawals;
use super::world::World;
use crate::artifact::hash_file;
use crate::clip::Split;
use crate::data::Dataset;
use crate::model::ModelConfig;
use crate::model::checkpoint::{self, Snapshot};
use crate::run_record::{Extension, Part, RunHead};
use crate::withdrawn::{WITHDRAWN_FILE, Withdrawn};
use epoch::nothing;
use under_way::{TEST, UnderWay, VALIDATION};

/// Trains every task that is not done yet in the run directory of `config`, and says how it went.
///
/// A run that was killed goes on behind its last checkpoint; a complete one is left as it is.
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
    approach: Box<dyn Approach>,
) -> Result<TrainSummary, TrainError> {
    run_watched(
        config,
        approach,
        &mut Watchman::new(config.checkpoint_every),
    )
}

/// The same, where `watch` says when checkpoints are kept and when the run is to end.
///
/// # Errors
/// Also [`TrainError::Stopped`], where it was to end.
pub fn run_watched(
    config: &TrainConfig,
    mut approach: Box<dyn Approach>,
    watch: &mut dyn Watch,
) -> Result<TrainSummary, TrainError> {
    config.check()?;
    let world = World::join(config.launch.as_ref(), config.timeouts)?;
    if world.size() > 1 {
        tracing::info!(
            "{} processes, on {}",
            world.size(),
            world.hosts().join(", ")
        );
    }
    let result = run_in(&world, config, approach.as_mut(), watch);
    match &result {
        // All ranks have agreed on it.
        Ok(_) | Err(TrainError::Stopped { .. }) => {}
        Err(error) => {
            world.fail(error);
            if world.size() > 1 {
                tracing::debug!("all processes end: {error}");
            }
        }
    }
    result
}

/// The same on one rank of `world`.
fn run_in(
    world: &World,
    config: &TrainConfig,
    approach: &mut dyn Approach,
    watch: &mut dyn Watch,
) -> Result<TrainSummary, TrainError> {
    let hold = world.is_first().then(|| Hold::take(config)).transpose()?;
    machine::check(config.instructions)?;
    let device = device(config)?;
    let plan = Plan::of(world, config)?;
    if let Some(threads) = plan.threads {
        // `TrainConfig::check` keeps it far below the limit.
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    }
    let machine = machine::here(device, config.instructions)?;
    let withdrawn = withdrawals::read(config)?;
    withdrawals::check_shards(&withdrawn, config)?;
    let data = tasks(config, plan.extension)?;
    alike::check(world, config, &data, &machine)?;
    let learner = Learner::new(
        movinet(model(config, &data)),
        device,
        config.settings.criterion,
    );
    let loaded = pretrained::load(config, &learner)?;
    let opened = match hold {
        None => None,
        Some(hold) => {
            let loaded = loaded.as_ref();
            let mut opened = Record::open(
                config,
                &data,
                &learner,
                loaded,
                machine,
                plan.extension,
                hold,
            )?;
            if let Opened::Unfinished(record) = &mut opened {
                withdrawals::check_run(&withdrawn, config, record.progress())?;
                record.resume(&learner, approach)?;
            }
            Some(opened)
        }
    };
    let record = match record::share(world, config, opened, &learner, approach)? {
        Begun::Complete(summary) => return Ok(*summary),
        Begun::Unfinished(record) => record,
    };
    let epochs = epochs(config, &data, plan.extension);
    if world.is_first() {
        Need::of(config, &data, &epochs, &learner, record.done()).check(&config.out)?;
    }
    watch.begin().map_err(TrainError::Signals)?;
    record.training_begins(&learner)?;
    let mut run = Run {
        world,
        config,
        settings: &config.settings,
        feed: Feed::new(config, world.deal(), device, record.skipped()),
        data: &data,
        forecast: Forecast::new(&config.settings, &data, epochs.clone()),
        epochs,
        work: Work::Beginning,
        record,
        learner,
        approach,
        watch,
    };
    run.all(&withdrawn)?;
    run.record.run_ended(world, config)
}

/// What the first rank's run directory says of how all ranks compute.
#[derive(Serialize, Deserialize)]
struct Plan {
    threads: Option<usize>,
    extension: Extension,
}

impl Plan {
    fn of(world: &World, config: &TrainConfig) -> Result<Self, TrainError> {
        let own = || -> Result<Self, TrainError> {
            Ok(Self {
                threads: threads(config)?,
                extension: extend::wanted(config)?,
            })
        };
        let own = world.is_first().then(own).transpose()?;
        let plan: Self = record::from_first(world, own.as_ref())?;
        Ok(Self {
            // Where somebody has asked for another number, the ranks differ, and that is refused by its name.
            threads: config.threads.or(plan.threads),
            ..plan
        })
    }
}

/// A run under way.
struct Run<'a> {
    world: &'a World,
    config: &'a TrainConfig,
    settings: &'a Settings,
    data: &'a TaskSequence,
    record: RankRecord<'a>,
    learner: Learner,
    approach: &'a mut dyn Approach,
    feed: Feed,
    forecast: Forecast,
    /// Most epochs of each task.
    epochs: Vec<u32>,
    /// What the task is busy with.
    work: Work,
    watch: &'a mut dyn Watch,
}

impl<'a> Run<'a> {
    /// Trains all tasks that are not done.
    fn all(&mut self, withdrawn: &Withdrawn) -> Result<(), TrainError> {
        let (config, data) = (self.config, self.data);
        self.may_end(Moment::Starting)?;
        if let Some(old) = &config.from_run {
            self.take_over(old, withdrawn)?;
        }
        for task in self.record.done()..data.tasks.len() {
            if data.tasks[task].is_empty() {
                self.record.task_passed_over(task)?;
                continue;
            }
            let (settings, work) = (self.settings, |run: &Self| run.work);
            trouble::explained(self, task, settings, work, |run| run.task(task))?;
            self.may_end(Moment::BetweenTasks)?;
        }
        if config.profile {
            tracing::info!("{}", self.feed.clock.report());
        }
        Ok(())
    }

    /// Trains and evaluates one task, or what is left of it.
    fn task(&mut self, task: usize) -> Result<(), TrainError> {
        self.work = Work::Beginning;
        let mut at = match self.record.take_checkpoint(task) {
            Some(kept) => self.go_on(kept)?,
            None => self.begin(task)?,
        };
        while at.is_in_epochs() {
            self.epoch(&mut at)?;
        }
        let evaluations = self.evaluate_best(&mut at)?;
        self.close(&mut at)?;
        let end = TaskEnd {
            task,
            best_epoch: at.selection.best().map_or(0, |best| best.epoch),
            epochs: at.position.epoch + 1,
            // Something has, or epochs would still be trained.
            ended_by: self.ended_by(&at).unwrap_or_default().to_owned(),
            evaluations,
            state: Kept::by(&*self.approach),
            skipped: self.feed.skipped.iter().cloned().collect(),
        };
        self.record
            .task_ended(end, &self.learner, &mut self.feed.clock)
    }

    /// A task from its beginning.
    fn begin(&mut self, task: usize) -> Result<UnderWay, TrainError> {
        // Without --from-scratch no weights are drawn anew: the model holds the best of the task
        // before.
        let stage = self.stage(task);
        if self.settings.from_scratch && stage > 0 {
            self.learner.restart();
            pretrained::load(self.config, &self.learner)?;
        }
        self.withdraw(task)?;
        // What is new holds on to nothing: the approach then sees the first task alone, and takes nothing from it.
        let is_first = self.settings.is_first(stage);
        let seen_as = if is_first { 0 } else { task };
        self.feed.clock.time(Phase::Approach, || {
            self.approach.before_task(&self.learner, seen_as)
        })?;
        self.freeze(task);
        self.record.task_begins(task, &self.learner)?;
        Ok(self.begin_under_way(task))
    }

    /// What takes no gradient in `task`.
    fn freeze(&self, task: usize) {
        let stage = self.stage(task);
        self.learner.freeze(
            self.settings.backbone_is_frozen(stage),
            self.settings.batch_norm_is_frozen(stage),
        );
    }

    /// A new optimizer, schedule and selection; what is frozen is frozen.
    fn begin_under_way(&self, task: usize) -> UnderWay {
        let rollback = self.settings.compat.rollback_before_best;
        UnderWay::new(task, self.optimizer(task), rollback, self.learner.device())
    }

    /// Evaluates the best weights, which are in place, on the validation set and on the test set.
    fn evaluate_best(&mut self, at: &mut UnderWay) -> Result<[Evaluation; 2], TrainError> {
        let device = self.learner.device();
        if at.position.part == Part::BestValidation {
            self.ask(at)?;
            at.enter(Part::BestTest, device);
        }
        let validation = self.judged(at, VALIDATION)?;
        if at.position.part == Part::BestTest {
            self.ask(at)?;
            at.enter(Part::Closing, device);
        }
        Ok([validation, self.judged(at, TEST)?])
    }

    /// The validation set or the test set of the task under way.
    fn list(&self, at: &UnderWay, which: usize) -> &'a Arc<Dataset> {
        let lists = &self.data.tasks[at.position.task];
        if which == VALIDATION {
            &lists.validation
        } else {
            &lists.test
        }
    }

    /// The place of `task` among those that have clips, from 0: what it is trained by. Whatever is drawn goes by its own number.
    pub(super) fn stage(&self, task: usize) -> usize {
        let before = self.data.tasks[..task].iter();
        before.filter(|task| !task.is_empty()).count()
    }

    /// Lets the approach take from the task what it needs for the next.
    fn close(&mut self, at: &mut UnderWay) -> Result<(), TrainError> {
        self.work = Work::BetweenTasks;
        if self.settings.from_scratch {
            return self.look(Moment::Publishing, at);
        }
        if self.approach.wants_batches(&self.learner) {
            self.observe(at)?;
        }
        self.look(Moment::Publishing, at)?;
        let (learner, approach) = (&self.learner, &mut *self.approach);
        self.feed.clock.time(Phase::Approach, || {
            approach.after_task(learner, at.position.task)
        })
    }

    /// Shows the approach the rest of the batches that it wants to see of the task.
    fn observe(&mut self, at: &mut UnderWay) -> Result<(), TrainError> {
        let (data, task) = (self.data, at.position.task);
        let lists = &data.tasks[task];
        let single = self.approach.wants_single_clips();
        let mut pass = self.feed.fisher(task, lists, at.position.batches)?;
        while at.position.batches < pass.batches() {
            let begun = Instant::now();
            let window = self.round(at.position.batches, &pass);
            let (mut own, mut parts) = (Vec::new(), Vec::new());
            while let Some(batch) = self
                .feed
                .next_untimed(&lists.train, &mut pass, window.end)?
            {
                parts.extend(batch.device.iter().flat_map(|device| device.parts(single)));
                own.push(Outcome {
                    number: batch.number,
                    samples: batch.samples,
                    skipped: batch.skipped,
                    values: nothing(self.learner.device()),
                    moments: None,
                });
            }
            let look = |part: &DeviceBatch| self.approach.observe(&self.learner, task, part);
            // Others wait for all of them; a rank alone looks at one when it is wanted.
            let ahead = if self.world.size() > 1 {
                &parts[..]
            } else {
                &[]
            };
            let seen: Vec<Tensor> = ahead.iter().map(look).collect::<Result<_, _>>()?;
            for outcome in self.together(own, &window, 0)? {
                self.feed.note_skipped(&lists.train, &outcome.skipped)?;
                let clips = outcome.samples.len();
                let (looks, each) = if single {
                    (clips, 1)
                } else {
                    (clips.min(1), clips)
                };
                let by = outcome.number % self.world.size();
                for i in 0..looks {
                    let mine = parts.get(i).filter(|_| by == self.world.rank());
                    let observed = match (mine, seen.get(i)) {
                        (None, _) => None,
                        (Some(_), Some(seen)) => Some(seen.shallow_clone()),
                        (Some(part), None) => {
                            Some(self.approach.observe(&self.learner, task, part)?)
                        }
                    };
                    let observed = self.world.floats(by, observed, self.learner.device())?;
                    self.approach.take_in(&self.learner, each, &observed)?;
                }
            }
            at.position.batches = window.end;
            self.feed.clock.add(Phase::Approach, begun.elapsed());
            self.look(Moment::Closing, at)?;
        }
        Ok(())
    }

    /// Ends the run where no task is under way and the watch asks for it.
    fn may_end(&mut self, moment: Moment) -> Result<(), TrainError> {
        match self.watch.look(moment).agreed(self.world)? {
            Order::Stop(signal) => Err(TrainError::Stopped {
                signal,
                position: None,
                kept: true,
            }),
            Order::GoOn | Order::Checkpoint => Ok(()),
        }
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
fn tasks(config: &TrainConfig, extension: Extension) -> Result<TaskSequence, TrainError> {
    let mut data = TaskSequence::read(&config.availability, &config.shards)?;
    if config.settings.stop_after_first_task && !extension.tasks {
        data.tasks.truncate(1);
    }
    if data.tasks.is_empty() {
        return Err(TrainError::NoTask);
    }
    // The seed's files have a place for every task.
    if config.seed_outputs
        && let Some(task) = data.tasks.iter().position(Task::is_empty)
    {
        return Err(data.tasks[task].empty_list(task, Split::Train));
    }
    if let Some(list) = &config.withdrawn {
        data.inputs
            .insert(WITHDRAWN_FILE.to_owned(), hash_file(list)?);
    }
    Ok(data)
}

/// Most epochs of each task.
fn epochs(config: &TrainConfig, data: &TaskSequence, extension: Extension) -> Vec<u32> {
    let (tasks, setting) = (data.tasks.len(), config.settings.epochs);
    (0..tasks)
        .map(|task| extension.epochs_of(task, tasks, setting))
        .collect()
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
    let mut device = config.device.find_for(config.settings.precision)?;
    if let (DeviceChoice::Auto, Some(launch), Device::Cuda(_)) =
        (config.device, &config.launch, device)
    {
        // The processes of a host share its GPUs out.
        let gpus = usize::try_from(Cuda::device_count()).unwrap_or(1).max(1);
        device = Device::Cuda(launch.local_rank % gpus);
    }
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
