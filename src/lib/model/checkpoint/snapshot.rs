//! Copies of a model's variables in memory.

use std::collections::BTreeMap;
use std::path::Path;

use tch::nn::VarStore;
use tch::{Device, Tensor};

use super::error::CheckpointError;
use super::place::{fitting, place};
use crate::model::state_dict::{StateDict, StateDictError};

/// Copies of every variable of a store, by name, on the CPU.
#[derive(Debug)]
pub struct Snapshot(pub(super) BTreeMap<String, Tensor>);

impl Snapshot {
    /// A snapshot that was kept elsewhere.
    #[must_use]
    pub fn of(tensors: StateDict) -> Self {
        Self(tensors)
    }

    /// The variables by name.
    #[must_use]
    pub fn tensors(&self) -> &StateDict {
        &self.0
    }
}

/// Copies every variable of `store`.
///
/// # Errors
/// When memory cannot be had.
pub fn snapshot(store: &VarStore) -> Result<Snapshot, CheckpointError> {
    let copy = |(name, variable): (String, Tensor)| {
        let source = variable.detach();
        let copied = Tensor::f_empty(source.size(), (source.kind(), Device::Cpu))
            .and_then(|mut target| target.f_copy_(&source).map(|()| target))
            .map_err(StateDictError::at(&name))?;
        Ok((name, copied))
    };
    store
        .variables()
        .into_iter()
        .map(copy)
        .collect::<Result<_, _>>()
        .map(Snapshot)
}

/// Puts a snapshot's values back.
///
/// # Errors
/// When the store is not one of the same model.
pub fn restore(store: &VarStore, snapshot: &Snapshot) -> Result<(), CheckpointError> {
    fitting(
        Path::new("the snapshot"),
        place(store, &snapshot.0, |_| true)?,
    )
}
