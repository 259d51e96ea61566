//! An epoch as an iterator of batches that workers load ahead.

use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use tch::Tensor;

use super::assemble::Assembler;
use super::prefetch::{Gone, Prefetch};
use super::{Augment, DataError, Dataset};
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

/// What tells one epoch's random streams from another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct StreamKeys {
    /// The task, from 0.
    pub task: u64,
    /// The epoch within the task, from 0.
    pub epoch: u64,
}

/// Clips that go through the model together.
#[derive(Debug)]
pub struct Batch {
    /// The clips, bytes `[N, T, H, W, 3]`, on the host.
    pub clips: Tensor,
    /// Their class indices, int64 `[N]`, on the host.
    pub labels: Tensor,
    /// Their indices in the data set, N of them.
    pub samples: Vec<usize>,
    /// The indices of clips that belong here but could not be loaded ([`OnBadClip::Skip`]).
    pub skipped: Vec<usize>,
}

/// The batches of an epoch, in order. Iterating after an error goes on with the next batch.
pub struct Batches {
    feed: Feed,
    batches: usize,
}

enum Feed {
    Inline {
        assembler: Box<Assembler>,
        left: Range<usize>,
    },
    Ahead(Prefetch<Result<Batch, DataError>>),
    /// The settings were refused; told once.
    Refused(Option<DataError>),
}

impl Batches {
    /// Starts loading the clips `order` (indices into the data set) from batch `first_batch` on.
    ///
    /// The batches from there are the same as those of an epoch that starts at batch 0, so the number of batches done is all
    /// that has to be kept to go on in the midst of an epoch. Settings that make no sense are told as the first item.
    #[must_use]
    pub fn start(
        dataset: &Arc<Dataset>,
        order: Vec<usize>,
        keys: StreamKeys,
        config: &LoaderConfig,
        first_batch: usize,
    ) -> Self {
        if let Err(error) = config.check() {
            return Self {
                feed: Feed::Refused(Some(error)),
                batches: 0,
            };
        }
        let batches = order.len().div_ceil(config.batch_size);
        let left = first_batch.min(batches)..batches;
        let order: Arc<[usize]> = order.into();
        let config = *config;
        let assembler = |stop| Assembler {
            dataset: Arc::clone(dataset),
            order: Arc::clone(&order),
            keys,
            config,
            stop,
            reader: None,
        };
        let feed = if config.workers == 0 {
            Feed::Inline {
                assembler: Box::new(assembler(Arc::new(AtomicBool::new(false)))),
                left,
            }
        } else {
            Feed::Ahead(Prefetch::start(
                left,
                config.workers,
                config.queue_depth,
                |stop| {
                    let mut assembler = assembler(stop);
                    move |batch| assembler.assemble(batch)
                },
            ))
        };
        Self { feed, batches }
    }

    /// Batches in the whole epoch.
    #[must_use]
    pub fn batches(&self) -> usize {
        self.batches
    }

    /// The position inside the epoch: the next batch, from 0. Starting there gives the rest of the epoch.
    #[must_use]
    pub fn position(&self) -> usize {
        match &self.feed {
            Feed::Inline { left, .. } => left.start,
            Feed::Ahead(prefetch) => prefetch.left().start,
            Feed::Refused(_) => 0,
        }
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, DataError>;

    fn next(&mut self) -> Option<Self::Item> {
        match &mut self.feed {
            Feed::Inline { assembler, left } => left.next().map(|batch| assembler.assemble(batch)),
            Feed::Ahead(prefetch) => {
                let (batch, result) = prefetch.next()?;
                Some(match result {
                    Ok(batch) => batch,
                    Err(Gone::Worker) => Err(DataError::WorkerLost { batch }),
                    Err(Gone::Spawn(worker, source)) => Err(DataError::Spawn { worker, source }),
                })
            }
            Feed::Refused(error) => error.take().map(Err),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batches - self.position();
        (left, Some(left))
    }
}
