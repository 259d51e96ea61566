//! Video in and out through FFmpeg: the only user of `ffmpeg_next`.
//!
//! [`decode::Video`] gives the frames of a file as the `ffmpeg` command line would, [`scale::Scaler`] turns a frame into RGB
//! of the wanted size, [`filter`] runs libavfilter's motion interpolation, [`encode`] writes video. Nothing here prints:
//! libav's own messages are switched off, what matters comes as [`MediaError`] or in the [`decode::Tally`].

mod axis;
mod colour;
pub mod decode;
mod display_order;
pub mod encode;
pub mod filter;
pub mod frame_size;
mod input;
pub mod orientation;
mod packets;
mod resize;
pub mod scale;

use std::sync::Once;

use crate::hint::Hint;

/// Largest single allocation that libav may make, in bytes. A frame of [`decode::MAX_PIXELS`] fits.
const MAX_ALLOCATION_BYTES: usize = 512 << 20;

/// Why a file gives no (more) frames. The texts name no file: they stand in the index, whose bytes depend on no path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum MediaError {
    /// The file's name is not UTF-8; libav takes no other.
    #[error("the file's name is not UTF-8")]
    Name,
    /// No container format recognises the file, or its header is damaged.
    #[error("cannot be opened: {0}")]
    Open(String),
    /// There is no video stream other than a cover picture.
    #[error("has no video stream{}", if *.audio { ", only audio" } else { "" })]
    NoVideo {
        /// Whether there is an audio stream.
        audio: bool,
    },
    /// The video stream is encrypted.
    #[error("is encrypted")]
    Encrypted,
    /// The codec is unknown to this FFmpeg, or its parameters are unusable.
    #[error("codec {codec}: {reason}")]
    Codec {
        /// The codec's name.
        codec: String,
        /// What libav said.
        reason: String,
    },
    /// No frame came out.
    #[error("no frame could be decoded ({packets} packets, {errors} errors)")]
    NoFrames {
        /// Packets of the video stream.
        packets: i64,
        /// Errors on the way.
        errors: i64,
    },
    /// Decoding took too long.
    #[error("took longer than {seconds} s")]
    TimeLimit {
        /// The limit.
        seconds: u64,
    },
    /// A picture could not be converted.
    #[error("a picture of {width} x {height} ({format}) cannot be scaled: {reason}")]
    Scale {
        /// Width of the picture in pixels.
        width: u32,
        /// Height of the picture in pixels.
        height: u32,
        /// Its pixel format.
        format: String,
        /// Why not.
        reason: String,
    },
}

impl Hint for MediaError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::TimeLimit { .. } => {
                Some("raise --clip-seconds if the file is really that long".into())
            }
            Self::Codec { .. } => Some(
                "install an FFmpeg that knows this codec; `make doctor` shows what is there".into(),
            ),
            _ => None,
        }
    }
}

/// Prepares libav once per process: no messages, bounded allocations.
pub fn start() {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        // Without its table of texts every error would be empty. It cannot fail: it only registers.
        let _ = ffmpeg_next::init();
        ffmpeg_next::util::log::set_level(ffmpeg_next::util::log::Level::Quiet);
        // SAFETY: sets one global number before any other use of libav.
        unsafe { ffmpeg_next::ffi::av_max_alloc(MAX_ALLOCATION_BYTES) };
    });
}
