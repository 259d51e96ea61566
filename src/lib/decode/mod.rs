//! The decode stage: from clips to frame shards.
//!
//! [`sample`] says which frames (pure), [`clip`] turns one file into stored frames, [`run()`] does so for every labelled clip
//! with several workers and publishes shards and index, [`probe()`] decodes single files for people, [`verify()`] re-reads what
//! is stored.
//!
//! Results do not depend on the number of workers: clips are decoded in any order and written in the label tables'. A shard is
//! published when it is full; a killed run's shards are taken over by the next, which goes on with the clip after them.
//!
//! What JPEG costs, by `tests/bench/jpeg.py` on 24 real clips of 200 x 200: PSNR against the raw frames, and loading speed as
//! normalised batches of 172 x 172 in clips per processor second.
//!
//! | quality, colour | bytes a frame | PSNR, mean | PSNR, tenth percentile | loading |
//! |---|---|---|---|---|
//! | 80, 4:2:0 | 7,173 | 37.7 dB | 34.0 dB | 161.6 |
//! | 85, 4:2:0 | 8,241 | 38.8 dB | 34.8 dB | 156.4 |
//! | 90, 4:2:0 | 10,083 | 40.2 dB | 35.6 dB | 143.7 |
//! | 95, 4:2:0 | 14,022 | 42.3 dB | 37.2 dB | 126.3 |
//! | 80, 4:4:4 | 8,559 | 39.5 dB | 36.5 dB | 132.4 |
//! | 85, 4:4:4 | 9,927 | 40.7 dB | 37.7 dB | 126.4 |
//! | 90, 4:4:4 | 12,187 | 42.5 dB | 39.6 dB | 118.0 |
//! | 95, 4:4:4 | 17,158 | 45.3 dB | 43.0 dB | 102.8 |
//!
//! At equal bytes whole colour is half a decibel better and a tenth slower to load. Loading is paid in every epoch, so 90 at
//! 4:2:0 is the default; where colour matters more, `--quality 85 --subsampling 444` has its size.

mod bench;
pub mod clip;
mod folder;
mod isolate;
mod pool;
mod probe;
mod run;
pub mod sample;
mod source;
mod stored;
mod verify;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

pub use bench::{BenchConfig, BenchRow, bench};
pub use isolate::work;
pub use probe::{ProbeRow, probe};
pub use run::{Summary, run};
pub use sample::Fps;
pub use verify::{Damage, VerifySummary, verify};

use crate::hint::Hint;
use crate::labels::LabelsError;
use crate::media::decode::Limits;
use crate::media::frame_size::{FrameSize, SampleAspect};
use crate::shard::{Codec, DEFAULT_SHARD_BYTES, ShardError};
use crate::table::Provenance;

/// Where the frames between the source's come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Resample {
    /// The frame on display at each instant.
    #[default]
    Display,
    /// libavfilter's motion-compensated interpolation, as the seed runs it (short side 240, then `minterpolate`).
    Minterpolate,
}

/// How much of the colour a JPEG frame keeps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Subsampling {
    /// Colour at half the width and height.
    #[default]
    #[serde(rename = "4:2:0")]
    Quarter,
    /// Colour at half the width.
    #[serde(rename = "4:2:2")]
    Half,
    /// Colour at full size.
    #[serde(rename = "4:4:4")]
    Full,
}

/// What the stored frames depend on, besides the clips themselves. Another value of any of these decodes everything anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipSettings {
    /// Frames per second. Default 5.
    pub fps: Fps,
    /// The size of a stored frame. Default 200x200.
    pub frame_size: FrameSize,
    /// How frames are stored. Default JPEG.
    pub codec: Codec,
    /// JPEG's quality, 1 to 100. Default 90.
    pub quality: u8,
    /// JPEG's colour subsampling. Default 4:2:0.
    pub subsampling: Subsampling,
    /// Most frames of a clip. Default 50.
    pub max_frames: u32,
    /// Where frames come from. Default the frame on display.
    pub resample: Resample,
    /// Pixels that are not square. Default taken for square.
    pub sample_aspect: SampleAspect,
    /// Whether frames that nobody wants are decoded all the same, which changes nothing but the time. Default no.
    pub decode_all: bool,
}

impl Default for ClipSettings {
    fn default() -> Self {
        Self {
            fps: Fps::whole(5),
            frame_size: FrameSize::Exact {
                width: 200,
                height: 200,
            },
            codec: Codec::Jpeg,
            quality: 90,
            subsampling: Subsampling::default(),
            max_frames: 50,
            resample: Resample::default(),
            sample_aspect: SampleAspect::default(),
            decode_all: false,
        }
    }
}

