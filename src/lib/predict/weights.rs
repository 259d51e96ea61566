//! From a run directory or a file: the model, how it wants its videos, and what its classes are
//! called.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::nn::VarStore;
use tch::{Device, Tensor};

use super::PredictError;
use super::config::PredictConfig;
use super::recipe::Recipe;
use crate::model::checkpoint::{self, CheckpointError, HEAD_PREFIX, LoadMode, header};
use crate::model::{Movinet, state_dict};
use crate::run_record::{RunRecord, checkpoint_file};

/// A trained model.
pub(super) struct Weights {
    /// The file that they came from.
    pub(super) path: PathBuf,
    pub(super) recipe: Recipe,
    /// What the classes are called, in their order.
    pub(super) categories: Vec<String>,
    pub(super) device: Device,
    pub(super) model: Movinet,
}

impl Weights {
    /// Reads the weights that `config` names and puts them where it wants them.
    pub(super) fn read(config: &PredictConfig) -> Result<Self, PredictError> {
        let path = file(config)?;
        let held = state_dict::read(&path).map_err(CheckpointError::from)?;
        let recipe = Recipe::new(&path, &held.metadata, &config.decoding, &config.network)?;
        let named = state_dict::seed_names(held.tensors).map_err(|reason| {
            CheckpointError::from(state_dict::StateDictError::Format {
                path: path.clone(),
                reason,
            })
        })?;
        let classes = classes(&path, &named)?;
        let categories = categories(&path, &held.metadata, config.categories.as_deref(), classes)?;
        let transform = &recipe.network.transform;
        let device = config.device.find_for(transform.precision)?;
        let store = VarStore::new(device);
        let model = Movinet::new(&store.root(), &transform.model(classes));
        checkpoint::load(&path, &store, LoadMode::Exact)?;
        Ok(Self {
            path,
            recipe,
            categories,
            device,
            model,
        })
    }
}

/// The file of weights that is asked for: of a run, that of its last task or of the task given.
fn file(config: &PredictConfig) -> Result<PathBuf, PredictError> {
    let path = &config.checkpoint;
    if !path.is_dir() {
        if config.task.is_some() {
            return Err(PredictError::Setting {
                flag: "--task".to_owned(),
                why: format!("{} is no run directory", path.display()),
            });
        }
        return Ok(path.clone());
    }
    let without = |why| PredictError::NoCheckpoint {
        path: path.clone(),
        why,
    };
    let record = RunRecord::read(path)?.ok_or_else(|| without("it is no run directory"))?;
    let done = record.progress.tasks.len();
    let last = done
        .checked_sub(1)
        .ok_or_else(|| without("the run has finished no task"))?;
    let task = config.task.unwrap_or(last);
    if task > last {
        return Err(PredictError::NoTask {
            path: path.clone(),
            task,
            done,
        });
    }
    Ok(path.join(checkpoint_file(task)))
}

/// Outputs of the head.
fn classes(path: &Path, tensors: &BTreeMap<String, Tensor>) -> Result<i64, PredictError> {
    let head = tensors
        .iter()
        .find(|(name, _)| name.starts_with(HEAD_PREFIX) && name.rsplit('.').next() == Some("bias"));
    let outputs = head.and_then(|(_, bias)| bias.size().first().copied());
    outputs.ok_or_else(|| PredictError::NoHead {
        path: path.to_owned(),
    })
}

/// What the classes are called: as the header says, else as a flag does, else by their numbers.
fn categories(
    path: &Path,
    metadata: &BTreeMap<String, String>,
    given: Option<&[String]>,
    classes: i64,
) -> Result<Vec<String>, PredictError> {
    let stated: Option<Vec<String>> = metadata
        .get(header::CATEGORIES)
        .map(|text| serde_json::from_str(text))
        .transpose()
        .map_err(|e| PredictError::Header {
            path: path.to_owned(),
            key: header::CATEGORIES,
            reason: e.to_string(),
        })?;
    if let (Some(stated), Some(given)) = (&stated, given)
        && stated != given
    {
        return Err(PredictError::Setting {
            flag: "--categories".to_owned(),
            why: format!("{} names its own; leave the flag out", path.display()),
        });
    }
    let names = stated.or_else(|| given.map(<[String]>::to_vec));
    let names = names.unwrap_or_else(|| {
        tracing::info!(
            "{} does not name its categories; they go by their numbers (--categories names them)",
            path.display()
        );
        (0..classes).map(|class| class.to_string()).collect()
    });
    if i64::try_from(names.len()) != Ok(classes) {
        return Err(PredictError::Categories {
            path: path.to_owned(),
            classes,
            names: names.len(),
        });
    }
    Ok(names)
}
