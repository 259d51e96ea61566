//! What is asked for.

use std::path::PathBuf;

use crate::data::LoaderConfig;
use crate::lock::Wait;
use crate::model::device::DeviceChoice;
use crate::model::{Geometry, Variant};
use crate::shard::ShardSource;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct FeaturesConfig {
    /// The file of weights whose backbone is taken.
    pub checkpoint: PathBuf,
    /// The frame shards and their `index.parquet`.
    pub shards: ShardSource,
    /// The list of withdrawn clips, where there is one: no feature is computed while the shards hold one of them.
    pub withdrawn: Option<PathBuf>,
    /// The table to write, or to bring up to date.
    pub out: PathBuf,
    /// The transform of a checkpoint that does not say it.
    pub transform: GivenTransform,
    /// Where the model computes.
    pub device: DeviceChoice,
    /// Threads that decode clips.
    pub workers: usize,
    /// Threads of a tensor operation; `None` leaves it to libtorch.
    pub threads: Option<u16>,
    /// Whether to wait where another program writes beside the table.
    pub wait: Wait,
}

impl FeaturesConfig {
    /// The defaults with the three paths that have none.
    #[must_use]
    pub fn new(checkpoint: PathBuf, shards: impl Into<ShardSource>, out: PathBuf) -> Self {
        Self {
            checkpoint,
            shards: shards.into(),
            withdrawn: None,
            out,
            transform: GivenTransform::default(),
            device: DeviceChoice::default(),
            workers: LoaderConfig::default().workers,
            threads: None,
            wait: Wait::No,
        }
    }
}

/// From stored frames to features, as flags give it for weights from elsewhere; where neither they
/// nor the checkpoint say anything, as `incdec-train` has it by default.
#[derive(Clone, Copy, Debug, Default)]
pub struct GivenTransform {
    /// The architecture.
    pub variant: Option<Variant>,
    /// The padding.
    pub geometry: Option<Geometry>,
    /// Frames that a clip enters the model with.
    pub frames: Option<usize>,
    /// Side to which frames are resized before cropping, in pixels.
    pub resize: Option<u32>,
    /// Side of the crop that the model sees, in pixels.
    pub size: Option<u32>,
}
