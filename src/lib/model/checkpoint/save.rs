//! Checkpoints as files.

use std::collections::BTreeMap;
use std::path::Path;

use tch::nn::VarStore;

use super::error::CheckpointError;
use super::snapshot::snapshot;
use crate::model::state_dict::{self, StateDict};

/// Publishes every variable of `store` as safetensors at `path`, under the seed's names, with
/// `metadata` in its header. The same values and metadata give the same bytes.
///
/// # Errors
/// When the file cannot be written.
pub fn save(
    path: &Path,
    store: &VarStore,
    metadata: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    write(path, &snapshot(store)?.0, metadata)
}

/// Publishes tensors as safetensors at `path`.
///
/// # Errors
/// When the file cannot be written, or a tensor has a type that is neither float nor integer.
pub fn write(
    path: &Path,
    tensors: &StateDict,
    metadata: &BTreeMap<String, String>,
) -> Result<(), CheckpointError> {
    Ok(state_dict::write_safetensors(path, tensors, metadata)?)
}

/// Publishes every variable of `store` at `path` as PyTorch saves a plain state dict.
///
/// # Errors
/// When memory cannot be had, or the file cannot be written.
pub fn save_pytorch(path: &Path, store: &VarStore) -> Result<(), CheckpointError> {
    let tensors: StateDict = store.variables().into_iter().collect();
    Ok(state_dict::write_pytorch(path, &tensors)?)
}
