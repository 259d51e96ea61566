//! From shards to batches on the device: which clips, in which order, cropped and flipped how, decoded by whom.
//!
//! ```text
//! Dataset (samples + shards)  -- sampler -->  order  -- prefetch workers -->  Batch (u8)  -- normalise -->  f32 on the device
//! ```
//!
//! Invariants:
//! * A batch is a function of the data set, the order, the settings and the keys of its streams alone. Neither the number
//!   of workers nor the depth of the queue nor the batch an epoch was entered at changes a byte of it.
//! * Everything random is drawn from [`crate::random::stream`], keyed by seed, purpose, task, epoch and, for
//!   augmentation, the clip's position in the epoch's order.
//! * What goes wrong with a clip (a vanished shard, damaged bytes, a panic) arrives at its own batch, with the clip's
//!   name. Dropping [`Batches`] early stops the workers at their next clip.
//! * At most `workers * (queue_depth + 1)` batches exist before the consumer takes them.

mod assemble;
pub mod augment;
mod batches;
mod config;
mod dataset;
mod error;
mod jpeg;
mod keys;
mod lists;
pub mod memory;
mod normalise;
mod pixels;
mod prefetch;
mod resize;
pub mod sampler;

pub use assemble::Batch;
pub use augment::Augment;
pub use batches::{Batches, Deal};
pub use config::{
    HostMemory, LoaderConfig, MAX_BATCH_BYTES, MAX_QUEUE_DEPTH, MAX_WORKERS, OnBadClip,
};
pub use dataset::{ClipSource, Dataset, HashCheck, Sample, StoredFrames};
pub use error::{ClipFault, DataError, first_clips};
pub use keys::StreamKeys;
pub use lists::{List, Lists};
pub use normalise::{MEAN, Normaliser, STD};
