//! Reading a file of tensors of either format.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::error::StateDictError;
use super::kind::kind_of;
use super::tensors::StateDict;
use super::{pytorch, safetensors};
use crate::artifact::ArtifactError;

/// Which format a file turned out to have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// safetensors.
    Safetensors,
    /// PyTorch's zip archive.
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

/// Reads the file at `path`, telling its format by its first bytes.
///
/// # Errors
/// When it cannot be opened or is of neither format.
pub fn read(path: &Path) -> Result<StateFile, StateDictError> {
    read_named(path, None)
}

/// As [`read`]; of a PyTorch file that holds several state dicts that at `key`, the keys on the way
/// to it with dots between them.
///
/// # Errors
/// As [`read`], and when there is no state dict at `key`, or without a key there are several of which
/// none has one of the usual ones.
pub fn read_named(path: &Path, key: Option<&str>) -> Result<StateFile, StateDictError> {
    let format_error = |reason| StateDictError::Format {
        path: path.to_owned(),
        reason,
    };
    let file = File::open(path).map_err(ArtifactError::at("open", path))?;
    let length = file
        .metadata()
        .map_err(ArtifactError::at("read", path))?
        .len();
    // Nothing cannot be mapped.
    if length == 0 {
        return Err(format_error(kind_of(&[]).unwrap_or_default().to_owned()));
    }
    // SAFETY: the map is only read, and copied from before this function returns. A file that is
    // cut short meanwhile ends the process, as it would any reader of maps; weights are published
    // whole and never edited in place.
    let bytes = unsafe { Mmap::map(&file) }.map_err(ArtifactError::at("map", path))?;
    if let Some(kind) = kind_of(&bytes) {
        return Err(format_error(kind.to_owned()));
    }
    let (format, held) = if pytorch::is_archive(&bytes) {
        let tensors = pytorch::read(&bytes, key);
        (Format::Pytorch, tensors.map(|t| (t, BTreeMap::new())))
    } else if key.is_some() {
        let none = "a .safetensors file holds one dict of tensors and takes no --key";
        (Format::Safetensors, Err(none.to_owned()))
    } else {
        (Format::Safetensors, safetensors::read(&bytes))
    };
    let (tensors, metadata) = held.map_err(format_error)?;
    Ok(StateFile {
        format,
        tensors,
        metadata,
    })
}
