//! Why there is no audit.

use std::io;
use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::audit::AuditError;
use crate::exit::Exit;
use crate::features::FeaturesError;
use crate::foreign::printable;
use crate::hint::Hint;
use crate::lock::LockError;
use crate::metrics::MetricsError;
use crate::model::checkpoint::CheckpointError;
use crate::model::state_dict::StateDictError;
use crate::parquet_file::TableError;
use crate::run_record::RunRecordError;
use crate::tables::AvailabilityError;
use crate::train::TrainError;

/// Why there is no audit.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AuditStageError {
    /// A folder is no finished run.
    #[error("{folder}: {what}")]
    NotARun {
        /// The folder.
        folder: PathBuf,
        /// What it lacks.
        what: &'static str,
    },
    /// Two run directories have the same name, by which the tables tell them apart.
    #[error("two run directories are called {}", printable(name))]
    SameName {
        /// The name.
        name: String,
    },
    /// No run withdraws anything.
    #[error("none of the {runs} runs withdraws a clip: there is nothing to judge")]
    NoCandidate {
        /// How many runs were given.
        runs: usize,
    },
    /// A run has no reference among the runs given.
    #[error("{run}: no path reference of task {task} is among the runs given")]
    NoReference {
        /// The run.
        run: String,
        /// The last task that withdraws something.
        task: usize,
    },
    /// A reference could not be trained.
    #[error("{folder}: training this reference ended with {}", ending(*code))]
    NotTrained {
        /// Its run directory.
        folder: PathBuf,
        /// The exit status of incdec-train; none where a signal ended it.
        code: Option<i32>,
    },
    /// The feature table that a run was trained on is not among those given.
    #[error("{run}: its feature table is not among those given")]
    NoFeatures {
        /// The run.
        run: String,
    },
    /// A checkpoint holds no head that could be applied.
    #[error("{path}: it holds no head of {width} features")]
    NoHead {
        /// The checkpoint.
        path: PathBuf,
        /// Numbers of a feature.
        width: usize,
    },
    /// A clip of a list has no features.
    #[error("{}: clip {} is not stored any more, but it is needed as {what}", model.display(), printable(clip))]
    NoClip {
        /// The model's checkpoint.
        model: PathBuf,
        /// The clip.
        clip: String,
        /// What it is needed as.
        what: &'static str,
    },
    /// A measure refuses its input.
    #[error("{run}: {source}")]
    Measure {
        /// The run.
        run: String,
        /// Why.
        source: AuditError,
    },
    /// Figures cannot be computed.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// Features cannot be computed.
    #[error(transparent)]
    Features(#[from] FeaturesError),
    /// A run's record cannot be read.
    #[error(transparent)]
    Record(#[from] RunRecordError),
    /// A run's lists make no sense.
    #[error(transparent)]
    Availability(#[from] AvailabilityError),
    /// New weights cannot be written.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// Weights cannot be read.
    #[error(transparent)]
    Weights(#[from] StateDictError),
    /// A network cannot be trained on what left, or a head not unlearn.
    #[error(transparent)]
    Train(Box<TrainError>),
    /// A flag makes no sense.
    #[error("{flag}: {why}")]
    Setting {
        /// The flag.
        flag: &'static str,
        /// What it may be.
        why: String,
    },
    /// The system does not let signals be caught.
    #[error("signals cannot be caught: {0}")]
    Signals(#[source] io::Error),
    /// A table cannot be read or written.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A file cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// Another program works in the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// libtorch refuses.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

impl From<TrainError> for AuditStageError {
    fn from(error: TrainError) -> Self {
        Self::Train(Box::new(error))
    }
}

fn ending(code: Option<i32>) -> String {
    code.map_or_else(|| "a signal".to_owned(), |code| format!("status {code}"))
}

impl AuditStageError {
    /// Says of which run a measure's refusal is.
    pub(super) fn of(run: &str) -> impl Fn(AuditError) -> Self + use<> {
        let run = run.to_owned();
        move |source| Self::Measure {
            run: run.clone(),
            source,
        }
    }
}

impl Hint for AuditStageError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::NotARun { .. } => Some("name run directories of incdec-train whose tasks are done".into()),
            Self::SameName { .. } => Some("give one of them another name".into()),
            Self::NoCandidate { .. } => Some("train on a scenario that withdraws clips, such as decremental".into()),
            Self::NoReference { .. } => Some(
                "--train-references trains what is missing; or train it on `incdec-tasks --without` the clips that left, with the same seed and settings, and name it, too".into(),
            ),
            Self::NotTrained { .. } => Some("what it said stands above; given the same command again, it goes on".into()),
            Self::NoFeatures { .. } => Some("name it with --features".into()),
            Self::NoClip { .. } => Some("name the shards that the runs were trained on".into()),
            Self::Train(e) => e.hint(),
            Self::Features(e) => e.hint(),
            Self::Checkpoint(e) => e.hint(),
            Self::Record(e) => e.hint(),
            Self::Availability(e) => e.hint(),
            Self::Table(e) => e.hint(),
            Self::Artifact(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Setting { .. } => Exit::Usage,
            Self::Train(e) => e.exit(),
            Self::Features(e) => e.exit(),
            Self::Checkpoint(e) => e.exit(),
            Self::Record(e) => e.exit(),
            Self::Availability(e) => e.exit(),
            Self::Table(e) => e.exit(),
            Self::Artifact(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            _ => Exit::Failed,
        }
    }
}
