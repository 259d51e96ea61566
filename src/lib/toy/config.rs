//! The settings of the toy source.

use std::path::PathBuf;

use serde::Serialize;

use super::ToyError;
use crate::choice::choice;

/// Most clips of a subcategory in all splits.
pub(super) const MAX_CLIPS_PER_SUBCATEGORY: usize = 10_000;
/// Longest clip, in seconds.
const MAX_SECONDS: f64 = 60.0;
/// Largest side of a picture, in pixels.
const MAX_SIZE_PIXELS: u32 = 2048;

choice! {
    /// Where members lie in an archive.
    #[derive(Default)]
    pub enum Layout: "layout" {
        /// `<class>/<clip>.mp4`, as in the official archives.
        #[default]
        Official = "official",
        /// `<clip>.mp4`.
        Flat = "flat",
    }
}

choice! {
    /// What tells a clip's category.
    #[derive(Default)]
    pub enum Cue: "cue" {
        /// The motion alone: no single frame shows it, and learning takes long.
        #[default]
        Motion = "motion",
        /// The motion, and the appearance as well: each subcategory has a texture and a hue of its
        /// own, which are learnt in minutes and forgotten when it is withdrawn.
        Appearance = "appearance",
    }
}

/// Settings of the toy source.
#[derive(Clone, Debug, Serialize)]
pub struct ToyConfig {
    /// The folder to write.
    #[serde(skip)]
    pub out: PathBuf,
    /// Clips a subcategory in train.csv.
    pub train: usize,
    /// Clips a subcategory in validation.csv.
    pub validation: usize,
    /// Clips a subcategory in test.csv.
    pub test: usize,
    /// Length of a clip in seconds.
    pub seconds: f64,
    /// Width and height of a clip in pixels, even.
    pub size: u32,
    /// Frames per second.
    pub fps: u32,
    /// Seed of every random choice.
    pub seed: u64,
    /// Where members lie in an archive.
    pub layout: Layout,
    /// What tells a clip's category. Only another one than the default is recorded, so that a
    /// source of a version before is known again.
    #[serde(skip_serializing_if = "Cue::is_default")]
    pub cue: Cue,
}

impl Default for ToyConfig {
    fn default() -> Self {
        Self {
            out: PathBuf::from("toy"),
            train: 8,
            validation: 2,
            test: 3,
            seconds: 2.4,
            size: 80,
            fps: 10,
            seed: 0,
            layout: Layout::default(),
            cue: Cue::default(),
        }
    }
}

impl Cue {
    #[allow(clippy::trivially_copy_pass_by_ref)] // The signature that serde calls.
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

impl ToyConfig {
    /// Refuses settings out of their range.
    pub(super) fn check(&self) -> Result<(), ToyError> {
        let setting = |name, value: String, expected| {
            Err(ToyError::Setting {
                name,
                value,
                expected,
            })
        };
        let per_subcategory = self.train + self.validation + self.test;
        if !(1..=MAX_CLIPS_PER_SUBCATEGORY).contains(&per_subcategory) {
            return setting(
                "--train",
                per_subcategory.to_string(),
                "1 to 10000 with --validation and --test",
            );
        }
        if !(self.seconds > 0.0 && self.seconds <= MAX_SECONDS) {
            return setting("--seconds", self.seconds.to_string(), "above 0, up to 60");
        }
        if !(16..=MAX_SIZE_PIXELS).contains(&self.size) || self.size % 2 == 1 {
            return setting("--size", self.size.to_string(), "even, 16 to 2048");
        }
        if !(1..=120).contains(&self.fps) {
            return setting("--fps", self.fps.to_string(), "1 to 120");
        }
        Ok(())
    }
}
