//! What is asked for.

use std::path::PathBuf;

use serde::Serialize;

use crate::decode::{Fps, Resample, Subsampling};
use crate::media::frame_size::{FrameSize, SampleAspect};
use crate::media::limits::Limits;
use crate::model::device::DeviceChoice;
use crate::model::{CriterionName, Geometry, Variant};
use crate::shard::Codec;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct PredictConfig {
    /// A run directory, or a file of weights.
    pub checkpoint: PathBuf,
    /// The task of a run whose weights are taken, from 0; `None` takes the last that is done.
    pub task: Option<usize>,
    /// The videos, in the order of the answers.
    pub videos: Vec<PathBuf>,
    /// A clip begins every so many seconds; `None` takes the first of each video alone.
    pub every: Option<f64>,
    /// Settings of decoding for a checkpoint that does not say them.
    pub decoding: GivenDecoding,
    /// Settings of the network for a checkpoint that does not say them.
    pub network: GivenNetwork,
    /// The categories in class order, for a checkpoint that does not say them.
    pub categories: Option<Vec<String>>,
    /// Where the model computes.
    pub device: DeviceChoice,
    /// Threads of a tensor operation; `None` leaves it to libtorch.
    pub threads: Option<u16>,
    /// What decoding one video may cost.
    pub limits: Limits,
}

/// Settings of decoding that flags give.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GivenDecoding {
    /// Frames per second.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fps: Option<Fps>,
    /// The size that frames are stored at.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_size: Option<FrameSize>,
    /// How frames are stored.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub codec: Option<Codec>,
    /// JPEG's quality, 1 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quality: Option<u8>,
    /// JPEG's colour subsampling.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subsampling: Option<Subsampling>,
    /// Most frames of a clip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_frames: Option<u32>,
    /// Where frames come from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resample: Option<Resample>,
    /// Pixels that are not square.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sample_aspect: Option<SampleAspect>,
}

/// Settings of the network that flags give.
#[derive(Clone, Debug, Default, Serialize)]
pub struct GivenNetwork {
    /// The architecture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variant: Option<Variant>,
    /// The padding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geometry: Option<Geometry>,
    /// Frames a clip enters the model with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frames: Option<usize>,
    /// Side to which frames are resized before cropping, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resize: Option<u32>,
    /// Side of the crop that the model sees, in pixels.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u32>,
    /// Whether probabilities are sigmoids or the softmax.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub criterion: Option<CriterionName>,
}
