//! Named tensors beside a model's variables: what fits, and what finds no place.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use tch::Tensor;
use tch::nn::VarStore;

use super::error::CheckpointError;
use super::loaded::{Loaded, Misshapen};
use crate::model::state_dict::{StateDict, StateDictError};

/// Compares the names and shapes of `tensors` read from `path` with those of `parameters`.
///
/// # Errors
/// When they are not the same.
pub fn compare<'a>(
    path: &Path,
    parameters: impl Iterator<Item = (&'a str, &'a Tensor)>,
    tensors: &StateDict,
) -> Result<(), CheckpointError> {
    let mut loaded = Loaded::default();
    let mut left: BTreeSet<&str> = tensors.keys().map(String::as_str).collect();
    for (name, parameter) in parameters {
        left.remove(name);
        match tensors.get(name) {
            None => loaded.missing.push(name.to_owned()),
            Some(tensor) if tensor.size() != parameter.size() => {
                loaded.misshapen.push(Misshapen {
                    name: name.to_owned(),
                    ours: parameter.size(),
                    theirs: tensor.size(),
                });
            }
            Some(_) => loaded.matched += 1,
        }
    }
    loaded.left_over = left.into_iter().map(str::to_owned).collect();
    fitting(path, loaded)
}

/// An error unless every name of `path` found its place.
pub(super) fn fitting(path: &Path, loaded: Loaded) -> Result<(), CheckpointError> {
    if loaded.is_complete() {
        return Ok(());
    }
    Err(CheckpointError::Unfit {
        path: path.to_owned(),
        loaded,
    })
}

/// Copies what fits from `tensors` into the variables of `store` whose names are `wanted`.
pub(super) fn place(
    store: &VarStore,
    tensors: &StateDict,
    wanted: impl Fn(&str) -> bool,
) -> Result<Loaded, CheckpointError> {
    let variables: BTreeMap<String, Tensor> = store.variables().into_iter().collect();
    let mut loaded = Loaded::default();
    let _guard = tch::no_grad_guard();
    for (name, variable) in variables.iter().filter(|(name, _)| wanted(name)) {
        match tensors.get(name) {
            None => loaded.missing.push(name.clone()),
            Some(tensor) if tensor.size() != variable.size() => loaded.misshapen.push(Misshapen {
                name: name.clone(),
                ours: variable.size(),
                theirs: tensor.size(),
            }),
            Some(tensor) => {
                // The store's type stays, whatever the file's: copying converts.
                let copied = variable.shallow_clone().f_copy_(tensor);
                copied.map_err(StateDictError::at(name))?;
                loaded.matched += 1;
            }
        }
    }
    let known: BTreeSet<&String> = variables.keys().collect();
    loaded.left_over = tensors
        .keys()
        .filter(|name| wanted(name) && !known.contains(name))
        .cloned()
        .collect();
    // Files of the public port have no counters of batches; nothing but a default momentum would
    // read them.
    if loaded
        .missing
        .iter()
        .all(|name| name.ends_with("num_batches_tracked"))
    {
        loaded.missing.clear();
    }
    Ok(loaded)
}
