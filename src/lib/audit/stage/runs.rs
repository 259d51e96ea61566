//! A run directory as the audit reads it: its settings and its lists.

use std::path::{Path, PathBuf};

use super::AuditStageError;
use crate::clip::Split;
use crate::metrics::Criterion;
use crate::run_record::{CHECKPOINTS, RunRecord, checkpoint_file, unlearned_file};
use crate::tables::{Availability, AvailabilityRow, FEATURES_INPUT, MetricRow};
use crate::taxonomy::Taxonomy;
use crate::train::Settings;
use crate::train::settings::ApproachName::Finetune;
use crate::train::settings::UnlearnName;

/// A clip of a list.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct ListedClip {
    pub(super) id: String,
    /// Its class.
    pub(super) class: usize,
    /// Its subcategory's place in the taxonomy.
    pub(super) subcategory: usize,
}

/// The usable clips of a task's lists.
#[derive(Clone, Debug, Default)]
pub(super) struct Lists {
    pub(super) train: Vec<ListedClip>,
    pub(super) validation: Vec<ListedClip>,
    pub(super) test: Vec<ListedClip>,
}

/// A run directory.
pub(super) struct AuditedRun {
    pub(super) folder: PathBuf,
    /// The folder's name.
    pub(super) name: String,
    pub(super) scenario: String,
    /// The seed of the deal.
    pub(super) tasks_seed: Option<u64>,
    pub(super) settings: Settings,
    /// The hash of the feature table that a head was trained on.
    pub(super) features: Option<String>,
    /// Threads that it was trained on.
    pub(super) threads: Option<usize>,
    /// Tasks done.
    pub(super) done: usize,
    /// The figures of its tasks.
    pub(super) metrics: Vec<MetricRow>,
    pub(super) tasks: Vec<Lists>,
    pub(super) taxonomy: Taxonomy,
}

impl AuditedRun {
    /// Reads the run in `folder`, whose files must be those that it wrote.
    ///
    /// # Errors
    /// When it is no run, has finished no task, or is damaged.
    pub(super) fn read(folder: &Path) -> Result<Self, AuditStageError> {
        let lacks = |what| AuditStageError::NotARun {
            folder: folder.to_owned(),
            what,
        };
        let record = RunRecord::read(folder)?.ok_or_else(|| lacks("it holds no run"))?;
        if record.progress.tasks.is_empty() {
            return Err(lacks("the run has finished no task"));
        }
        let settings = serde_json::Value::Object(record.head.settings.clone());
        let settings: Settings = serde_json::from_value(settings)
            .map_err(|_| lacks("its settings are not those of this program"))?;
        let availability = Availability::read(&folder.join(AvailabilityRow::FILE))?;
        let name = folder.file_name().map(|name| name.to_string_lossy());
        let done = record.progress.tasks.len();
        // A table that has lost a withdrawn clip since is the same table.
        let inputs = record.progress.inputs_now(&record.head.inputs);
        Ok(Self {
            name: name.unwrap_or_default().into_owned(),
            folder: folder.to_owned(),
            scenario: record.head.scenario.clone(),
            tasks_seed: record.head.tasks_seed,
            threads: record.head.machine.as_ref().map(|machine| machine.threads),
            features: inputs.get(FEATURES_INPUT).cloned(),
            tasks: (0..done).map(|task| lists(&availability, task)).collect(),
            taxonomy: availability.taxonomy,
            metrics: record.metrics,
            settings,
            done,
        })
    }

    /// How the audit calls what this run does about a withdrawal: its method, behind its approach
    /// where that is not plain training.
    pub(super) fn method(&self) -> String {
        let (approach, unlearn) = (self.settings.approach, self.settings.unlearn);
        match (approach, unlearn) {
            (Finetune, _) => unlearn.to_string(),
            (_, UnlearnName::None) => approach.to_string(),
            _ => format!("{approach}+{unlearn}"),
        }
    }

    /// How the audit calls this run where it is a reference of this kind: the kind, behind its
    /// approach where that is not plain training.
    pub(super) fn as_reference(&self, kind: &str) -> String {
        match self.settings.approach {
            Finetune => kind.to_owned(),
            approach => format!("{approach} {kind}"),
        }
    }

    /// The weights at the end of `task`.
    pub(super) fn end(&self, task: usize) -> PathBuf {
        self.folder.join(checkpoint_file(task))
    }

    /// The weights that had unlearned what `task` withdraws, where the run kept them.
    pub(super) fn unlearned(&self, task: usize) -> Option<PathBuf> {
        let path = self.folder.join(unlearned_file(task));
        path.exists().then_some(path)
    }

    /// The criterion as the measures call it.
    pub(super) fn criterion(&self) -> Criterion {
        self.settings.criterion.of_metrics()
    }

    /// The ids of the train lists of the tasks up to `last`.
    pub(super) fn train_ids(&self, last: usize) -> Vec<Vec<&str>> {
        let lists = self.tasks[..=last].iter();
        lists
            .map(|lists| lists.train.iter().map(|clip| &clip.id[..]).collect())
            .collect()
    }
}

/// Whether a name is that of a folder of weights: what the audit never writes into.
pub(super) fn is_run_folder(folder: &Path) -> bool {
    folder.join(CHECKPOINTS).exists()
}

/// The usable clips of the lists of `task`, in their order.
pub(super) fn lists(availability: &Availability, task: usize) -> Lists {
    let mut lists = Lists::default();
    let mut rows: Vec<&AvailabilityRow> = availability
        .rows
        .iter()
        .filter(|row| usize::try_from(row.task) == Ok(task) && row.usable)
        .filter(|row| row.position.is_some())
        .collect();
    rows.sort_by_key(|row| row.position);
    for row in rows {
        let place = availability.taxonomy.place(&row.subcategory);
        let clip = ListedClip {
            id: row.clip_id.clone(),
            class: usize::try_from(row.label).unwrap_or(usize::MAX),
            // The table was checked against its taxonomy.
            subcategory: place.map_or(usize::MAX, |place| place.number),
        };
        match row.split {
            Split::Train => lists.train.push(clip),
            Split::Validation => lists.validation.push(clip),
            Split::Test => lists.test.push(clip),
        }
    }
    lists
}
