//! Why tensors could not be read or written.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;

/// Why tensors could not be read from a file or written to one.
#[derive(Debug, thiserror::Error)]
pub enum StateDictError {
    /// The file could not be opened or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The file is neither a safetensors file nor a state dict of `torch.save`, or is broken.
    #[error("{path}: no weights that this program reads: {}", printable(reason))]
    Format {
        /// The file.
        path: PathBuf,
        /// What does not fit; names in it are the file's own.
        reason: String,
    },
    /// A tensor could not be copied, or is of a kind that no file holds.
    #[error("{}: {source}", printable(name))]
    Tensor {
        /// The tensor's name.
        name: String,
        /// What libtorch said.
        source: tch::TchError,
    },
}

impl StateDictError {
    /// An error about the tensor called `name`. Fits `map_err`.
    pub(crate) fn at(name: &str) -> impl FnOnce(tch::TchError) -> Self + use<> {
        let name = name.to_owned();
        move |source| Self::Tensor { name, source }
    }
}

impl Hint for StateDictError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(error) => error.hint(),
            Self::Format { .. } => Some(
                "give a .safetensors file, or a .pt/.pth file that PyTorch 1.6 or later saved as a state dict; \
                 `incdec-weights convert` takes one of several with --key".into(),
            ),
            Self::Tensor { .. } => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(error) => error.exit(),
            Self::Format { .. } | Self::Tensor { .. } => Exit::Failed,
        }
    }
}
