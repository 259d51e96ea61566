//! incdec: incremental and decremental continual learning for video recognition.

pub mod artifact;
pub mod clip;
pub mod hint;
pub mod labels;
pub mod progress;
pub mod random;
pub mod run_tables;
pub mod stage_tables;
pub mod table;
pub mod taxonomy;

#[cfg(feature = "torch")]
pub mod data;
#[cfg(feature = "media")]
pub mod decode;
pub mod download;
pub mod manifest;
#[cfg(feature = "media")]
pub mod media;
pub mod metrics;
#[cfg(feature = "torch")]
pub mod model;
pub mod report;
pub mod shard;
pub mod tasks;
#[cfg(feature = "media")]
pub mod toy;
#[cfg(feature = "torch")]
pub mod train;
