//! The record as a rank sees it: the first one keeps it, the others know what they go on from.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{EpochEnd, Opened, Record, TaskCheckpoint, TaskEnd, TaskFacts, TrainSummary};
use crate::model::checkpoint::{self, CheckpointError, Snapshot};
use crate::model::state_dict::{self, StateDict};
use crate::run_record::{Position, RunSummary};
use crate::train::TrainError;
use crate::train::approach::Approach;
use crate::train::learner::Learner;
use crate::train::profile::Clock;
use crate::train::settings::TrainConfig;
use crate::train::world::World;

/// Where the others have their weights and checkpoints from, for messages.
const FIRST_RANK: &str = "the first rank's run directory";

/// The record of a run on one of its ranks. What happens is told to it on all of them.
pub(in crate::train) enum RankRecord<'a> {
    /// Rank 0 writes.
    First(Box<Record<'a>>),
    /// The others leave nothing.
    Other(Box<Start>),
}

/// What a run goes on from, beside tensors.
#[derive(Default, Serialize, Deserialize)]
pub(in crate::train) struct Start {
    /// What it came to, if it is complete.
    complete: Option<RunSummary>,
    /// Tasks done.
    done: usize,
    /// The stage of each task.
    stages: Vec<usize>,
    /// Clips whose frames could not be read in them.
    skipped: Vec<String>,
    /// Where the task under way was stopped.
    under_way: Option<(Position, TaskFacts)>,
    /// With what it goes on there.
    #[serde(skip)]
    tensors: StateDict,
}

/// What is left to do for a rank.
pub(in crate::train) enum Begun<'a> {
    /// Nothing.
    Complete(Box<TrainSummary>),
    /// Some tasks.
    Unfinished(RankRecord<'a>),
}

impl Start {
    fn of(opened: &Opened<'_>) -> Self {
        match opened {
            Opened::Complete(summary) => Self {
                complete: Some(summary.facts.clone()),
                ..Self::default()
            },
            Opened::Unfinished(record) => Self {
                done: record.done(),
                stages: record.stages.clone(),
                skipped: record.skipped().to_vec(),
                under_way: record
                    .under_way
                    .as_ref()
                    .map(|kept| (kept.position, kept.facts.clone())),
                ..Self::default()
            },
        }
    }
}

/// Has all ranks go on from what the first has opened and put back: its weights, what the approach carries over, and the task
/// under way. The others give nothing as `opened`.
///
/// # Errors
/// When a rank is lost.
pub(in crate::train) fn share<'a>(
    world: &World,
    config: &TrainConfig,
    opened: Option<Opened<'a>>,
    learner: &Learner,
    approach: &mut dyn Approach,
) -> Result<Begun<'a>, TrainError> {
    if world.size() > 1 {
        let first = opened.as_ref().map(Start::of);
        let mut start = from_first(world, first.as_ref())?;
        if let Some(facts) = start.complete.take() {
            let summary = TrainSummary::new(config, facts, true);
            return Ok(Begun::Complete(Box::new(summary)));
        }
        let is_first = world.is_first();
        let weights: StateDict = learner.store().variables().into_iter().collect();
        let weights = state_from_first(world, is_first.then_some(&weights))?;
        let carried: StateDict = approach.state().into_iter().collect();
        let carried = state_from_first(world, is_first.then_some(&carried))?;
        let under_way = match &opened {
            Some(Opened::Unfinished(record)) => record.under_way.as_ref().map(|kept| &kept.tensors),
            _ => None,
        };
        let none = StateDict::new();
        start.tensors = state_from_first(world, is_first.then_some(under_way.unwrap_or(&none)))?;
        if !is_first {
            checkpoint::restore(learner.store(), &Snapshot::of(weights))?;
            if !carried.is_empty() {
                approach.restore(learner, Path::new(FIRST_RANK), carried)?;
            }
            return Ok(Begun::Unfinished(RankRecord::Other(Box::new(start))));
        }
    }
    Ok(match opened {
        Some(Opened::Complete(summary)) => Begun::Complete(summary),
        Some(Opened::Unfinished(record)) => Begun::Unfinished(RankRecord::First(record)),
        // A rank alone is the first, and has opened it.
        None => Begun::Unfinished(RankRecord::Other(Box::default())),
    })
}

