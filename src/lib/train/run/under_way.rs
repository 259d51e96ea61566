//! A task under way: all that one step leaves for the next, how it is kept in a checkpoint, and how
//! a run goes on from one.

use tch::Device;

use super::Run;
use crate::clip::Split;
use crate::model::checkpoint::{self, Snapshot};
use crate::model::state_dict::StateDict;
use crate::run_record::{Part, Position};
use crate::train::TrainError;
use crate::train::evaluate::Answers;
use crate::train::optimizer::Optimizer;
use crate::train::profile::Phase;
use crate::train::rate_schedule::RateSchedule;
use crate::train::record::{RankRecord, TaskCheckpoint, TaskFacts};
use crate::train::selection::{Best, Selection};
use crate::train::trained::Trained;
use crate::train::unlearn::Visits;
use crate::train::watch::{Moment, Order};

/// Names of tensors in a checkpoint begin with one of these.
const MODEL: &str = "model.";
const BEST: &str = "best.";
const OPTIMIZER: &str = "optimizer.";
const APPROACH: &str = "approach.";
const TRAINED: &str = "trained.";
const ANSWERS: [&str; 2] = ["validation.", "test."];

/// Places of the answers on the validation set and on the test set.
pub(super) const VALIDATION: usize = 0;
pub(super) const TEST: usize = 1;

/// Whose list the answers at this place are about.
pub(super) fn split_of(which: usize) -> Split {
    if which == VALIDATION {
        Split::Validation
    } else {
        Split::Test
    }
}

/// A task under way.
pub(super) struct UnderWay {
    pub(super) position: Position,
    pub(super) optimizer: Optimizer,
    pub(super) schedule: RateSchedule,
    pub(super) selection: Selection<Snapshot>,
    /// Losses of the epoch under way.
    pub(super) trained: Trained,
    /// Answers so far on the validation set and on the test set.
    pub(super) answers: [Answers; 2],
    /// What unlearning cost before the first step; none where nothing was unlearned.
    pub(super) unlearning: Option<Visits>,
}

impl UnderWay {
    pub(super) fn new(
        task: usize,
        (optimizer, schedule): (Optimizer, RateSchedule),
        rollback_before_best: bool,
        device: Device,
    ) -> Self {
        Self {
            position: Position::start(task),
            optimizer,
            schedule,
            selection: Selection::new(rollback_before_best),
            trained: Trained::new(device),
            answers: [Answers::new(device), Answers::new(device)],
            unlearning: None,
        }
    }

    /// Begins a part of the task; what it adds up begins at nothing.
    pub(super) fn enter(&mut self, part: Part, device: Device) {
        self.position.part = part;
        self.position.batches = 0;
        match part {
            Part::Training => {
                self.trained = Trained::new(device);
                self.answers = [Answers::new(device), Answers::new(device)];
            }
            Part::Validation | Part::BestValidation | Part::BestTest => {
                self.answers[answers_of(part)] = Answers::new(device);
            }
            Part::Closing => {}
        }
    }

    /// Whether epochs are still trained.
    pub(super) fn is_in_epochs(&self) -> bool {
        self.position.part < Part::BestValidation
    }

    /// What a checkpoint keeps beside tensors; `listed` are the clips of the validation set and of the test set, `skipped`
    /// those that could not be read.
    fn facts(&self, listed: [usize; 2], skipped: Vec<String>) -> TaskFacts {
        let best = self.selection.best();
        let (schedule_epochs, schedule_best) = self.schedule.seen();
        TaskFacts {
            rates: self.schedule.rates().iter().map(|&r| r.into()).collect(),
            schedule_epochs,
            schedule_best: schedule_best.map(Into::into),
            best_epoch: best.map(|best| best.epoch),
            best_mean_ap: best.and_then(|best| best.mean_ap).map(Into::into),
            without_better: self.selection.without_better(),
            trained_clips: self.trained.clips(),
            judged: self.answers.each_ref().map(|a| a.clips().to_vec()),
            listed: Some(listed),
            skipped,
            unlearning: self.unlearning,
        }
    }
}

/// Whose answers a part of a task adds to.
pub(super) fn answers_of(part: Part) -> usize {
    if part == Part::BestTest {
        TEST
    } else {
        VALIDATION
    }
}

