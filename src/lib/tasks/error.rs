//! Why clips could not be dealt out.

use std::path::PathBuf;

use super::{EventsError, MAX_TASKS, Scenario};
use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::labels::LabelsError;
use crate::lock::LockError;
use crate::named_csv::NamedCsvError;
use crate::parquet_file::TableError;
use crate::taxonomy::TaxonomyError;
use crate::withdrawn::WithdrawnError;

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
    /// The events were refused.
    #[error(transparent)]
    Events(#[from] EventsError),
    /// The scenario needs events.
    #[error("scenario events needs a table of events")]
    EventsMissing,
    /// Another scenario was given events.
    #[error("scenario {scenario} takes no events")]
    EventsUnused {
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
    /// Arrivals were switched off in a scenario that consists of arrivals.
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
            Self::Events(e) => e.hint(),
            Self::EventsMissing => Some(
                "give it with --events: a CSV with the columns task, change (arrives or leaves) and clip, group, subcategory \
                 or category"
                    .into(),
            ),
            Self::EventsUnused { .. } => Some("--scenario events follows them".into()),
            Self::ScheduleMissing { scenario } => {
                let file = scenario.published_schedule()?;
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
            Self::Events(e) => e.exit(),
            // A schedule that contradicts the labels will always do so.
            Self::ScheduleColumn { .. }
            | Self::ScheduleEntry { .. }
            | Self::ScheduleRows { .. } => Exit::Hopeless,
            _ => Exit::Failed,
        }
    }
}
