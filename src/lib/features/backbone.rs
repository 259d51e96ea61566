//! The network of a checkpoint, and how it wants its frames.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tch::nn::VarStore;
use tch::{Device, Tensor, no_grad};

use super::FeaturesError;
use super::config::GivenTransform;
use crate::data::{HostMemory, LoaderConfig};
use crate::model::checkpoint::{self, CheckpointError, LoadMode, header};
use crate::model::{
    Geometry, Mode, ModelConfig, ModelPath, Movinet, Precision, Variant, state_dict,
};

/// From stored frames to features, in the words of a run's settings; what a feature table's
/// provenance says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Transform {
    variant: Variant,
    geometry: Geometry,
    model_path: ModelPath,
    precision: Precision,
    frames: usize,
    resize: u32,
    size: u32,
}

impl Default for Transform {
    fn default() -> Self {
        let (loader, model) = (LoaderConfig::default(), ModelConfig::default());
        let pixels = |side: usize| u32::try_from(side).unwrap_or(u32::MAX);
        Self {
            variant: model.variant,
            geometry: model.geometry,
            model_path: model.path,
            precision: model.precision,
            frames: loader.frames,
            resize: pixels(loader.resize),
            size: pixels(loader.crop),
        }
    }
}

impl Transform {
    /// What the header of the weights at `path` says, and where it says nothing, the flags.
    ///
    /// # Errors
    /// When the header cannot be read or understood, or a flag contradicts it.
    pub(super) fn of(path: &Path, given: GivenTransform) -> Result<Self, FeaturesError> {
        let file = state_dict::read(path).map_err(CheckpointError::from)?;
        if let Some(settings) = file.metadata.get(header::SETTINGS) {
            let stated: Self =
                serde_json::from_str(settings).map_err(|error| FeaturesError::Header {
                    path: path.to_owned(),
                    reason: error.to_string(),
                })?;
            let asked = stated.clone().with(given);
            if asked == stated {
                return Ok(stated);
            }
            return Err(FeaturesError::Setting {
                flag: "--variant, --geometry, --frames, --resize, --size",
                why: format!(
                    "{} says its own in its header; leave them out",
                    path.display()
                ),
            });
        }
        let taken = Self::default().with(given);
        tracing::info!(
            "{} does not say how it wants its frames; taken: variant {}, geometry {}, {} frames, {} of {} pixels",
            path.display(),
            taken.variant,
            taken.geometry,
            taken.frames,
            taken.size,
            taken.resize
        );
        Ok(taken)
    }

    fn with(mut self, given: GivenTransform) -> Self {
        self.variant = given.variant.unwrap_or(self.variant);
        self.geometry = given.geometry.unwrap_or(self.geometry);
        self.frames = given.frames.unwrap_or(self.frames);
        self.resize = given.resize.unwrap_or(self.resize);
        self.size = given.size.unwrap_or(self.size);
        self
    }

    /// How clips are loaded: one at a time, so that a feature depends on its clip alone.
    pub(super) fn loader(&self, workers: usize, device: Device) -> LoaderConfig {
        LoaderConfig {
            batch_size: 1,
            frames: self.frames,
            resize: self.resize as usize,
            crop: self.size as usize,
            workers,
            memory: if device == Device::Cpu {
                HostMemory::Pageable
            } else {
                HostMemory::Pinned
            },
            ..LoaderConfig::default()
        }
    }

    /// In which floats the network computes.
    pub(super) fn precision(&self) -> Precision {
        self.precision
    }
}

/// A frozen backbone in evaluation mode.
pub(super) struct Backbone {
    model: Movinet,
}

impl Backbone {
    /// The backbone of the weights at `path`, whatever head they have.
    ///
    /// # Errors
    /// When they cannot be read, or are not a whole backbone of this transform.
    pub(super) fn load(
        path: &Path,
        transform: &Transform,
        device: Device,
    ) -> Result<Self, FeaturesError> {
        let store = VarStore::new(device);
        let config = ModelConfig {
            variant: transform.variant,
            geometry: transform.geometry,
            path: transform.model_path,
            precision: transform.precision,
            // The head is not looked at.
            classes: 1,
            ..ModelConfig::default()
        };
        let model = Movinet::new(&store.root(), &config);
        checkpoint::load(path, &store, LoadMode::Backbone)?;
        Ok(Self { model })
    }

    /// The features of one clip, [1, 3, T, H, W], normalised.
    ///
    /// # Errors
    /// When libtorch does not hand them over.
    pub(super) fn features(&self, clip: &Tensor) -> Result<Vec<f32>, FeaturesError> {
        let features = no_grad(|| self.model.forward(clip, Mode::Evaluate).features);
        let features = features.to_kind(tch::Kind::Float).to_device(Device::Cpu);
        Ok(Vec::<f32>::try_from(features.reshape([-1]))?)
    }
}
