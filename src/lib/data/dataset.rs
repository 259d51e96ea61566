//! Which clips there are, and where their frames come from.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;

use super::ClipFault;
use crate::shard::{Codec, Shards};

/// A clip of a task's list: what it is, and where its frames lie.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sample {
    /// The clip.
    pub clip_id: String,
    /// Its position in the task's list, from 0.
    pub position: i32,
    /// Its category's class index.
    pub label: i64,
    /// Its latent subcategory.
    pub subcategory: String,
    /// The shard's file name.
    pub shard: String,
    /// The clip's row in its shard.
    pub shard_row: i64,
}

/// The stored frames of a clip, shared with where they lie.
#[derive(Clone, Debug)]
pub struct StoredFrames {
    /// The clip that the row says it holds.
    pub clip_id: String,
    /// How the frames are encoded.
    pub codec: Codec,
    /// Height of every frame, in pixels.
    pub height: usize,
    /// Width of every frame, in pixels.
    pub width: usize,
    /// The first frames, as many as were asked for or as there are: JPEG images, or RGB rows without padding.
    pub frames: Vec<Bytes>,
}

/// Where frames come from. Shards in earnest; fakes with faults in the tests.
pub trait ClipSource: Send + Sync {
    /// The first frames of `sample`, at most `max_frames`.
    ///
    /// # Errors
    /// When the frames cannot be reached or, where `check` asks for it, are not the bytes that were stored. The message need
    /// not name the clip.
    fn frames(
        &self,
        sample: &Sample,
        max_frames: usize,
        check: HashCheck,
    ) -> Result<StoredFrames, Box<dyn Error + Send + Sync>>;

    /// Takes the order in which clips are going to be asked for, for a source that can fetch them
    /// ahead. It takes the place of what was said before.
    fn announce(&self, _order: &mut dyn Iterator<Item = &Sample>) {}

    /// Takes the order of the clips that are going to be asked for behind those that were announced.
    fn announce_behind(&self, _order: &mut dyn Iterator<Item = &Sample>) {}

    /// What has become of the shard of this name since the source was opened, where that is known.
    fn changed(&self, _shard: &str) -> Option<&'static str> {
        None
    }
}

/// Whether a clip's stored bytes are compared with the hash that they were stored with, and this with the index's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HashCheck {
    /// Read all of them and compare.
    Compare,
    /// Trust them.
    Trust,
}

impl ClipSource for Shards {
    fn frames(
        &self,
        sample: &Sample,
        max_frames: usize,
        check: HashCheck,
    ) -> Result<StoredFrames, Box<dyn Error + Send + Sync>> {
        let clip = match check {
            HashCheck::Compare => self.checked_clip(&sample.shard, sample.shard_row)?,
            HashCheck::Trust => self.clip(&sample.shard, sample.shard_row)?,
        };
        Ok(StoredFrames {
            codec: clip.head.codec,
            height: clip.head.height as usize,
            width: clip.head.width as usize,
            frames: clip.frames()[..clip.len().min(max_frames)].to_vec(),
            clip_id: clip.clip_id,
        })
    }

    fn announce(&self, order: &mut dyn Iterator<Item = &Sample>) {
        Shards::announce(self, order.map(|sample| &sample.shard[..]));
    }

    fn announce_behind(&self, order: &mut dyn Iterator<Item = &Sample>) {
        Shards::announce_behind(self, order.map(|sample| &sample.shard[..]));
    }

    fn changed(&self, shard: &str) -> Option<&'static str> {
        Shards::changed(self, shard)
    }
}

/// The clips of one list together with the place their frames come from. Shared by the loader's workers.
///
/// A clip's hash is compared when it is first loaded, not again in later epochs.
pub struct Dataset {
    source: Arc<dyn ClipSource>,
    samples: Vec<Sample>,
    checked: Vec<AtomicBool>,
}

impl Dataset {
    /// The clips `samples`, read from `source` (usually `Arc<Shards>`).
    #[must_use]
    pub fn new<S: ClipSource + 'static>(source: Arc<S>, samples: Vec<Sample>) -> Self {
        Self {
            source,
            checked: samples.iter().map(|_| AtomicBool::new(false)).collect(),
            samples,
        }
    }

    /// Other clips from the same source.
    #[must_use]
    pub fn of(&self, samples: Vec<Sample>) -> Self {
        Self {
            source: Arc::clone(&self.source),
            checked: samples.iter().map(|_| AtomicBool::new(false)).collect(),
            samples,
        }
    }

    /// The clips, in the order of the task's list.
    #[must_use]
    pub fn samples(&self) -> &[Sample] {
        &self.samples
    }

    /// How many clips there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.samples.len()
    }

    /// Whether there is no clip.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    /// What has become of the shard of this name since it was opened, `has gone` or `has changed`,
    /// where that is known.
    #[must_use]
    pub fn changed(&self, shard: &str) -> Option<&'static str> {
        self.source.changed(shard)
    }

    /// Tells the source in which order the clips are going to be asked for.
    pub(super) fn announce<'a>(&self, order: impl Iterator<Item = &'a usize>) {
        let mut known = order.filter_map(|&index| self.samples.get(index));
        self.source.announce(&mut known);
    }

    /// Tells the source in which order clips of this list are going to be asked for behind those that
    /// it has been told of, from this list or from another one of the same source.
    pub(super) fn announce_behind<'a>(&self, order: impl Iterator<Item = &'a usize>) {
        let mut known = order.filter_map(|&index| self.samples.get(index));
        self.source.announce_behind(&mut known);
    }

    /// The first `max_frames` frames of clip `index`.
    pub(super) fn frames(
        &self,
        index: usize,
        max_frames: usize,
    ) -> Result<StoredFrames, ClipFault> {
        let sample = &self.samples[index];
        let check = if self.checked[index].load(Ordering::Relaxed) {
            HashCheck::Trust
        } else {
            HashCheck::Compare
        };
        let stored = self
            .source
            .frames(sample, max_frames, check)
            .map_err(ClipFault::Source)?;
        if stored.clip_id != sample.clip_id {
            return Err(ClipFault::OtherClip {
                found: stored.clip_id,
            });
        }
        if stored.frames.is_empty() {
            return Err(ClipFault::NoFrames);
        }
        self.checked[index].store(true, Ordering::Relaxed);
        Ok(stored)
    }
}

impl fmt::Debug for Dataset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dataset")
            .field("clips", &self.samples.len())
            .finish_non_exhaustive()
    }
}
