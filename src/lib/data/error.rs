//! What can go wrong between a shard and a batch.

use std::error::Error;
use std::io;

use crate::clip::Split;
use crate::exit::Exit;
use crate::foreign::{first_of, printable};
use crate::hint::Hint;

/// How many clips a message names.
const CLIPS_SHOWN: usize = 5;

/// Why a clip could not be put into its batch.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClipFault {
    /// The shard could not be opened or the row not be read.
    #[error("{0}")]
    Source(#[source] Box<dyn Error + Send + Sync>),
    /// The shard's row holds another clip: index and shards do not belong together.
    #[error("the shard has clip {} in its row", printable(found))]
    OtherClip {
        /// The clip that was found.
        found: String,
    },
    /// The row holds no frames.
    #[error("no frames are stored")]
    NoFrames,
    /// A stored frame is no JPEG image, or a damaged one.
    #[error("frame {frame}: damaged JPEG: {message}")]
    Jpeg {
        /// The frame, from 0.
        frame: usize,
        /// What the decoder says.
        message: String,
    },
    /// A stored frame has another size than its row says.
    #[error("frame {frame}: {found}, expected {expected}")]
    FrameSize {
        /// The frame, from 0.
        frame: usize,
        /// What was found.
        found: String,
        /// What the row promises.
        expected: String,
    },
    /// The JPEG decoder could not be set up.
    #[error("start the JPEG decoder: {0}")]
    Decoder(String),
    /// The code that loads a clip panicked: a defect of this program.
    #[error("loading panicked: {0}")]
    Panic(String),
}

/// Why a batch or an order cannot be had.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A clip could not be loaded, and the settings say not to pass over it.
    #[error(
        "batch {batch}: clip {} ({shard}, row {shard_row}): {fault}",
        printable(clip_id)
    )]
    Clip {
        /// The batch, from 0, in its epoch.
        batch: usize,
        /// The clip.
        clip_id: String,
        /// The shard that should hold it.
        shard: String,
        /// Its row there.
        shard_row: i64,
        /// What is wrong with it.
        #[source]
        fault: ClipFault,
    },
    /// Lists have clips as usable that the shards do not hold.
    #[error(
        "{} clips that the availability table calls usable have no frames in the shards, the first in task {task}'s {split} list: {}",
        clips.len(),
        first_clips(clips)
    )]
    NotStored {
        /// The clips, each once, sorted.
        clips: Vec<String>,
        /// The first task that lists one.
        task: i32,
        /// The split of that list.
        split: Split,
    },
    /// The loader's settings make no sense.
    #[error("loader: {0}")]
    Settings(String),
    /// A position of the order names no clip of the data set.
    #[error("position {position} of the order names clip {sample} of {samples}")]
    Order {
        /// Where in the order.
        position: usize,
        /// What stands there.
        sample: usize,
        /// How many clips there are.
        samples: usize,
    },
    /// The system gave no thread for a worker.
    #[error("start loader thread {worker}: {source}")]
    Spawn {
        /// The worker, from 0.
        worker: usize,
        /// The system's error.
        #[source]
        source: io::Error,
    },
    /// A worker ended without delivering.
    #[error("batch {batch}: the thread that was loading it is gone")]
    WorkerLost {
        /// The batch, from 0, in its epoch.
        batch: usize,
    },
    /// Memory is short.
    #[error("memory for a batch: {0}")]
    Memory(#[source] tch::TchError),
    /// There is no page-locked memory to be had.
    #[error("pin the memory of a batch: {0}")]
    Pinned(#[source] tch::TchError),
    /// A class has clips in the list, but no count to weigh them by.
    #[error("class {label} has clips in the list but a count of 0: its weight 1/n is undefined")]
    ClassCount {
        /// The class index.
        label: i64,
    },
}

/// The first of `clips` for a message, and how many more there are.
#[must_use]
pub fn first_clips(clips: &[String]) -> String {
    first_of(clips, CLIPS_SHOWN)
}

impl Hint for DataError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Clip { fault: ClipFault::Panic(_), .. } => None,
            Self::Clip { .. } => Some(
                "`incdec-decode verify` lists damaged clips; remove their shards and `make decode` decodes their clips again; \
                 `--on-bad-clip skip --max-bad SHARE` passes over a share of them"
                    .to_owned(),
            ),
            Self::NotStored { .. } => Some(
                "name the shards that the tasks were made from; or `make decode` stores clips whose files are there, and \
                 `make manifest` and `make tasks` list what the shards hold"
                    .to_owned(),
            ),
            Self::Spawn { .. } => Some("use fewer --workers".to_owned()),
            _ => None,
        }
    }
    fn exit(&self) -> Exit {
        match self {
            // Other programs may leave room for threads later.
            Self::Spawn { .. } => Exit::TryAgain,
            _ => Exit::Failed,
        }
    }
}
