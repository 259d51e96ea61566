//! The settings of the decode stage.

use std::num::NonZeroU32;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{DecodeError, Fps};
use crate::choice::choice;
use crate::lock::Wait;
use crate::media::frame_size::{FrameSize, SampleAspect};
use crate::media::limits::Limits;
use crate::parquet_file::Provenance;
use crate::part::Part;
use crate::shard::{Codec, DEFAULT_CLIPS_PER_SHARD};

/// What shards and index call [`DecodeConfig::clips_per_shard`] among their settings.
pub(super) const CLIPS_PER_SHARD: &str = "clips_per_shard";

/// Most workers of one run.
pub const MAX_JOBS: usize = 1024;

choice! {
    /// Where the frames between the source's come from.
    #[derive(Default)]
    pub enum Resample: "way to resample" {
        /// The frame on display at each instant.
        #[default]
        Display = "display",
        /// libavfilter's motion-compensated interpolation, as the seed runs it (short side 240,
        /// then `minterpolate`).
        Minterpolate = "minterpolate",
    }
}

choice! {
    /// How much of the colour a JPEG frame keeps.
    #[derive(Default)]
    pub enum Subsampling: "colour resolution" {
        /// Colour at half the width and height.
        #[default]
        Quarter = "4:2:0" (also "420"),
        /// Colour at half the width.
        Half = "4:2:2" (also "422"),
        /// Colour at full size.
        Full = "4:4:4" (also "444"),
    }
}

/// What the stored frames depend on, besides the clips themselves. Another value of any of these
/// decodes everything anew.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipSettings {
    /// Frames per second.
    pub fps: Fps,
    /// The size of a stored frame.
    pub frame_size: FrameSize,
    /// How frames are stored.
    pub codec: Codec,
    /// JPEG's quality, 1 to 100.
    pub quality: u8,
    /// JPEG's colour subsampling.
    pub subsampling: Subsampling,
    /// Most frames of a clip.
    pub max_frames: u32,
    /// Where frames come from.
    pub resample: Resample,
    /// Pixels that are not square.
    pub sample_aspect: SampleAspect,
    /// Whether the two fields of interlaced pictures are made whole pictures (libavfilter's
    /// `yadif`). Other pictures stay as they are.
    #[serde(default)]
    pub deinterlace: bool,
    /// Whether videos of high dynamic range are brought to the usual one (libavfilter's `zscale`
    /// and `tonemap`). Others stay as they are.
    #[serde(default)]
    pub tone_map: bool,
    /// Whether frames that nobody wants are decoded all the same, which changes nothing but the
    /// time.
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
            deinterlace: false,
            tone_map: false,
            decode_all: false,
        }
    }
}

impl ClipSettings {
    /// The settings as a run's checkpoints know them.
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
        // Named only where they are asked for: shards of before know nothing of them.
        for (name, is_on) in [
            ("deinterlace", self.deinterlace),
            ("tone_map", self.tone_map),
        ] {
            if is_on {
                settings[name] = true.into();
            }
        }
        Provenance::of(&settings)
    }
}

/// Whether clips are tried again that the machine kept from being decoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Retry {
    /// Only those whose file or limit has changed.
    #[default]
    No,
    /// All of them.
    Yes,
}

/// The settings of the decode stage.
#[derive(Clone, Debug)]
pub struct DecodeConfig {
    /// The folder of clips, `<subcategory>/<clip id>.<any extension>`; any other nesting will do.
    pub clips: PathBuf,
    /// A folder of frame folders as the seed has them, `id_<clip id>/jpgs/image_00001.jpg`, for
    /// clips that have no video.
    pub frame_folders: Option<PathBuf>,
    /// The folder of label tables.
    pub labels: PathBuf,
    /// The folder of shards.
    pub out: PathBuf,
    /// What the frames depend on.
    pub clip: ClipSettings,
    /// Workers, at most [`MAX_JOBS`].
    pub jobs: usize,
    /// Share of the labelled clips, 0 to 1, that may be missing or undecodable before the stage
    /// fails. A part never fails for that: merging judges all of them.
    pub max_failed: f64,
    /// Rows of a label table that share a shard.
    pub clips_per_shard: NonZeroU32,
    /// The part of the work that this process does, in a folder of its own below `out`; all of it
    /// where none.
    pub part: Option<Part>,
    /// What one clip may cost.
    pub limits: Limits,
    /// Whether clips are tried again that the machine kept from being decoded.
    pub retry: Retry,
    /// What to do while another program writes into the folder of shards.
    pub wait: Wait,
    /// A program that decodes clips in processes of their own, one per worker; `None` decodes in
    /// threads.
    pub isolate: Option<PathBuf>,
}

impl Default for DecodeConfig {
    fn default() -> Self {
        Self {
            clips: PathBuf::new(),
            frame_folders: None,
            labels: PathBuf::new(),
            out: PathBuf::new(),
            clip: ClipSettings::default(),
            jobs: std::thread::available_parallelism().map_or(1, usize::from),
            max_failed: 0.01,
            clips_per_shard: DEFAULT_CLIPS_PER_SHARD,
            part: None,
            limits: Limits::default(),
            retry: Retry::default(),
            wait: Wait::default(),
            isolate: None,
        }
    }
}

impl DecodeConfig {
    /// The default settings for these folders.
    #[must_use]
    pub fn new(clips: PathBuf, labels: PathBuf, out: PathBuf) -> Self {
        Self {
            clips,
            labels,
            out,
            ..Self::default()
        }
    }

    /// The settings as every shard and the index carry them.
    #[must_use]
    pub fn provenance(&self) -> Provenance {
        let mut provenance = self.clip.provenance();
        let clips_per_shard = self.clips_per_shard.get().into();
        provenance
            .settings
            .insert(CLIPS_PER_SHARD.to_owned(), clips_per_shard);
        provenance
    }

    /// Refuses settings that make no sense.
    pub(super) fn check(&self) -> Result<(), DecodeError> {
        let refuse = |setting, reason: String| Err(DecodeError::Setting { setting, reason });
        check_max_failed(self.max_failed)?;
        if !(1..=100).contains(&self.clip.quality) {
            return refuse("--quality", "JPEG's quality goes from 1 to 100".into());
        }
        if !(1..=MAX_JOBS).contains(&self.jobs) {
            return refuse(
                "--jobs",
                format!("between 1 and {MAX_JOBS} workers can be had"),
            );
        }
        if self.clip.max_frames == 0 {
            return refuse("--max-frames", "a clip needs at least one frame".into());
        }
        let treated = self.clip.deinterlace || self.clip.tone_map;
        if treated && self.clip.resample == Resample::Minterpolate {
            return refuse(
                "--resample minterpolate",
                "it reproduces the seed's frames, which were neither deinterlaced nor tone-mapped"
                    .into(),
            );
        }
        Ok(())
    }
}

/// Refuses what is no share.
pub(super) fn check_max_failed(share: f64) -> Result<(), DecodeError> {
    if (0.0..=1.0).contains(&share) {
        return Ok(());
    }
    Err(DecodeError::Setting {
        setting: "--max-failed",
        reason: "it is a share of the labelled clips, 0 to 1".into(),
    })
}