impl Run<'_> {
    /// Asks the watch what to do at `moment`, and does it.
    pub(super) fn look(&mut self, moment: Moment, at: &UnderWay) -> Result<(), TrainError> {
        match self.watch.look(moment).agreed(self.world)? {
            Order::GoOn => Ok(()),
            Order::Checkpoint => self.keep(at).map(drop),
            Order::Stop(signal) => {
                let kept = self.config.checkpoint_every > 0 && self.keep(at)?;
                Err(TrainError::Stopped {
                    signal,
                    position: Some(at.position),
                    kept,
                })
            }
        }
    }

    /// Has the first rank publish a checkpoint of the task under way, and says whether it does: what a loss that is no number
    /// has spoilt is not kept.
    fn keep(&mut self, at: &UnderWay) -> Result<bool, TrainError> {
        if at.position.part == Part::Training && !at.trained.is_finite() {
            return Ok(false);
        }
        let RankRecord::First(record) = &mut self.record else {
            return Ok(true);
        };
        let begun = std::time::Instant::now();
        let mut tensors = StateDict::new();
        let mut add = |prefix: &str, some: StateDict| {
            let named = some
                .into_iter()
                .map(|(name, t)| (format!("{prefix}{name}"), t));
            tensors.extend(named);
        };
        add(
            MODEL,
            self.learner.store().variables().into_iter().collect(),
        );
        add(APPROACH, self.approach.under_way());
        // Behind the epochs the model holds the best weights, and nothing is trained any more.
        if at.is_in_epochs() {
            add(OPTIMIZER, at.optimizer.state());
            add(TRAINED, at.trained.state());
            if let Some(best) = at.selection.best() {
                let weights = best.weights.tensors().iter();
                add(
                    BEST,
                    weights
                        .map(|(n, t)| (n.clone(), t.shallow_clone()))
                        .collect(),
                );
            }
        }
        for (prefix, answers) in ANSWERS.into_iter().zip(&at.answers) {
            add(prefix, answers.state());
        }
        let skipped = self.feed.skipped.iter().cloned().collect();
        let lists = &self.data.tasks[at.position.task];
        let listed = [lists.validation.len(), lists.test.len()];
        record.keep(TaskCheckpoint {
            position: at.position,
            facts: at.facts(listed, skipped),
            tensors,
        })?;
        self.feed.clock.add(Phase::Checkpoint, begun.elapsed());
        Ok(true)
    }

    /// The task as a checkpoint left it.
    pub(super) fn go_on(&mut self, kept: TaskCheckpoint) -> Result<UnderWay, TrainError> {
        let TaskCheckpoint {
            position,
            facts,
            mut tensors,
        } = kept;
        tracing::info!("going on in {position}");
        let mut part = |prefix: &str| take_part(&mut tensors, prefix);
        let path = self.config.out.join(position.file());
        checkpoint::restore(self.learner.store(), &Snapshot::of(part(MODEL)))?;
        self.approach
            .go_on(&self.learner, position.task, &path, part(APPROACH))?;
        self.ask_for_replay(position.task);
        self.freeze(position.task);
        let mut at = self.begin_under_way(position.task);
        at.position = position;
        let device = self.learner.device();
        let best = part(BEST);
        if at.is_in_epochs() {
            at.optimizer.put_back(&path, &part(OPTIMIZER))?;
            at.trained = Trained::of(device, facts.trained_clips, &part(TRAINED));
        }
        let rates = facts.rates.into_iter().map(f64::from).collect();
        let schedule_best = facts.schedule_best.map(f64::from);
        at.schedule
            .put_back(rates, facts.schedule_epochs, schedule_best);
        let best = match facts.best_epoch {
            None => None,
            Some(epoch) => Some(Best {
                mean_ap: facts.best_mean_ap.map(f64::from),
                epoch,
                weights: if at.is_in_epochs() {
                    Snapshot::of(best)
                } else {
                    checkpoint::snapshot(self.learner.store())?
                },
            }),
        };
        at.selection.put_back(best, facts.without_better);
        let answers = ANSWERS.map(&mut part);
        for ((ours, clips), tensors) in at.answers.iter_mut().zip(facts.judged).zip(answers) {
            *ours = Answers::of(device, clips, &tensors);
        }
        at.unlearning = facts.unlearning;
        self.feed.skipped = facts.skipped.into_iter().collect();
        Ok(at)
    }
}

/// Takes the tensors whose names begin with `prefix`, which is cut off.
fn take_part(tensors: &mut StateDict, prefix: &str) -> StateDict {
    let all = std::mem::take(tensors);
    let mut part = StateDict::new();
    for (name, tensor) in all {
        match name.strip_prefix(prefix) {
            Some(name) => part.insert(name.to_owned(), tensor),
            None => tensors.insert(name, tensor),
        };
    }
    part
}
