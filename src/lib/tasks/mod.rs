//! Stage `tasks`: deals the labelled clips out to the tasks of a scenario.
//!
//! A scenario says how the training data changes from task to task; given the label tables, the taxonomy, a schedule and a
//! seed, the list of every task follows exactly, in membership and order, as the published experiments dealt it. Draws go
//! over the full label tables; whether a clip has frames (`usable`) is noted beside it and changes no draw, so two users
//! with different broken clips share every other position.
//!
//! ```text
//! labels or manifest --source--> Tables --availability::Plan--> lists --run--> schedule.parquet, availability.parquet
//! ```
//!
//! [`availability`] and [`schedule`] are pure; [`legacy_random`] holds the two generators and the set order of the
//! original. Files are touched in `source` and `run` alone.

pub mod availability;
pub mod legacy_random;
mod run;
pub mod schedule;
mod source;
mod summary;
mod writer;

use std::path::PathBuf;

pub use run::{run, write};
pub use source::{LabelledClip, Source};
pub use summary::{SplitSummary, TaskSummary, TasksSummary};

use crate::artifact::ArtifactError;
use crate::choice::choice;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::labels::LabelsError;
use crate::lock::LockError;
use crate::named_csv::NamedCsvError;
use crate::parquet_file::TableError;
use crate::tables::ClassCountsOver;
use crate::taxonomy::TaxonomyError;
use crate::withdrawn::WithdrawnError;

/// Tasks where neither a number nor a schedule is given.
pub const DEFAULT_TASKS: usize = 6;
/// The most tasks that are dealt: each lists every clip that it has.
pub const MAX_TASKS: usize = 10_000;

choice! {
    /// How the training data changes from task to task.
    #[derive(PartialOrd, Ord)]
    pub enum Scenario: "scenario" {
        /// Old clips leave and new clips arrive, the same number in each task.
        Substitution = "substitution" (seed "baseline"),
        /// Whole subcategories are withdrawn.
        Decremental = "decremental",
        /// Subcategories of the start are exchanged for others.
        IncrementalDecremental = "incremental-decremental" (seed "incremental_decremental"),
        /// Clips only arrive.
        JointIncremental = "joint-incremental" (seed "joint_incremental"),
    }
}

impl Scenario {
    /// Whether a schedule says which subcategories each task has.
    #[must_use]
    pub fn takes_schedule(self) -> bool {
        matches!(self, Self::Decremental | Self::IncrementalDecremental)
    }

    /// Which clips of a class the imbalanced sampler counts: the seed counts a task's list only where
    /// subcategories come and go.
    #[must_use]
    pub fn class_counts_over(self) -> ClassCountsOver {
        if self.takes_schedule() {
            ClassCountsOver::List
        } else {
            ClassCountsOver::Table
        }
    }
}

choice! {
    /// What becomes of the clips that do not divide evenly among the tasks.
    pub enum Remainder: "remainder" {
        /// They never leave, or never arrive.
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
    /// Whether each category's entries of the schedule are shuffled over the tasks after the first. Default: yes.
    pub randomize: bool,
    /// What becomes of clips that do not divide evenly. Default: they stay.
    pub remainder: Remainder,
    /// Whether clips of the second part arrive at all; can be no only where a schedule is taken. Default: yes.
    pub arrivals: bool,
    /// The share of a subcategory's clips that is there from the start is 1 / this, at least 1. Default: 2.
    pub initial_split: f64,
}

impl DealSettings {
    /// The published settings of a scenario.
    #[must_use]
    pub fn published(scenario: Scenario, seed: u32) -> Self {
        Self {
            scenario,
            seed,
            randomize: true,
            remainder: Remainder::Stay,
            arrivals: true,
            initial_split: 2.0,
        }
    }
}

/// Where the labelled clips come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClipSource {
    /// A manifest (`clips.parquet`), which knows the clips without frames.
    Manifest(PathBuf),
    /// A folder of label tables; every clip that is not withdrawn counts as usable.
    Labels(PathBuf),
}

