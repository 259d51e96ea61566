//! Reading a file of tensors of either format.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use memmap2::Mmap;

use super::error::StateDictError;
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
    let file = File::open(path).map_err(ArtifactError::at("open", path))?;
    // SAFETY: the map is only read, and copied from before this function returns. A file that is
    // cut short meanwhile ends the process, as it would any reader of maps; weights are published
    // whole and never edited in place.
    let bytes = unsafe { Mmap::map(&file) }.map_err(ArtifactError::at("map", path))?;
    let (format, held) = if pytorch::is_archive(&bytes) {
        let tensors = pytorch::read(&bytes);
        (Format::Pytorch, tensors.map(|t| (t, BTreeMap::new())))
    } else {
        (Format::Safetensors, safetensors::read(&bytes))
    };
    let (tensors, metadata) = held.map_err(|reason| StateDictError::Format {
        path: path.to_owned(),
        reason,
    })?;
    Ok(StateFile {
        format,
        tensors,
        metadata,
    })
}
