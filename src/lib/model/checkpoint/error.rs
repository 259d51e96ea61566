//! Why a checkpoint could not be used.

use std::path::PathBuf;

use super::loaded::Loaded;
use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;
use crate::model::state_dict::StateDictError;

/// Why a checkpoint could not be written, read or put in place.
#[derive(Debug, thiserror::Error)]
pub enum CheckpointError {
    /// The folder of the file could not be used.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The file could not be written or read, or a tensor not be copied.
    #[error(transparent)]
    StateDict(#[from] StateDictError),
    /// The file's header says that it is of another run or task.
    #[error(
        "{path} is of another run or task: {key} is {}, not {}",
        printable(found),
        printable(expected)
    )]
    OtherOrigin {
        /// The file.
        path: PathBuf,
        /// The header's field.
        key: String,
        /// What it says.
        found: String,
        /// What it should say.
        expected: String,
    },
    /// The file's names or shapes are not the model's.
    #[error("{path} does not fit this model: {loaded}")]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is missing, left over and misshapen.
        loaded: Loaded,
    },
    /// The file does not fill the model's backbone.
    #[error("{path} does not fill this model's backbone: {loaded}")]
    Partial {
        /// The file.
        path: PathBuf,
        /// What is missing, left over and misshapen.
        loaded: Loaded,
    },
}

impl Hint for CheckpointError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(error) => error.hint(),
            Self::StateDict(error) => error.hint(),
            Self::OtherOrigin { .. } => Some(
                "bring back the run's own file, or train the run anew in another folder (--out)"
                    .into(),
            ),
            Self::Partial { path, .. } => Some(format!(
                "give the --variant and the --geometry of these weights, or --allow-partial to take what fits; \
                 `incdec-weights inspect {}` lists what the file holds",
                path.display()
            )),
            Self::Unfit { path, .. } => Some(format!(
                "`incdec-weights inspect {}` lists what the file holds",
                path.display()
            )),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(error) => error.exit(),
            Self::StateDict(error) => error.exit(),
            _ => Exit::Failed,
        }
    }
}
