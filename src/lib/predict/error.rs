//! Why there is no answer, and what can be done about it.

use std::path::PathBuf;

use super::failed::FailedVideo;
use crate::data::DataError;
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;
use crate::model::checkpoint::CheckpointError;
use crate::model::device::DeviceError;
use crate::run_record::RunRecordError;

/// How many videos a message names.
const VIDEOS_SHOWN: usize = 5;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PredictError {
    /// A setting makes no sense.
    #[error("{flag}: {why}")]
    Setting {
        /// The flag.
        flag: String,
        /// What is wrong with it.
        why: String,
    },
    /// The folder is no run directory, or none with a finished task.
    #[error("{path} holds no checkpoint: {why}")]
    NoCheckpoint {
        /// The folder.
        path: PathBuf,
        /// What it lacks.
        why: &'static str,
    },
    /// The run has not finished the task.
    #[error("{path} has finished {done} tasks, numbered from 0; task {task} is not among them")]
    NoTask {
        /// The run directory.
        path: PathBuf,
        /// The task that was asked for.
        task: usize,
        /// How many are done.
        done: usize,
    },
    /// What the header says cannot be understood.
    #[error("{path}: {key} of its header: {}", printable(reason))]
    Header {
        /// The file of weights.
        path: PathBuf,
        /// The header's field.
        key: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The file holds a backbone alone.
    #[error("{path} has no head, so it tells no category from another")]
    NoHead {
        /// The file of weights.
        path: PathBuf,
    },
    /// The names are not as many as the head's outputs.
    #[error("{path} tells {classes} classes apart, but there are names for {names}")]
    Categories {
        /// The file of weights.
        path: PathBuf,
        /// Outputs of the head.
        classes: i64,
        /// Names of categories.
        names: usize,
    },
    /// The model's answer is no probability.
    #[error("the model's answer to {video} is no number: the weights are damaged")]
    NotFinite {
        /// The video.
        video: PathBuf,
    },
    /// Some videos have no answer.
    #[error("{} of {videos} videos have no answer: {}", failed.len(), first(failed))]
    Videos {
        /// Which, and why.
        failed: Vec<FailedVideo>,
        /// How many were asked for.
        videos: usize,
    },
    /// The run directory cannot be trusted, or not be read.
    #[error(transparent)]
    Record(#[from] RunRecordError),
    /// The weights cannot be read, or are not of such a network.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// The device cannot be computed on.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// Frames cannot be made into batches.
    #[error(transparent)]
    Data(#[from] DataError),
    /// libtorch refused.
    #[error("libtorch: {0}")]
    Torch(#[from] tch::TchError),
}

/// The first of `failed` for a message, each with its reason, and how many more there are.
fn first(failed: &[FailedVideo]) -> String {
    let shown = failed.iter().take(VIDEOS_SHOWN).map(ToString::to_string);
    let mut text = shown.collect::<Vec<_>>().join("; ");
    if failed.len() > VIDEOS_SHOWN {
        text += &format!(" and {} more", failed.len() - VIDEOS_SHOWN);
    }
    text
}

impl Hint for PredictError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Setting { .. } => {
                Some("`incdec-predict --help` lists every setting with its default".into())
            }
            Self::NoCheckpoint { .. } => Some(
                "--checkpoint takes a run directory of incdec-train with a finished task, or a file of weights"
                    .into(),
            ),
            Self::NoTask { .. } => Some("leave --task out for the last task that is done".into()),
            Self::NoHead { .. } | Self::Header { .. } => Some(
                "--checkpoint takes weights that incdec-train, or another program, has trained with a head".into(),
            ),
            Self::Categories { .. } => {
                Some("--categories takes one name for each class, in class order".into())
            }
            Self::Record(e) => e.hint(),
            Self::Checkpoint(e) => e.hint(),
            Self::Device(e) => e.hint(),
            Self::Data(e) => e.hint(),
            Self::NotFinite { .. } | Self::Videos { .. } | Self::Torch(_) => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Setting { .. } => Exit::Usage,
            Self::Record(e) => e.exit(),
            Self::Checkpoint(e) => e.exit(),
            Self::Device(e) => e.exit(),
            Self::Data(e) => e.exit(),
            _ => Exit::Failed,
        }
    }
}
