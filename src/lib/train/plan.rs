//! What each task trains and evaluates on, from `availability.parquet` and the shards' index. Pure but for [`Plan::read`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::artifact::hash_file;
use crate::clip::Split;
use crate::data::{Dataset, Lists};
use crate::shard::Shards;
use crate::tables::{Availability, AvailabilityRow, IndexRow, ScheduleRow};
use crate::taxonomy::Taxonomy;

use super::TrainError;

/// Scenarios whose imbalanced sampler counts classes over the whole training table, not over the task's list.
const COUNTED_OVER_THE_TABLE: [&str; 2] = ["substitution", "joint-incremental"];

/// Everything that the run needs to know of its data.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How availability changes, as the tasks stage calls it.
    pub scenario: String,
    /// The seed that the tasks were dealt with, where the tasks stage recorded it.
    pub tasks_seed: Option<u64>,
    /// The categories in class order.
    pub categories: Vec<String>,
    /// Class and name of each subcategory, in the taxonomy's order.
    pub subcategories: Vec<(usize, String)>,
    /// Whether the tasks stage permuted the schedule's columns.
    pub randomized: bool,
    /// The number of tasks that were dealt; `tasks` may be cut shorter.
    pub dealt: usize,
    /// The tasks in order.
    pub tasks: Vec<TaskPlan>,
    /// BLAKE3 of each input file, by its name.
    pub inputs: BTreeMap<String, String>,
}

/// One task's clips.
#[derive(Clone, Debug)]
pub struct TaskPlan {
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

impl TaskPlan {
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

impl Plan {
    /// Reads the tasks in `availability` and finds their clips in `shards`.
    ///
    /// # Errors
    /// When a table cannot be read, lists make no sense, the shards lack a clip that they call usable, or a task has a list
    /// without any usable clip.
    pub fn read(availability: &Path, shards: &Path) -> Result<Self, TrainError> {
        let table = availability.join(AvailabilityRow::FILE);
        let Availability {
            rows,
            taxonomy,
            provenance,
        } = Availability::read(&table)?;
        let shards = Arc::new(Shards::open(shards)?);
        let setting = |name: &str| provenance.settings.get(name).cloned().unwrap_or_default();
        let names = Names {
            scenario: setting("scenario").as_str().unwrap_or_default().to_owned(),
            taxonomy,
            class_counts: serde_json::from_value(setting("train_class_counts")).ok(),
        };
        let mut plan = Self::of(&rows, &names, &shards)?;
        plan.tasks_seed = setting("seed").as_u64();
        plan.randomized = setting("randomize").as_bool().unwrap_or(true);
        for path in [
            table,
            availability.join(ScheduleRow::FILE),
            shards.folder().join(IndexRow::FILE),
        ] {
            if let Some(name) = path.file_name() {
                plan.inputs
                    .insert(name.to_string_lossy().into_owned(), hash_file(&path)?);
            }
        }
        Ok(plan)
    }

    fn of(
        rows: &[AvailabilityRow],
        names: &Names,
        shards: &Arc<Shards>,
    ) -> Result<Self, TrainError> {
        let categories = names.taxonomy.category_names();
        let subcategories = names.taxonomy.subcategories();
        let subcategories = subcategories
            .map(|(class, name)| (class, name.to_owned()))
            .collect();
        let table_counts = match &names.class_counts {
            Some(counts) if counts.len() == categories.len() => counts.clone(),
            _ => counts(
                &categories,
                rows.iter().filter(|row| row.split == Split::Train),
            ),
        };
        let tasks = rows.iter().map(|row| row.task + 1).max().unwrap_or(0);
        let mut plan = Self {
            scenario: names.scenario.clone(),
            tasks_seed: None,
            randomized: true,
            dealt: usize::try_from(tasks).unwrap_or(0),
            tasks: Vec::new(),
            inputs: BTreeMap::new(),
            categories,
            subcategories,
        };
        let mut lists = Lists::join(rows, shards.index())?;
        for task in 0..tasks {
            let mut unusable = [0; 3];
            let mut list = |split: Split| {
                let list = lists.take(task, split);
                unusable[split as usize] = list.unusable;
                if list.samples.is_empty() {
                    let unusable = list.unusable;
                    return Err(TrainError::EmptyList {
                        task,
                        split,
                        unusable,
                    });
                }
                Ok(Arc::new(Dataset::new(Arc::clone(shards), list.samples)))
            };
            let (train, validation, test) = (
                list(Split::Train)?,
                list(Split::Validation)?,
                list(Split::Test)?,
            );
            let class_counts = if COUNTED_OVER_THE_TABLE.contains(&plan.scenario.as_str()) {
                table_counts.clone()
            } else {
                let listed = rows.iter().filter(|row| {
                    row.task == task && row.position.is_some() && row.split == Split::Train
                });
                counts(&plan.categories, listed)
            };
            plan.tasks.push(TaskPlan {
                train,
                validation,
                test,
                unusable,
                class_counts,
            });
        }
        Ok(plan)
    }

    /// The number of classes.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.categories.len()
    }

    /// The class of each subcategory, in the taxonomy's order.
    #[must_use]
    pub fn class_of_subcategory(&self) -> Vec<usize> {
        self.subcategories.iter().map(|(class, _)| *class).collect()
    }

    /// The index of a subcategory in the taxonomy's order.
    #[must_use]
    pub fn subcategory(&self, name: &str) -> Option<usize> {
        self.subcategories
            .iter()
            .position(|(_, known)| known == name)
    }
}

/// What the availability table's provenance says beside its rows.
struct Names {
    scenario: String,
    taxonomy: Taxonomy,
    /// Clips of each class in the whole training table, where the table says so.
    class_counts: Option<Vec<u64>>,
}

/// Different clips of each class among `rows`.
fn counts<'a>(categories: &[String], rows: impl Iterator<Item = &'a AvailabilityRow>) -> Vec<u64> {
    let clips: BTreeSet<(usize, &str)> = rows
        .filter_map(|row| Some((usize::try_from(row.label).ok()?, row.clip_id.as_str())))
        .collect();
    let mut counts = vec![0; categories.len()];
    for (class, _) in clips {
        if let Some(count) = counts.get_mut(class) {
            *count += 1;
        }
    }
    counts
}
