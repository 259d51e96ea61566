//! The loop: task after task, epoch after epoch, in the order of events of the seed (`main.py`).

mod asking;
mod closing;
mod epoch;
mod forgetting;
mod on_features;
mod plan;
mod pretrained;
mod redo;
mod relearning;
mod rollback;
mod under_way;
mod withdrawal;

use std::sync::Arc;
use std::time::Instant;

use super::TrainError;
use super::alike;
use super::approach::{self, Approach, Kept, Replay};
use super::evaluate::Evaluation;
use super::feed::Feed;
use super::forecast::Forecast;
use super::learner::{Learner, movinet};
use super::machine;
use super::profile::Phase;
use super::record::{self, Begun, Hold, Opened, RankRecord, Record, TaskEnd, TrainSummary};
use super::selection::Weights;
use super::settings::{Settings, TrainConfig};
use super::task_sequence::{Task, TaskSequence};
use super::trouble::{self, Need, Work};
use super::watch::{Moment, Order, Watch, Watchman};
use super::withdrawals;
use super::world::{World, caught};
use crate::data::Dataset;
use crate::model::checkpoint::{self, Snapshot};
use crate::run_record::Part;
use forgetting::Forgetting;
use plan::Plan;
pub use relearning::{Relearning, RelearningConfig};
use rollback::TakeOver;
use under_way::{TEST, UnderWay, VALIDATION, split_of};

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
/// a name, but what `--unlearn rollback` trains again is trained by the approach of that name.
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
    if config.settings.approach.is_on_features() {
        return caught(|| on_features::run(config, watch));
    }
    let world = World::join(config.launch.as_ref(), config.timeouts)?;
    if world.size() > 1 {
        tracing::info!(
            "{} processes, on {}",
            world.size(),
            world.hosts().join(", ")
        );
    }
    // Who is alone hears that first.
    let shared = config.settings.check_deal(world.size());
    let work = || shared.and_then(|()| train(&world, config, approach.as_mut(), watch, None));
    let result = caught(work);
    match &result {
        // All ranks have agreed on it.
        Ok(_) | Err(TrainError::Stopped { .. }) => {}
        Err(error) => {
            world.fail(error);
            let who = if world.size() > 1 {
                "all processes end"
            } else {
                "the process ends"
            };
            // The log of a run that another process holds is not this one's to write.
            if !matches!(error, TrainError::Lock(_)) {
                tracing::debug!("{who}: {error}");
            }
        }
    }
    result
}

/// Trains a network on one rank of `world`; `clean` is a run whose tasks are taken over as far as
/// they can be, where it is not one that `config` names.
fn train(
    world: &World,
    config: &TrainConfig,
    approach: &mut dyn Approach,
    watch: &mut dyn Watch,
    clean: Option<TakeOver<'_>>,
) -> Result<TrainSummary, TrainError> {
    let hold = world.is_first().then(|| Hold::take(config)).transpose()?;
    machine::check(config.instructions)?;
    let device = plan::device(config)?;
    world.compute_on(device, &plan::program())?;
    let plan = Plan::of(world, config)?;
    plan.set_threads();
    let machine = machine::here(device, config.instructions)?;
    let withdrawn = withdrawals::read(config)?;
    withdrawals::check_shards(&withdrawn, config)?;
    let (forgetting, lists) = Forgetting::of(config, &plan, &withdrawn)?.unzip();
    let forgetting = forgetting.as_ref();
    let config = forgetting.map_or(config, |forgetting| &forgetting.config);
    let mut data = plan.tasks(config)?;
    if let Some(forgetting) = forgetting {
        forgetting.note(&mut data);
    }
    alike::check(world, config, &data, &machine)?;
    let network = movinet(plan::model(config, &data, config.settings.seed));
    let learner = Learner::new(network, device, config.settings.criterion);
    let loaded = pretrained::load(config, &learner)?;
    let left = |clip: &str| withdrawn.contains(clip) && forgetting.is_none_or(|f| !f.has(clip));
    let open = |hold| -> Result<Opened<'_>, TrainError> {
        let (loaded, extension) = (loaded.as_ref(), plan.extension);
        let mut opened = Record::open(config, &data, &learner, loaded, machine, extension, hold)?;
        if let Opened::Unfinished(record) = &mut opened {
            withdrawals::check_run(&left, config)?;
            record.resume(&learner, approach)?;
        }
        Ok(opened)
    };
    let opened = hold.map(open).transpose()?;
    // The run has its copy.
    drop(lists);
    let record = match record::share(world, config, opened, &learner, approach)? {
        Begun::Complete(summary) => return Ok(*summary),
        Begun::Unfinished(record) => record,
    };
    let epochs = plan.epochs(config, &data);
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
        replay: None,
        work: Work::Beginning,
        record,
        learner,
        approach,
        watch,
        forgetting,
    };
    let named = config.from_run.as_deref();
    let named = named.map(|old| TakeOver { old, left: &left });
    run.all(clean.or(named).as_ref())?;
    run.record.run_ended(world, config)
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
    /// What the task under way trains on instead of its list.
    replay: Option<Replay>,
    /// What the task is busy with.
    work: Work,
    watch: &'a mut dyn Watch,
    /// Clips that leave though no list that was dealt lacks them.
    forgetting: Option<&'a Forgetting>,
}

