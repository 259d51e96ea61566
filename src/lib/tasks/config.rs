//! The settings of the tasks stage.

use std::path::PathBuf;

use super::EventFiles;
use crate::choice::choice;
use crate::tables::ClassCountsOver;

/// Tasks where neither a number nor a schedule is given.
pub const DEFAULT_TASKS: usize = 6;
/// The most tasks that are dealt: each lists every clip that it has.
pub const MAX_TASKS: usize = 10_000;

choice! {
    /// How the training data changes from task to task.
    #[derive(Default, PartialOrd, Ord)]
    pub enum Scenario: "scenario" {
        /// Old clips leave and new clips arrive, the same number in each task.
        #[default]
        Substitution = "substitution" (seed "baseline"),
        /// Whole subcategories are withdrawn.
        Decremental = "decremental",
        /// Subcategories of the start are exchanged for others.
        IncrementalDecremental = "incremental-decremental" (seed "incremental_decremental"),
        /// Clips only arrive.
        JointIncremental = "joint-incremental" (seed "joint_incremental"),
        /// Clips arrive and leave as a table says.
        Events = "events",
    }
}

impl Scenario {
    /// Whether a schedule says which subcategories each task has.
    #[must_use]
    pub fn takes_schedule(self) -> bool {
        self.published_schedule().is_some()
    }

    /// The file's name, in a folder of label tables, of the schedule that the published experiments
    /// used under it.
    #[must_use]
    pub fn published_schedule(self) -> Option<&'static str> {
        match self {
            Self::Decremental => Some("subcategories_to_remove.csv"),
            Self::IncrementalDecremental => Some("subcategories_to_substitute.csv"),
            Self::Substitution | Self::JointIncremental | Self::Events => None,
        }
    }

    /// Which clips of a class the imbalanced sampler counts: the seed counts a task's list only
    /// where subcategories come and go, and events may be anything.
    #[must_use]
    pub fn class_counts_over(self) -> ClassCountsOver {
        if self.takes_schedule() || self == Self::Events {
            ClassCountsOver::List
        } else {
            ClassCountsOver::Table
        }
    }
}

choice! {
    /// What becomes of the clips that do not divide evenly among the tasks.
    #[derive(Default)]
    pub enum Remainder: "remainder" {
        /// They never leave, or never arrive.
        #[default]
        Stay = "stay",
        /// They are spread over the tasks.
        Spread = "spread",
    }
}

/// What decides the deal beside the tables, the schedule and the number of tasks.
#[derive(Clone, Debug, PartialEq)]
pub struct DealSettings {
    /// How the data changes.
    pub scenario: Scenario,
    /// The seed of both generators.
    pub seed: u32,
    /// Whether each category's entries of the schedule are shuffled over the tasks after the first.
    pub randomize: bool,
    /// What becomes of clips that do not divide evenly.
    pub remainder: Remainder,
    /// Whether clips of the second part arrive at all; can be no only where a schedule is taken.
    pub arrivals: bool,
    /// The share of a subcategory's clips that is there from the start is 1 / this, at least 1.
    pub initial_split: f64,
}

impl Default for DealSettings {
    fn default() -> Self {
        Self::published(Scenario::default(), 0)
    }
}

impl DealSettings {
    /// The published settings of a scenario.
    #[must_use]
    pub fn published(scenario: Scenario, seed: u32) -> Self {
        Self {
            scenario,
            seed,
            randomize: true,
            remainder: Remainder::default(),
            arrivals: true,
            initial_split: 2.0,
        }
    }
}

/// Where the labelled clips come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LabelSource {
    /// A manifest (`clips.parquet`), which knows the clips without frames.
    Manifest(PathBuf),
    /// A folder of label tables; every clip that is not withdrawn counts as usable.
    Labels(PathBuf),
}

/// The stage's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct TasksConfig {
    /// The labelled clips.
    pub clips: LabelSource,
    /// A list of clips that count as having no frames from the start: the same draws without them.
    /// Default none.
    pub without: Option<PathBuf>,
    /// What decides the deal.
    pub deal: DealSettings,
    /// The tables of the scenario `events`, which no other takes.
    pub events: Option<EventFiles>,
    /// The schedule's CSV, for the scenarios that take one.
    pub schedule: Option<PathBuf>,
    /// The number of tasks; by default the schedule's rows, [`DEFAULT_TASKS`] without one. Events
    /// say it themselves; of theirs no more than this are written.
    pub tasks: Option<usize>,
    /// The folder of the two tables.
    pub out: PathBuf,
}
