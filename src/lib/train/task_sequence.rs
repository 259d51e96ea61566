//! What each task trains and evaluates on, from `availability.parquet` and the shards' index. Pure
//! but for [`TaskSequence::read`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Map, Value};

use super::TrainError;
use crate::artifact::hash_file;
use crate::clip::Split;
use crate::data::{Dataset, Lists};
use crate::parquet_file::{self, Provenance};
use crate::shard::{ShardSource, Shards};
use crate::tables::{self, Availability, AvailabilityRow, ClassCountsOver, Deal, ScheduleRow};

/// Everything that the run needs to know of its data.
#[derive(Clone, Debug)]
pub struct TaskSequence {
    /// How the tasks were dealt.
    pub deal: Deal,
    /// The number of tasks that were dealt; `tasks` may be cut shorter.
    pub dealt: usize,
    /// The tasks in order.
    pub tasks: Vec<Task>,
    /// BLAKE3 of each input file, by its name.
    pub inputs: BTreeMap<String, String>,
    /// The settings that the shards were decoded with, as they say themselves.
    pub decoding: Map<String, Value>,
    /// Clips that leave at a task and whose frames have left before; none where lists say all.
    pub left_before: LeftBefore,
}

/// Clips that leave at a task, of which the lists say nothing because their frames have left before.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LeftBefore {
    /// The task.
    pub task: usize,
    /// How many clips.
    pub clips: usize,
}

impl LeftBefore {
    /// How many of them leave at `task`.
    #[must_use]
    pub fn at(&self, task: usize) -> usize {
        if self.task == task { self.clips } else { 0 }
    }
}

/// One task's clips.
#[derive(Clone, Debug)]
pub struct Task {
    /// The usable clips of the training list, in its order.
    pub train: Arc<Dataset>,
    /// Those of the validation list.
    pub validation: Arc<Dataset>,
    /// Those of the test list.
    pub test: Arc<Dataset>,
    /// Listed clips without frames, which are passed over: train, validation, test.
    pub unusable: [usize; 3],
    /// The count n of each class that the imbalanced sampler weighs with 1 / n.
    pub class_counts: Vec<u64>,
}

impl Task {
    /// Whether there is nothing to train on, or nothing to choose the best weights by: the task is passed over.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.train.is_empty() || self.validation.is_empty()
    }

    /// The error of the task numbered `task` whose list of `split` has no usable clip.
    pub(super) fn empty_list(&self, task: usize, split: Split) -> TrainError {
        TrainError::EmptyList {
            task,
            split,
            unusable: self.unusable[split as usize],
        }
    }

    /// The usable clips of one list.
    #[must_use]
    pub fn list(&self, split: Split) -> &Arc<Dataset> {
        match split {
            Split::Train => &self.train,
            Split::Validation => &self.validation,
            Split::Test => &self.test,
        }
    }
}

impl TaskSequence {
    /// Reads the tasks in `availability` and finds their clips in `shards`.
    ///
    /// # Errors
    /// When a table cannot be read, lists make no sense, the shards lack a clip that they call
    /// usable, no task has anything to train on, or one that has has nothing to test on.
    pub fn read(availability: &Path, shards: &ShardSource) -> Result<Self, TrainError> {
        let table = availability.join(AvailabilityRow::FILE);
        let read = Availability::read(&table)?;
        let (rows, deal) = (&read.rows, Deal::of(&read));
        let shards = Arc::new(Shards::at(shards)?);
        let dealt = rows.last().map_or(0, |row| row.task + 1);
        let mut lists = Lists::join(rows, shards.index())?;
        let tasks = (0..dealt).map(|task| task_of(task, rows, &deal, &mut lists, &shards));
        let tasks: Vec<Task> = tasks.collect();
        refuse_empty(&tasks)?;
        let mut inputs = BTreeMap::new();
        let schedule = availability.join(ScheduleRow::FILE);
        // Who writes a table of availability by other means may have no schedule.
        let is_foreign = read.provenance == Provenance::default();
        let schedule = Some(schedule).filter(|path| !is_foreign || path.exists());
        if let Some(schedule) = &schedule {
            // Training takes nothing from it, but the run keeps a copy, which must be sound.
            parquet_file::read::<ScheduleRow>(schedule)?;
        }
        let index = shards.index_file().to_owned();
        for path in [table, index].into_iter().chain(schedule) {
            if let Some(name) = path.file_name() {
                inputs.insert(name.to_string_lossy().into_owned(), hash_file(&path)?);
            }
        }
        Ok(Self {
            deal,
            dealt: tasks.len(),
            tasks,
            inputs,
            decoding: shards.provenance().settings.clone(),
            left_before: LeftBefore::default(),
        })
    }
}

/// Refuses tasks of which none can be trained, and one that can be and not be tested.
fn refuse_empty(tasks: &[Task]) -> Result<(), TrainError> {
    if let Some(first) = tasks.first()
        && tasks.iter().all(Task::is_empty)
    {
        let split = if first.train.is_empty() {
            Split::Train
        } else {
            Split::Validation
        };
        return Err(first.empty_list(0, split));
    }
    let untested = |task: &Task| !task.is_empty() && task.test.is_empty();
    match tasks.iter().position(untested) {
        Some(task) => Err(tasks[task].empty_list(task, Split::Test)),
        None => Ok(()),
    }
}

/// The lists of `task` and what its sampler counts.
fn task_of(
    task: i32,
    rows: &[AvailabilityRow],
    deal: &Deal,
    lists: &mut Lists,
    shards: &Arc<Shards>,
) -> Task {
    let lists = Split::ALL.map(|split| lists.take(task, split));
    let unusable = lists.each_ref().map(|list| list.unusable);
    let [train, validation, test] =
        lists.map(|list| Arc::new(Dataset::new(Arc::clone(shards), list.samples)));
    let in_list = |row: &&AvailabilityRow| {
        row.task == task && row.position.is_some() && row.split == Split::Train
    };
    Task {
        train,
        validation,
        test,
        unusable,
        class_counts: match deal.class_counts_over {
            ClassCountsOver::Table => deal.train_class_counts.clone(),
            ClassCountsOver::List => {
                tables::class_counts(&deal.taxonomy, rows.iter().filter(in_list))
            }
        },
    }
}