impl<'a> Run<'a> {
    /// Trains all tasks that are not done; those that can be taken over from `clean` are.
    fn all(&mut self, clean: Option<&TakeOver<'_>>) -> Result<(), TrainError> {
        let (config, data) = (self.config, self.data);
        may_end(self.world, self.watch, Moment::Starting)?;
        if let Some(clean) = clean {
            self.take_over(clean)?;
        }
        for task in self.record.done()..data.tasks.len() {
            if data.tasks[task].is_empty() {
                self.record.task_passed_over(task)?;
                continue;
            }
            let (settings, work) = (self.settings, |run: &Self| run.work);
            trouble::explained(self, task, settings, work, |run| run.task(task))?;
            may_end(self.world, self.watch, Moment::BetweenTasks)?;
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
            unlearning: at
                .unlearning
                .map_or_else(Vec::new, |v| v.passes().collect()),
        };
        self.record
            .task_ended(end, &self.learner, &mut self.feed.clock)
    }

    /// A task from its beginning.
    fn begin(&mut self, task: usize) -> Result<UnderWay, TrainError> {
        // Unless weights begin anew, the model holds the best of the task before.
        let stage = self.stage(task);
        if self.settings.is_first(stage) && stage > 0 {
            self.learner.restart();
            pretrained::load(self.config, &self.learner)?;
        }
        let begun = Instant::now();
        let unlearning = self.withdraw(task)?;
        self.feed.clock.add(Phase::Unlearning, begun.elapsed());
        // What is new holds on to nothing: the approach then sees the first task alone, and takes nothing from it.
        let is_first = self.settings.is_first(stage);
        let seen_as = if is_first { 0 } else { task };
        self.feed.clock.time(Phase::Approach, || {
            self.approach.before_task(&self.learner, seen_as)
        })?;
        self.ask_for_replay(task);
        self.freeze(task);
        self.record.task_begins(task, &self.learner)?;
        Ok(UnderWay {
            unlearning,
            ..self.begin_under_way(task)
        })
    }

    /// Lets the approach say what `task` trains on instead of its list.
    fn ask_for_replay(&mut self, task: usize) {
        self.replay = if self.settings.from_scratch {
            None
        } else {
            let before = self.task_before(task);
            self.approach.replay(task, &self.data.tasks[task], before)
        };
    }

    /// The task whose weights `task` began with; none where they were new.
    fn task_before(&self, task: usize) -> Option<&'a Task> {
        let is_anew = self.stage(task) == 0;
        let mut before = self.data.tasks[..task].iter().rev();
        before.find(|task| !task.is_empty()).filter(|_| !is_anew)
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
        self.data.tasks[at.position.task].list(split_of(which))
    }

    /// How many trainings the weights come from that `task` begins with: what it is trained by. Whatever is drawn goes by
    /// its own number.
    pub(super) fn stage(&self, task: usize) -> usize {
        self.record.stage(task)
    }
}

/// Ends a run of which no task is under way where `watch` asks for it.
fn may_end(world: &World, watch: &mut dyn Watch, moment: Moment) -> Result<(), TrainError> {
    match watch.look(moment).agreed(world)? {
        Order::Stop(signal) => Err(TrainError::Stopped {
            signal,
            position: None,
            kept: true,
        }),
        Order::GoOn | Order::Checkpoint => Ok(()),
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