/// The stage's settings.
#[derive(Clone, Debug, PartialEq)]
pub struct TasksConfig {
    /// The labelled clips.
    pub clips: ClipSource,
    /// A list of clips that count as having no frames from the start: the same draws without them. Default none.
    pub without: Option<PathBuf>,
    /// What decides the deal.
    pub deal: DealSettings,
    /// The schedule's CSV, for the scenarios that take one.
    pub schedule: Option<PathBuf>,
    /// The number of tasks; by default the schedule's rows, [`DEFAULT_TASKS`] without one.
    pub tasks: Option<usize>,
    /// The folder of the two tables.
    pub out: PathBuf,
}

/// Why the clips could not be dealt out.
#[derive(Debug, thiserror::Error)]
pub enum TasksError {
    /// The label tables are unusable.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// The list of clips to do without is unusable.
    #[error(transparent)]
    Without(#[from] WithdrawnError),
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The folder of the tables cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The manifest's taxonomy is unusable.
    #[error(transparent)]
    Taxonomy(#[from] TaxonomyError),
    /// The manifest contradicts itself.
    #[error("{path}: clip {clip}: {problem}")]
    Manifest {
        /// The manifest.
        path: PathBuf,
        /// The clip.
        clip: String,
        /// What is wrong.
        problem: String,
    },
    /// The scenario needs a schedule.
    #[error("scenario {scenario} needs a schedule")]
    ScheduleMissing {
        /// The scenario.
        scenario: Scenario,
    },
    /// The schedule is not readable as CSV.
    #[error(transparent)]
    ScheduleCsv(#[from] NamedCsvError),
    /// The schedule's columns are not the taxonomy's categories.
    #[error("{path}: column {column:?} {problem}")]
    ScheduleColumn {
        /// The schedule's file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// An entry is no count.
    #[error("{path}, line {line}: {category} is {value:?}, not a number of subcategories")]
    ScheduleEntry {
        /// The schedule's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The category.
        category: String,
        /// What stands there.
        value: String,
    },
    /// The schedule is for another number of tasks.
    #[error("{path} has {rows} rows, but there are {tasks} tasks")]
    ScheduleRows {
        /// The schedule's file.
        path: PathBuf,
        /// Its rows.
        rows: usize,
        /// The tasks asked for.
        tasks: usize,
    },
    /// The number of tasks is out of range.
    #[error("{0} tasks: between 1 and {MAX_TASKS} can be dealt")]
    TaskCount(usize),
    /// The divisor of the initial split is out of range.
    #[error("initial split {0}: the divisor must be a number of at least 1")]
    InitialSplit(f64),
    /// Clips were told not to arrive in a scenario that consists of arrivals.
    #[error("scenario {scenario} consists of arrivals, so they cannot be left out")]
    ArrivalsNeeded {
        /// The scenario.
        scenario: Scenario,
    },
}

impl Hint for TasksError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Labels(e) => e.hint(),
            Self::Without(e) => e.hint(),
            Self::Table(e) => e.hint(),
            Self::Artifact(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Taxonomy(_) | Self::Manifest { .. } => {
                Some("write the manifest anew with `make manifest`".into())
            }
            Self::ScheduleMissing { scenario } => {
                let file = match scenario {
                    Scenario::Decremental => "subcategories_to_remove.csv",
                    _ => "subcategories_to_substitute.csv",
                };
                Some(format!("give it with --schedule; the published one is Kinetics/Info/{file}"))
            }
            Self::ScheduleCsv(_) | Self::ScheduleColumn { .. } | Self::ScheduleEntry { .. } => Some(
                "a schedule is a CSV with one column for each category of classes.csv and one row of whole numbers for each task"
                    .into(),
            ),
            Self::ScheduleRows { .. } => {
                Some("leave out --tasks, or give --schedule a file with one row for each task".into())
            }
            Self::TaskCount(_) => Some("choose another --tasks".into()),
            Self::InitialSplit(_) => {
                Some("--initial-split 2 starts with half of the clips, 1 with all of them".into())
            }
            Self::ArrivalsNeeded { .. } => {
                Some("--no-arrivals is for decremental and incremental-decremental".into())
            }
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Labels(e) => e.exit(),
            Self::Without(e) => e.exit(),
            Self::Table(e) => e.exit(),
            Self::Artifact(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            // A schedule that contradicts the labels will always do so.
            Self::ScheduleColumn { .. }
            | Self::ScheduleEntry { .. }
            | Self::ScheduleRows { .. } => Exit::Hopeless,
            _ => Exit::Failed,
        }
    }
}
