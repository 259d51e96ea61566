//! The network of a checkpoint, and how it wants its frames.

use std::path::Path;

use tch::nn::VarStore;
use tch::{Device, Tensor, no_grad};

use super::config::GivenTransform;
use super::{FeaturesError, Transform};
use crate::data::{HostMemory, LoaderConfig};
use crate::model::checkpoint::{self, CheckpointError, LoadMode, header};
use crate::model::{Mode, Movinet, state_dict};

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
    pub(super) fn one_by_one(&self, workers: usize, device: Device) -> LoaderConfig {
        LoaderConfig {
            batch_size: 1,
            workers,
            memory: if device == Device::Cpu {
                HostMemory::Pageable
            } else {
                HostMemory::Pinned
            },
            ..self.loader()
        }
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
        // The head is not looked at.
        let model = Movinet::new(&store.root(), &transform.model(1));
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
