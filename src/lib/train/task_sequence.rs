//! What each task trains and evaluates on, from `availability.parquet` and the shards' index. Pure
//! but for [`TaskSequence::read`].

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use super::TrainError;
use crate::artifact::hash_file;
use crate::clip::Split;
use crate::data::{Dataset, Lists};
use crate::parquet_file;
use crate::shard::Shards;
use crate::tables::{
    self, Availability, AvailabilityRow, ClassCountsOver, Deal, IndexRow, ScheduleRow,
};

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
    /// usable, or a task has a list without any usable clip.
    pub fn read(availability: &Path, shards: &Path) -> Result<Self, TrainError> {
        let table = availability.join(AvailabilityRow::FILE);
        let read = Availability::read(&table)?;
        let (rows, deal) = (&read.rows, Deal::of(&read));
        let shards = Arc::new(Shards::open(shards)?);
        let dealt = rows.last().map_or(0, |row| row.task + 1);
        let mut lists = Lists::join(rows, shards.index())?;
        let tasks = (0..dealt).map(|task| task_of(task, rows, &deal, &mut lists, &shards));
        let tasks = tasks.collect::<Result<Vec<Task>, TrainError>>()?;
        let mut inputs = BTreeMap::new();
        let schedule = availability.join(ScheduleRow::FILE);
        // Training takes nothing from it, but the run keeps a copy, which must be sound.
        parquet_file::read::<ScheduleRow>(&schedule)?;
        for path in [table, schedule, shards.folder().join(IndexRow::FILE)] {
            if let Some(name) = path.file_name() {
                inputs.insert(name.to_string_lossy().into_owned(), hash_file(&path)?);
            }
        }
        Ok(Self {
            deal,
            dealt: tasks.len(),
            tasks,
            inputs,
        })
    }
}

/// The lists of `task` and what its sampler counts.
fn task_of(
    task: i32,
    rows: &[AvailabilityRow],
    deal: &Deal,
    lists: &mut Lists,
    shards: &Arc<Shards>,
) -> Result<Task, TrainError> {
    let mut unusable = [0; 3];
    let mut list = |split: Split| {
        let list = lists.take(task, split);
        unusable[split as usize] = list.unusable;
        if list.samples.is_empty() {
            return Err(TrainError::EmptyList {
                task,
                split,
                unusable: list.unusable,
            });
        }
        Ok(Arc::new(Dataset::new(Arc::clone(shards), list.samples)))
    };
    let [train, validation, test] = [
        list(Split::Train)?,
        list(Split::Validation)?,
        list(Split::Test)?,
    ];
    let in_list = |row: &&AvailabilityRow| {
        row.task == task && row.position.is_some() && row.split == Split::Train
    };
    Ok(Task {
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
    })
}
