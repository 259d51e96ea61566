//! The size that frames are stored at, and what it makes of pixels that are not square.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::choice::choice;

/// Largest side of an output frame in pixels.
pub const MAX_SIDE: u32 = 4096;

/// The size that frames are stored at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub enum FrameSize {
    /// Exactly this size, whatever the aspect, as training resizes to.
    Exact {
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
    },
    /// The shorter side has this many pixels, the aspect is kept.
    Short(u32),
}

/// A text that names no frame size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no frame size: <width>x<height> or short:<pixels>, each side 1 to {MAX_SIDE}")]
pub struct UnknownFrameSize(String);

impl FromStr for FrameSize {
    type Err = UnknownFrameSize;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let side = |part: &str| part.parse().ok().filter(|n| (1..=MAX_SIDE).contains(n));
        let size = match text.strip_prefix("short:") {
            Some(short) => side(short).map(Self::Short),
            None => text.split_once('x').and_then(|(w, h)| {
                Some(Self::Exact {
                    width: side(w)?,
                    height: side(h)?,
                })
            }),
        };
        size.ok_or_else(|| UnknownFrameSize(text.to_owned()))
    }
}

impl fmt::Display for FrameSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact { width, height } => write!(f, "{width}x{height}"),
            Self::Short(side) => write!(f, "short:{side}"),
        }
    }
}

impl From<FrameSize> for String {
    fn from(size: FrameSize) -> Self {
        size.to_string()
    }
}

impl TryFrom<String> for FrameSize {
    type Error = UnknownFrameSize;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

choice! {
    /// What to do with pixels that are not square. Only sizes that keep the aspect depend on it.
    #[derive(Default)]
    pub enum SampleAspect: "treatment of pixels that are not square" {
        /// Take them for square, as the seed does.
        #[default]
        Squash = "squash",
        /// Keep the aspect of the display.
        Honour = "honour",
    }
}

/// Width and height in pixels of the output for a picture that is shown at `width` x `height`.
#[must_use]
#[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // Clamped to 1..=MAX_SIDE before.
pub fn output_side(size: FrameSize, width: f64, height: f64) -> (u32, u32) {
    match size {
        FrameSize::Exact { width, height } => (width, height),
        FrameSize::Short(short) => {
            let scale = f64::from(short) / width.min(height);
            let side =
                |length: f64| (length * scale).round().clamp(1.0, f64::from(MAX_SIDE)) as u32;
            (side(width), side(height))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_survive_their_text_and_keep_the_aspect_where_asked() {
        for text in ["200x200", "short:240", "1x4096"] {
            assert_eq!(text.parse::<FrameSize>().unwrap().to_string(), text);
        }
        for text in ["0x5", "5", "short:0", "4097x1", "x", "short:-1", "2x2x2"] {
            assert!(text.parse::<FrameSize>().is_err(), "{text}");
        }
        assert_eq!(
            output_side(FrameSize::Short(240), 1280.0, 720.0),
            (427, 240)
        );
        assert_eq!(
            output_side(FrameSize::Short(240), 720.0, 1280.0),
            (240, 427)
        );
        assert_eq!(
            output_side(
                FrameSize::Exact {
                    width: 9,
                    height: 7
                },
                720.0,
                1280.0
            ),
            (9, 7)
        );
    }
}
