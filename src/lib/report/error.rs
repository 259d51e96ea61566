//! Why there is no report.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::erase::EraseError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::metrics::MetricsError;
use crate::parquet_file::TableError;
use crate::run_record::RunRecordError;
use crate::shard::ShardError;
use crate::taxonomy::TaxonomyError;
use crate::withdrawn::WithdrawnError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The list of withdrawn clips is unusable.
    #[error(transparent)]
    Withdrawn(#[from] WithdrawnError),
    /// The ledger of withdrawals is unusable.
    #[error(transparent)]
    Ledger(#[from] EraseError),
    /// A shard that frames were asked of is unusable.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// No run was given.
    #[error("no run directory was given")]
    NoRuns,
    /// The folder holds no run.
    #[error("{path} is no run directory: it has no {file}")]
    NotARun {
        /// The folder.
        path: PathBuf,
        /// The file that is missing.
        file: &'static str,
    },
    /// No task of a run that calls itself complete has been evaluated.
    #[error("{path}: no task has been evaluated yet")]
    Empty {
        /// The run directory.
        path: PathBuf,
    },
    /// A file of a run is not what the run wrote.
    #[error(transparent)]
    Record(#[from] RunRecordError),
    /// The run's predictions are unusable.
    #[error("{path}, task {task}: {source}")]
    Metrics {
        /// The table of predictions.
        path: PathBuf,
        /// The task.
        task: i32,
        /// What is wrong.
        source: MetricsError,
    },
    /// The run gives a subcategory to two categories, or has no category.
    #[error(transparent)]
    Taxonomy(#[from] TaxonomyError),
    /// A row names something that the run's settings do not.
    #[error("{path}: {what} {name:?} is not in the run's taxonomy")]
    Unknown {
        /// The table.
        path: PathBuf,
        /// What kind of thing.
        what: &'static str,
        /// Its name.
        name: String,
    },
    /// A figure could not be drawn.
    #[error("drawing {figure}: {reason}")]
    Chart {
        /// The figure.
        figure: String,
        /// What the plotting library said.
        reason: String,
    },
}

impl Hint for ReportError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Table(e) => e.hint(),
            Self::Artifact(e) => e.hint(),
            Self::Withdrawn(e) => e.hint(),
            Self::Ledger(e) => e.hint(),
            Self::Shard(e) => e.hint(),
            Self::NoRuns => Some("name the run directories after the options: incdec-report --out report.html RUN...".into()),
            Self::NotARun { .. } | Self::Empty { .. } => {
                Some("train first, with `make train`; a run directory holds settings.json and metrics.parquet".into())
            }
            Self::Record(e) => e.hint(),
            Self::Metrics { .. } | Self::Taxonomy(_) | Self::Unknown { .. } => {
                Some("train the run anew with `make clean-train train`".into())
            }
            Self::Chart { .. } => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Table(e) => e.exit(),
            Self::Artifact(e) => e.exit(),
            Self::Withdrawn(e) => e.exit(),
            Self::Ledger(e) => e.exit(),
            Self::Shard(e) => e.exit(),
            Self::Record(e) => e.exit(),
            Self::NoRuns => Exit::Usage,
            Self::Metrics { .. } | Self::Taxonomy(_) | Self::Unknown { .. } => Exit::Hopeless,
            Self::NotARun { .. } | Self::Empty { .. } | Self::Chart { .. } => Exit::Failed,
        }
    }
}