impl ClipSettings {
    /// The settings as every shard and the index carry them.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        let mut settings = serde_json::json!({
            "fps": self.fps.to_string(),
            "frame_size": self.frame_size.to_string(),
            "codec": self.codec,
            "max_frames": self.max_frames,
            "resample": self.resample,
            "sample_aspect": self.sample_aspect,
        });
        if self.codec == Codec::Jpeg {
            settings["quality"] = self.quality.into();
            settings["subsampling"] = serde_json::json!(self.subsampling);
        }
        Provenance::of(&settings)
    }
}

/// The settings of the decode stage.
#[derive(Clone, Debug)]
pub struct DecodeConfig {
    /// The folder of clips, `<subcategory>/<clip id>.<any extension>`; any other nesting will do.
    pub clips: PathBuf,
    /// A folder of frame folders as the seed has them, `id_<clip id>/jpgs/image_00001.jpg`, for clips that have no video.
    pub frame_folders: Option<PathBuf>,
    /// The folder of label tables.
    pub labels: PathBuf,
    /// The folder of shards.
    pub out: PathBuf,
    /// What the frames depend on.
    pub clip: ClipSettings,
    /// Workers. Default the number of processor cores.
    pub jobs: usize,
    /// Share of the labelled clips, 0 to 1, that may be missing or undecodable before the stage fails. Default 0.01.
    pub max_failed: f64,
    /// Bytes of frames in a shard. Default 256 MiB. Counts for new shards only.
    pub shard_bytes: u64,
    /// What one clip may cost.
    pub limits: Limits,
    /// A program that decodes clips in processes of their own, one per worker; `None` decodes in threads.
    pub isolate: Option<PathBuf>,
}

impl DecodeConfig {
    /// The default settings for these folders.
    #[must_use]
    pub fn new(clips: PathBuf, labels: PathBuf, out: PathBuf) -> Self {
        Self {
            clips,
            frame_folders: None,
            labels,
            out,
            clip: ClipSettings::default(),
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            max_failed: 0.01,
            shard_bytes: DEFAULT_SHARD_BYTES,
            limits: Limits::default(),
            isolate: None,
        }
    }
}

/// Why the decode stage failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DecodeError {
    /// The label tables are unusable.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// Shards cannot be written or read.
    #[error(transparent)]
    Shard(#[from] ShardError),
    /// A setting makes no sense.
    #[error("{setting}: {reason}")]
    Setting {
        /// The flag.
        setting: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The folder of clips cannot be listed.
    #[error("{path}: {source}")]
    Clips {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: walkdir::Error,
    },
    /// There is no folder of clips.
    #[error("{path}: there is no such folder of clips")]
    NoClips {
        /// The folder.
        path: PathBuf,
    },
    /// More clips failed than allowed.
    #[error(
        "{missing} of {clips} labelled clips are missing and {failed} cannot be decoded, which is more than the share {max_failed} that is allowed"
    )]
    TooManyFailed {
        /// Labelled clips.
        clips: usize,
        /// Clips without a file.
        missing: usize,
        /// Clips without frames.
        failed: usize,
        /// The allowed share.
        max_failed: f64,
    },
    /// A worker could not be started or ended without a word.
    #[error("decode worker: {reason}")]
    Worker {
        /// What happened.
        reason: String,
    },
    /// Stored rows are damaged.
    #[error("{damaged} of {clips} stored clips are damaged")]
    Damaged {
        /// Damaged clips.
        damaged: usize,
        /// Clips that should have frames.
        clips: usize,
    },
    /// Files given to probe that cannot be decoded.
    #[error("{refused} of {files} files cannot be decoded")]
    Refused {
        /// Files without a frame.
        refused: usize,
        /// Files given.
        files: usize,
    },
}

impl Hint for DecodeError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Labels(e) => e.hint(),
            Self::Shard(e) => e.hint(),
            Self::NoClips { .. } => Some(
                "name the folder of downloaded clips with --clips, or run `make download`".into(),
            ),
            Self::TooManyFailed {
                missing,
                failed,
                clips,
                ..
            } => Some(format!(
                "the lines above name each clip; fetch the missing ones (make download) or accept the loss with --max-failed {} (make MAX_FAILED=...); what was decoded is kept",
                share_above(missing + failed, *clips)
            )),
            Self::Damaged { .. } => {
                Some("remove the damaged shards and run the same decode command as before".into())
            }
            _ => None,
        }
    }
}

/// A share with three digits that is not below `part / whole`.
#[allow(clippy::cast_precision_loss)] // Clip counts, far below 2^52.
fn share_above(part: usize, whole: usize) -> String {
    format!(
        "{:.3}",
        (part as f64 / whole.max(1) as f64 * 1000.0).ceil() / 1000.0
    )
}
