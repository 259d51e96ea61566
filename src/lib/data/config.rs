//! How an epoch is loaded.

use super::{Augment, DataError};
use crate::choice::choice;

/// Most worker threads of one loader.
pub const MAX_WORKERS: usize = 256;

/// Most finished batches that wait in one worker's queue.
pub const MAX_QUEUE_DEPTH: usize = 64;

/// Largest batch, in bytes.
pub const MAX_BATCH_BYTES: usize = 4 << 30;

choice! {
    /// What to do about a clip that cannot be loaded.
    #[derive(Default)]
    pub enum OnBadClip: "way to treat a bad clip" {
        /// Its batch is an error.
        #[default]
        Fail = "fail",
        /// It is left out of its batch, logged and counted.
        Skip = "skip",
    }
}

/// What kind of host memory batches lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum HostMemory {
    /// Ordinary memory.
    #[default]
    Pageable,
    /// Page-locked memory, from which a CUDA device copies while the host goes on. Needs a CUDA device.
    Pinned,
}

/// How an epoch is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoaderConfig {
    /// Clips per batch; the last batch may be smaller.
    pub batch_size: usize,
    /// Frames per clip: shorter clips are repeated from their start, longer ones cut.
    pub frames: usize,
    /// Side of the square that frames are resized to where they are not stored so, in pixels.
    pub resize: usize,
    /// Side of the square that is taken from it, in pixels.
    pub crop: usize,
    /// Threads that load ahead; 0 loads in the caller's own thread.
    pub workers: usize,
    /// Finished batches that wait for the consumer, per worker.
    pub queue_depth: usize,
    /// What to do about a clip that cannot be loaded.
    pub on_bad_clip: OnBadClip,
    /// Which part of the frames is taken.
    pub augment: Augment,
    /// What kind of memory batches lie in.
    pub memory: HostMemory,
    /// Seed of the augmentation's streams.
    pub seed: u64,
}

impl Default for LoaderConfig {
    fn default() -> Self {
        Self {
            batch_size: 4,
            frames: 50,
            resize: 200,
            crop: 172,
            workers: 2,
            queue_depth: 2,
            on_bad_clip: OnBadClip::Fail,
            augment: Augment::None,
            memory: HostMemory::Pageable,
            seed: 0,
        }
    }
}

impl LoaderConfig {
    /// Looks for settings that make no sense.
    ///
    /// # Errors
    /// With the setting and its limits in words.
    pub fn check(&self) -> Result<(), DataError> {
        let refuse = |text: String| Err(DataError::Settings(text));
        if self.batch_size == 0 || self.frames == 0 || self.crop == 0 {
            return refuse("batch size, frames and crop must be at least 1".to_owned());
        }
        if self.crop > self.resize {
            return refuse(format!(
                "a crop of {} pixels does not fit into frames of {}",
                self.crop, self.resize
            ));
        }
        if self.workers > MAX_WORKERS {
            return refuse(format!("{} workers, at most {MAX_WORKERS}", self.workers));
        }
        if !(1..=MAX_QUEUE_DEPTH).contains(&self.queue_depth) {
            return refuse(format!(
                "a queue depth of {}, allowed are 1 to {MAX_QUEUE_DEPTH}",
                self.queue_depth
            ));
        }
        let bytes = [self.batch_size, self.frames, self.crop, self.crop, 3]
            .iter()
            .try_fold(1usize, |product, n| product.checked_mul(*n));
        if bytes.is_none_or(|bytes| bytes > MAX_BATCH_BYTES) {
            return refuse(format!("a batch needs more than {MAX_BATCH_BYTES} bytes"));
        }
        Ok(())
    }
}
