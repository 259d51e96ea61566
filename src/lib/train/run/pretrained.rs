//! The weights that a run starts from.

use crate::model::checkpoint::{self, LoadMode, Loaded};
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::TrainConfig;

/// Loads the backbone of the weights to start from, where there are any: the whole backbone, unless
/// a part is allowed.
///
/// # Errors
/// When the file cannot be read, or does not fit.
pub(super) fn load(config: &TrainConfig, learner: &Learner) -> Result<Option<Loaded>, TrainError> {
    let Some(path) = &config.pretrained else {
        return Ok(None);
    };
    let mode = if config.allow_partial {
        LoadMode::PartOfBackbone
    } else {
        LoadMode::Backbone
    };
    let loaded = checkpoint::load(path, learner.store(), mode)?;
    tracing::info!("{}: {loaded}", path.display());
    Ok(Some(loaded))
}
