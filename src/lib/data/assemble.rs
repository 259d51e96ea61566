//! One batch: its clips decoded straight into its buffer, what goes wrong turned into an error at its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tch::{Kind, Tensor};

use super::augment::views;
use super::memory;
use super::pixels::FrameReader;
use super::{ClipFault, DataError, Dataset, HostMemory, LoaderConfig, OnBadClip, StreamKeys};
use crate::panics::caught;

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

/// Bytes of an RGB pixel.
const RGB: usize = 3;

/// What one worker needs for its batches.
pub(super) struct Assembler {
    pub(super) dataset: Arc<Dataset>,
    pub(super) order: Arc<[usize]>,
    pub(super) keys: StreamKeys,
    pub(super) config: LoaderConfig,
    pub(super) stop: Arc<AtomicBool>,
    /// Made with the first clip, and anew after a panic.
    pub(super) reader: Option<FrameReader>,
}

impl Assembler {
    /// Loads batch number `batch` of the epoch.
    pub(super) fn assemble(&mut self, batch: usize) -> Result<Batch, DataError> {
        let from = batch * self.config.batch_size;
        let to = self.order.len().min(from + self.config.batch_size);
        let (frames, crop) = (self.config.frames, self.config.crop);
        let clip_bytes = frames * crop * crop * RGB;
        let shape = [to - from, frames, crop, crop, RGB].map(size);
        // Decoding writes straight into it, pinned or not.
        let clips = match self.config.memory {
            HostMemory::Pageable => {
                memory::try_empty(&shape, Kind::Uint8).map_err(DataError::Memory)?
            }
            HostMemory::Pinned => memory::pinned_bytes(&shape).map_err(DataError::Pinned)?,
        };
        // SAFETY: a new contiguous byte tensor in host memory, which nobody else has a hold of while the slice lives.
        let buffer = unsafe {
            std::slice::from_raw_parts_mut(clips.data_ptr().cast::<u8>(), (to - from) * clip_bytes)
        };
        let (mut samples, mut skipped) = (Vec::with_capacity(to - from), Vec::new());
        let dataset = Arc::clone(&self.dataset);
        for position in from..to {
            if self.stop.load(Ordering::Relaxed) {
                // Nobody will look at what is returned.
                return Err(DataError::WorkerLost { batch });
            }
            let index = self.order[position];
            let sample = dataset.samples().get(index).ok_or(DataError::Order {
                position,
                sample: index,
                samples: dataset.len(),
            })?;
            let slot = samples.len() * clip_bytes;
            match self.load_caught(index, position, &mut buffer[slot..slot + clip_bytes]) {
                Ok(()) => samples.push(index),
                Err(fault) => match self.config.on_bad_clip {
                    // That a store cannot be reached says nothing of the clip.
                    OnBadClip::Skip if !fault.is_passing() => {
                        tracing::warn!(clip = %sample.clip_id, batch, %fault, "passed over a clip");
                        skipped.push(index);
                    }
                    OnBadClip::Skip | OnBadClip::Fail => {
                        return Err(DataError::Clip {
                            batch,
                            clip_id: sample.clip_id.clone(),
                            shard: sample.shard.clone(),
                            shard_row: sample.shard_row,
                            fault,
                        });
                    }
                },
            }
        }
        let labels: Vec<i64> = samples
            .iter()
            .map(|&i| dataset.samples()[i].label)
            .collect();
        Ok(Batch {
            clips: clips.narrow(0, 0, size(samples.len())),
            labels: Tensor::from_slice(&labels),
            samples,
            skipped,
        })
    }

    /// Loads clip `index` for `position` of the order; a panic on the way becomes its fault.
    fn load_caught(
        &mut self,
        index: usize,
        position: usize,
        out: &mut [u8],
    ) -> Result<(), ClipFault> {
        // The reader is taken while it works, so none in a broken state is left, and the buffer is written anew or passed
        // over.
        caught(|| self.load(index, position, out)).unwrap_or_else(|m| Err(ClipFault::Panic(m)))
    }

    fn load(&mut self, index: usize, position: usize, out: &mut [u8]) -> Result<(), ClipFault> {
        let config = self.config;
        let stored = self.dataset.frames(index, config.frames)?;
        let mut reader = match self.reader.take() {
            Some(reader) => reader,
            None => FrameReader::new(config.resize, config.crop).map_err(ClipFault::Decoder)?,
        };
        let slack = config.resize - config.crop;
        let frames = stored.frames.len();
        let views = views(
            config.augment,
            slack,
            frames,
            config.seed,
            self.keys,
            position,
        );
        let frame_bytes = config.crop * config.crop * RGB;
        let read = out
            .chunks_exact_mut(frame_bytes)
            .zip(stored.frames.iter().zip(views))
            .enumerate()
            .try_for_each(|(i, (out, (bytes, view)))| {
                let size = (stored.height, stored.width);
                reader.read((i, &bytes[..]), stored.codec, size, view, out)
            });
        self.reader = Some(reader);
        read?;
        repeat(out, frames.min(config.frames) * frame_bytes);
        Ok(())
    }
}

/// Fills `clip` by repeating its first `filled` bytes, as the seed repeats a short clip from its start.
fn repeat(clip: &mut [u8], filled: usize) {
    let mut done = filled;
    while done < clip.len() {
        // What is done is always a whole number of repetitions, so its beginning is what comes next.
        let more = done.min(clip.len() - done);
        clip.copy_within(..more, done);
        done += more;
    }
}

/// Sizes of tensors are signed; none here comes near the limit (`MAX_BATCH_BYTES`).
fn size(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_clip_is_repeated_from_its_start_and_cut() {
        let mut clip = [1, 2, 3, 0, 0, 0, 0, 0, 0, 0, 0];
        repeat(&mut clip, 3);
        assert_eq!(clip, [1, 2, 3, 1, 2, 3, 1, 2, 3, 1, 2]);
        let mut full = [1, 2, 3];
        repeat(&mut full, 3);
        assert_eq!(full, [1, 2, 3]);
    }
}
