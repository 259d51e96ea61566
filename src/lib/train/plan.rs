//! What each task trains and evaluates on, from `availability.parquet` and the shards' index. Pure but for [`Plan::read`].

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use crate::artifact::hash_file;
use crate::clip::Split;
use crate::data::{Dataset, Sample};
use crate::shard::Shards;
use crate::stage_tables::{AVAILABILITY_FILE, AvailabilityRow, SCHEDULE_FILE};
use crate::table::{self, Table};

use super::TrainError;

/// Scenarios whose imbalanced sampler counts classes over the whole training table, not over the task's list.
const COUNTED_OVER_THE_TABLE: [&str; 2] = ["substitution", "joint-incremental"];

/// Where a clip's frames lie: shard and row.
pub type Places = HashMap<String, (String, i64)>;

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
    /// When a table cannot be read, lists make no sense, or a task has a list without any usable clip.
    pub fn read(availability: &Path, shards: &Path) -> Result<Self, TrainError> {
        let table = availability.join(AVAILABILITY_FILE);
        let provenance = table::provenance(&table, &AvailabilityRow::FORMAT)?;
        let rows: Vec<AvailabilityRow> = table::read(&table)?;
        let shards = Arc::new(Shards::open(shards)?);
        let places = shards
            .index()
            .iter()
            .filter(|row| row.status.is_usable())
            .filter_map(|row| Some((row.clip_id.clone(), (row.shard.clone()?, row.shard_row?))))
            .collect();
        let setting = |name: &str| provenance.settings.get(name).cloned().unwrap_or_default();
        let names = Names {
            scenario: setting("scenario").as_str().unwrap_or_default().to_owned(),
            taxonomy: serde_json::from_value(setting("taxonomy")).unwrap_or_default(),
            class_counts: serde_json::from_value(setting("train_class_counts")).ok(),
        };
        let mut plan = Self::of(&rows, &names, &places, &shards)?;
        plan.tasks_seed = setting("seed").as_u64();
        plan.randomized = setting("randomize").as_bool().unwrap_or(true);
        for path in [
            table,
            availability.join(SCHEDULE_FILE),
            shards.folder().join(crate::shard::INDEX_FILE),
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
        places: &Places,
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
        for task in 0..tasks {
            let listed: Vec<&AvailabilityRow> = rows
                .iter()
                .filter(|row| row.task == task && row.position.is_some())
                .collect();
            let mut unusable = [0; 3];
            let mut list = |split: Split| {
                let listed = listed.iter().filter(|row| row.split == split);
                let samples: Vec<Sample> = listed
                    .clone()
                    .filter_map(|row| sample(row, places))
                    .collect();
                unusable[split as usize] = listed.count() - samples.len();
                if samples.is_empty() {
                    return Err(TrainError::EmptyList {
                        task,
                        split,
                        unusable: unusable[split as usize],
                    });
                }
                Ok(Arc::new(Dataset::new(Arc::clone(shards), samples)))
            };
            let (train, validation, test) = (
                list(Split::Train)?,
                list(Split::Validation)?,
                list(Split::Test)?,
            );
            let class_counts = if COUNTED_OVER_THE_TABLE.contains(&plan.scenario.as_str()) {
                table_counts.clone()
            } else {
                counts(
                    &plan.categories,
                    listed
                        .iter()
                        .copied()
                        .filter(|row| row.split == Split::Train),
                )
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
    /// Each category with its subcategories, in order; empty where the table does not say.
    taxonomy: Vec<(String, Vec<String>)>,
    /// Clips of each class in the whole training table, where the table says so.
    class_counts: Option<Vec<u64>>,
}

/// The sample of a listed clip, unless it has no frames.
fn sample(row: &AvailabilityRow, places: &Places) -> Option<Sample> {
    let (shard, shard_row) = places.get(&row.clip_id).filter(|_| row.usable)?;
    Some(Sample {
        clip_id: row.clip_id.clone(),
        position: row.position?,
        label: i64::from(row.label),
        subcategory: row.subcategory.clone(),
        shard: shard.clone(),
        shard_row: *shard_row,
    })
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
    let mut found: BTreeMap<i32, (String, BTreeSet<String>)> = BTreeMap::new();
    for row in rows {
        let entry = found
            .entry(row.label)
            .or_insert_with(|| (row.category.clone(), BTreeSet::new()));
        if entry.0 != row.category {
            return Err(TrainError::Labels {
                label: row.label,
                names: [entry.0.clone(), row.category.clone()],
            });
        }
        entry.1.insert(row.subcategory.clone());
    }
    let taxonomy: Vec<(String, Vec<String>)> = if recorded.is_empty() {
        let dense = found
            .keys()
            .enumerate()
            .all(|(i, label)| usize::try_from(*label) == Ok(i));
        if !dense || found.is_empty() {
            return Err(TrainError::Classes {
                labels: found.keys().copied().collect(),
            });
        }
        found
            .into_values()
            .map(|(category, subcategories)| (category, subcategories.into_iter().collect()))
            .collect()
    } else {
        for (label, (category, subcategories)) in &found {
            let known = usize::try_from(*label)
                .ok()
                .and_then(|class| recorded.get(class));
            let fits = known.is_some_and(|(name, all)| {
                name == category && subcategories.iter().all(|s| all.contains(s))
            });
            if !fits {
                let name = known.map_or_else(String::new, |(name, _)| name.clone());
                return Err(TrainError::Labels {
                    label: *label,
                    names: [name, category.clone()],
                });
            }
        }
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
