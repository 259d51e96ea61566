//! Stage `report`: one self-contained HTML page from one or more run directories, and a table of the figures over seeds.
//!
//! ```text
//! run directories --load, copies--> Run --analyse--> Analysis --groups--> Group (mean and deviation over seeds)
//!                                                  \--page, charts, parts--> report.html
//! ```
//!
//! Only finished files are read, without a lock, and each is compared with what its run says that it wrote
//! ([`RunRecord`](crate::run_record::RunRecord)). Everything that the page shows lies in the page: styles, figures (SVG), no script, no
//! address of anything else. The level that chance reaches is measured on each test set itself, by permuting its labels.

mod analyse;
mod charts;
mod compare;
mod copies;
mod detail;
mod groups;
mod load;
mod page;
mod parts;
mod run;
mod seal;
mod summary;
mod tables;

use std::path::PathBuf;

pub use groups::SummaryRow;
pub use run::run;
pub use seal::is_sealed;
pub use summary::ReportSummary;

use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::metrics::MetricsError;
use crate::parquet_file::TableError;
use crate::run_record::RunRecordError;
use crate::withdrawn::WithdrawnError;

/// Permutations of a test set's labels that measure the level of chance.
pub const PERMUTATIONS: usize = 1_000;
/// The most permutations that are made.
pub const MAX_PERMUTATIONS: usize = 1_000_000;
/// The quantile of those permutations that a claim of learning must exceed.
pub const CHANCE_QUANTILE: f64 = 0.99;
/// The most runs whose details the page shows; with more it shows the comparison alone.
pub const MAX_DETAILED_RUNS: usize = 12;

/// The stage's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportConfig {
    /// The run directories.
    pub runs: Vec<PathBuf>,
    /// The page to write.
    pub out: PathBuf,
    /// The table of figures over seeds to write, where wanted.
    pub table: Option<PathBuf>,
    /// The list of withdrawn clips. Default none.
    pub withdrawn: Option<PathBuf>,
    /// Permutations of each test set's labels. Default: [`PERMUTATIONS`].
    pub permutations: usize,
}

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
    /// No task of the run has been evaluated.
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
            Self::NoRuns => Some("name the run directories after the options: incdec-report --out report.html RUN...".into()),
            Self::NotARun { .. } | Self::Empty { .. } => {
                Some("train first, with `make train`; a run directory holds settings.json and metrics.parquet".into())
            }
            Self::Record(e) => e.hint(),
            Self::Metrics { .. } | Self::Unknown { .. } => {
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
            Self::Record(e) => e.exit(),
            Self::NoRuns => Exit::Usage,
            Self::Metrics { .. } | Self::Unknown { .. } => Exit::Hopeless,
            Self::NotARun { .. } | Self::Empty { .. } | Self::Chart { .. } => Exit::Failed,
        }
    }
}
