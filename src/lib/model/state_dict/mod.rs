//! Named tensors from files: safetensors, and the zip archives that `PyTorch`'s `torch.save` writes, of which nothing is
//! ever executed.

mod pytorch;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use safetensors::{Dtype, SafeTensors};
use tch::{Kind, Tensor};

use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;

/// Tensors by name.
pub type StateDict = BTreeMap<String, Tensor>;

/// The kinds of tensors that checkpoints hold.
const STORED_KINDS: [(Kind, &str); 10] = [
    (Kind::Float, "F32"),
    (Kind::Double, "F64"),
    (Kind::Half, "F16"),
    (Kind::BFloat16, "BF16"),
    (Kind::Int64, "I64"),
    (Kind::Int, "I32"),
    (Kind::Int16, "I16"),
    (Kind::Int8, "I8"),
    (Kind::Uint8, "U8"),
    (Kind::Bool, "BOOL"),
];

/// What `torch.nn.DataParallel` puts before every name.
const PARALLEL_PREFIX: &str = "module.";

/// Why a file gave no tensors.
#[derive(Debug, thiserror::Error)]
pub enum StateDictError {
    /// The file could not be opened.
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
}

impl Hint for StateDictError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(error) => error.hint(),
            Self::Format { .. } => Some(
                "give a .safetensors file, or a .pt/.pth file that PyTorch 1.6 or later saved as a state dict".into(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(error) => error.exit(),
            Self::Format { .. } => Exit::Failed,
        }
    }
}

/// Which format a file turned out to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// `PyTorch`'s zip archive.
    Pytorch,
}

/// What a file holds.
#[derive(Debug)]
pub struct StateFile {
    /// Its format.
    pub format: Format,
    /// Its tensors, under the file's own names.
    pub tensors: StateDict,
    /// The metadata of a safetensors header.
    pub metadata: BTreeMap<String, String>,
}

/// The name that safetensors gives to a kind of tensor.
pub(super) fn dtype_name(kind: Kind) -> Option<&'static str> {
    STORED_KINDS
        .iter()
        .find(|(stored, _)| *stored == kind)
        .map(|(_, name)| *name)
}

/// Reads the file at `path`, telling its format by its first bytes.
///
/// # Errors
/// When it cannot be opened or is of neither format.
pub fn read(path: &Path) -> Result<StateFile, StateDictError> {
    let file = File::open(path).map_err(ArtifactError::at("open", path))?;
    // SAFETY: the map is only read, and copied from before this function returns. A file that is cut short meanwhile
    // ends the process, as it would any reader of maps; weights are published whole and never edited in place.
    let bytes = unsafe { Mmap::map(&file) }.map_err(ArtifactError::at("map", path))?;
    let outcome = if pytorch::is_archive(&bytes) {
        pytorch::read(&bytes).map(|tensors| StateFile {
            format: Format::Pytorch,
            tensors,
            metadata: BTreeMap::new(),
        })
    } else {
        safetensors(&bytes)
    };
    outcome.map_err(|reason| StateDictError::Format {
        path: path.to_owned(),
        reason,
    })
}

fn safetensors(bytes: &[u8]) -> Result<StateFile, String> {
    let says = |e: safetensors::SafeTensorError| e.to_string();
    let (_, header) = SafeTensors::read_metadata(bytes).map_err(says)?;
    let metadata = header
        .metadata()
        .clone()
        .unwrap_or_default()
        .into_iter()
        .collect();
    let views = SafeTensors::deserialize(bytes).map_err(says)?;
    let mut tensors = StateDict::new();
    for (name, view) in views.iter() {
        let kind =
            kind_of(view.dtype()).ok_or_else(|| format!("{name} is of type {:?}", view.dtype()))?;
        let shape: Option<Vec<i64>> = view
            .shape()
            .iter()
            .map(|&d| i64::try_from(d).ok())
            .collect();
        let shape = shape.ok_or_else(|| format!("{name} is of shape {:?}", view.shape()))?;
        let tensor = Tensor::f_from_data_size(view.data(), &shape, kind)
            .map_err(|e| format!("{name}: {e}"))?;
        tensors.insert(name.to_owned(), tensor);
    }
    Ok(StateFile {
        format: Format::Safetensors,
        tensors,
        metadata,
    })
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    let name = format!("{dtype:?}");
    STORED_KINDS
        .iter()
        .find(|(_, stored)| *stored == name)
        .map(|(kind, _)| *kind)
}

/// The tensors under the seed's names: the prefix `module.` that parallel training leaves is taken off, those of the public port of `MoViNet` become `backbone.*` and `heads.0.0.0.*`; a
/// dict in which a `backbone.` name occurs stays as it is.
#[must_use]
pub fn seed_names(tensors: StateDict) -> StateDict {
    let tensors: StateDict = if tensors.keys().all(|name| name.starts_with(PARALLEL_PREFIX)) {
        let bare = |name: String| name[PARALLEL_PREFIX.len()..].to_owned();
        tensors
            .into_iter()
            .map(|(name, tensor)| (bare(name), tensor))
            .collect()
    } else {
        tensors
    };
    if tensors.keys().any(|name| name.starts_with("backbone.")) {
        return tensors;
    }
    let rename = |name: String| match name.strip_prefix("classifier.") {
        Some(rest) => match rest.split_once('.') {
            Some(("0", rest)) => format!("backbone.conv9.0.{rest}"),
            Some(("3", rest)) => format!("heads.0.0.0.{rest}"),
            _ => name,
        },
        None => format!("backbone.{name}"),
    };
    tensors
        .into_iter()
        .map(|(name, tensor)| (rename(name), tensor))
        .collect()
}
