//! What each task trains and evaluates on, from `availability.parquet` and the shards' index. Pure but for [`Plan::read`].

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::artifact::hash_file;
use crate::clip::Split;
use crate::data::{Dataset, Lists};
use crate::shard::Shards;
use crate::tables::{self, AvailabilityRow, CategoryNames};
use crate::tables::{IndexRow, ScheduleRow};

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
        let (rows, provenance) = tables::read_availability(&table)?;
        let shards = Arc::new(Shards::open(shards)?);
        let setting = |name: &str| provenance.settings.get(name).cloned().unwrap_or_default();
        let names = Names {
            scenario: setting("scenario").as_str().unwrap_or_default().to_owned(),
            taxonomy: tables::category_names(&provenance),
            class_counts: serde_json::from_value(setting("train_class_counts")).ok(),
        };
        let mut plan = Self::of(&rows, &names, &shards)?;
        plan.tasks_seed = setting("seed").as_u64();
        plan.randomized = setting("randomize").as_bool().unwrap_or(true);
        // Who writes a table of availability by other means may have no schedule.
        let schedule = Some(availability.join(ScheduleRow::FILE)).filter(|path| path.exists());
        let index = shards.folder().join(IndexRow::FILE);
        for path in [table, index].into_iter().chain(schedule) {
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
        let (categories, subcategories) = taxonomy(rows, &names.taxonomy)?;
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
    /// Empty where the table does not say.
    taxonomy: CategoryNames,
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

/// Categories in class order and subcategories in taxonomy order: as the table's provenance has them, or, where it is
/// silent, subcategories of a class in the order of their names.
#[allow(clippy::type_complexity)] // The two lists of a taxonomy.
fn taxonomy(
    rows: &[AvailabilityRow],
    recorded: &[(String, Vec<String>)],
) -> Result<(Vec<String>, Vec<(usize, String)>), TrainError> {
    let taxonomy = if recorded.is_empty() {
        found(rows)?
    } else {
        recorded.to_vec()
    };
    let subcategories = taxonomy
        .iter()
        .enumerate()
        .flat_map(|(class, (_, all))| all.iter().map(move |name| (class, name.clone())))
        .collect();
    Ok((
        taxonomy.into_iter().map(|(category, _)| category).collect(),
        subcategories,
    ))
}

/// The categories that stand in `rows`, whose labels must be 0, 1, 2, ...
fn found(rows: &[AvailabilityRow]) -> Result<CategoryNames, TrainError> {
    let mut found: BTreeMap<i32, (String, BTreeSet<String>)> = BTreeMap::new();
    for row in rows {
        let entry = found
            .entry(row.label)
            .or_insert_with(|| (row.category.clone(), BTreeSet::new()));
        entry.1.insert(row.subcategory.clone());
    }
    let mut labels = found.keys().enumerate();
    if found.is_empty() || !labels.all(|(i, label)| usize::try_from(*label) == Ok(i)) {
        return Err(TrainError::Classes {
            labels: found.keys().copied().collect(),
        });
    }
    let names = found.into_values();
    Ok(names
        .map(|(category, subcategories)| (category, subcategories.into_iter().collect()))
        .collect())
}