/// Of rank 0, which alone gives something, a value on all ranks.
///
/// # Errors
/// When a rank is lost.
pub(in crate::train) fn from_first<T: Serialize + for<'d> Deserialize<'d>>(
    world: &World,
    own: Option<&T>,
) -> Result<T, TrainError> {
    let facts = |source| TrainError::Facts {
        path: PathBuf::from(FIRST_RANK),
        source,
    };
    let bytes = own.map(serde_json::to_vec).transpose().map_err(facts)?;
    serde_json::from_slice(&world.bytes(bytes)?).map_err(facts)
}

fn state_from_first(world: &World, own: Option<&StateDict>) -> Result<StateDict, TrainError> {
    let bytes = own
        .map(state_dict::to_bytes)
        .transpose()
        .map_err(CheckpointError::from)?;
    let bytes = world.bytes(bytes)?;
    Ok(state_dict::of_bytes(&bytes, Path::new(FIRST_RANK)).map_err(CheckpointError::from)?)
}

impl RankRecord<'_> {
    /// Tasks done when the run began.
    pub(in crate::train) fn done(&self) -> usize {
        match self {
            Self::First(record) => record.done(),
            Self::Other(start) => start.done,
        }
    }

    /// [`Record::stage`].
    pub(in crate::train) fn stage(&self, task: usize) -> usize {
        match self {
            Self::First(record) => record.stage(task),
            Self::Other(start) => start.stages[task],
        }
    }

    /// Clips whose frames could not be read in them.
    pub(in crate::train) fn skipped(&self) -> &[String] {
        match self {
            Self::First(record) => record.skipped(),
            Self::Other(start) => &start.skipped,
        }
    }

    /// Gives away the checkpoint that `task` goes on from, if there is one.
    pub(in crate::train) fn take_checkpoint(&mut self, task: usize) -> Option<TaskCheckpoint> {
        match self {
            Self::First(record) => record.take_checkpoint(task),
            Self::Other(start) => {
                let (position, facts) = start.under_way.take_if(|(at, _)| at.task == task)?;
                Some(TaskCheckpoint {
                    position,
                    facts,
                    tensors: std::mem::take(&mut start.tensors),
                })
            }
        }
    }

    /// The last good weights, as far as this rank knows.
    pub(in crate::train) fn last_weights(&self) -> Option<PathBuf> {
        match self {
            Self::First(record) => record.last_weights(),
            Self::Other(_) => None,
        }
    }

    /// [`Record::training_begins`].
    pub(in crate::train) fn training_begins(&self, learner: &Learner) -> Result<(), TrainError> {
        match self {
            Self::First(record) => record.training_begins(learner),
            Self::Other(_) => Ok(()),
        }
    }

    /// [`Record::task_begins`].
    pub(in crate::train) fn task_begins(
        &self,
        task: usize,
        learner: &Learner,
    ) -> Result<(), TrainError> {
        match self {
            Self::First(record) => record.task_begins(task, learner),
            Self::Other(_) => Ok(()),
        }
    }

    /// [`Record::unlearned`].
    pub(in crate::train) fn unlearned(
        &self,
        task: usize,
        learner: &Learner,
    ) -> Result<(), TrainError> {
        match self {
            Self::First(record) => record.unlearned(task, learner),
            Self::Other(_) => Ok(()),
        }
    }

    /// [`Record::task_passed_over`].
    pub(in crate::train) fn task_passed_over(&mut self, task: usize) -> Result<(), TrainError> {
        match self {
            Self::First(record) => record.task_passed_over(task),
            Self::Other(_) => Ok(()),
        }
    }

    /// [`Record::epoch_ended`].
    pub(in crate::train) fn epoch_ended(&mut self, end: &EpochEnd<'_>) -> Result<(), TrainError> {
        match self {
            Self::First(record) => record.epoch_ended(end),
            Self::Other(_) => Ok(()),
        }
    }

    /// [`Record::task_ended`].
    pub(in crate::train) fn task_ended(
        &mut self,
        end: TaskEnd,
        learner: &Learner,
        clock: &mut Clock,
    ) -> Result<(), TrainError> {
        match self {
            Self::First(record) => record.task_ended(end, learner, clock),
            Self::Other(_) => Ok(()),
        }
    }

    /// [`Record::run_ended`]; no rank ends before the run is complete.
    pub(in crate::train) fn run_ended(
        self,
        world: &World,
        config: &TrainConfig,
    ) -> Result<TrainSummary, TrainError> {
        let summary = match self {
            Self::First(record) => Some(record.run_ended()?),
            Self::Other(_) => None,
        };
        let facts = from_first(world, summary.as_ref().map(|summary| &summary.facts))?;
        Ok(summary.unwrap_or_else(|| TrainSummary::new(config, facts, false)))
    }
}
