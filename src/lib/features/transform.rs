//! From stored frames to what a network makes of them.

use serde::{Deserialize, Serialize};

use crate::data::LoaderConfig;
use crate::model::{Geometry, ModelConfig, ModelPath, Precision, Variant};

/// From stored frames to what a network makes of them, in the words of a run's settings: what the
/// header of its weights says, and where that is silent, as a run has it by default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Transform {
    /// The architecture.
    pub variant: Variant,
    /// The padding.
    pub geometry: Geometry,
    /// How the network is computed.
    pub model_path: ModelPath,
    /// In which floats the network computes.
    pub precision: Precision,
    /// Frames a clip enters the model with.
    pub frames: usize,
    /// Side to which frames are resized before cropping, in pixels.
    pub resize: u32,
    /// Side of the crop that the model sees, in pixels.
    pub size: u32,
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
    /// How clips are loaded for it, all else by default.
    #[must_use]
    pub fn loader(&self) -> LoaderConfig {
        LoaderConfig {
            frames: self.frames,
            resize: self.resize as usize,
            crop: self.size as usize,
            ..LoaderConfig::default()
        }
    }

    /// The network with so many classes.
    #[must_use]
    pub fn model(&self, classes: i64) -> ModelConfig {
        ModelConfig {
            variant: self.variant,
            geometry: self.geometry,
            path: self.model_path,
            precision: self.precision,
            classes,
            ..ModelConfig::default()
        }
    }
}
