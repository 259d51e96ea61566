//! Video in and out through FFmpeg: the only user of `ffmpeg_next`.
//!
//! [`video::Video`] gives the frames of a file as the `ffmpeg` command line would,
//! [`scale::Scaler`] turns a frame into RGB of the wanted size, [`filter`] runs libavfilter,
//! [`encode`] writes video. Nothing here prints: libav's own messages are
//! switched off, what matters comes as [`MediaError`] or in the [`video::Tally`].

mod axis;
mod blend;
mod clock;
mod colour;
mod content;
mod convert;
mod display_order;
pub mod encode;
mod ends_early;
mod error;
pub mod facts;
pub mod filter;
pub mod frame_size;
mod h264_parser;
pub mod high_range;
mod input;
pub mod limits;
pub mod orientation;
mod packets;
mod resize;
pub mod scale;
mod transpose;
mod version;
pub mod video;

use std::sync::Once;

pub use error::MediaError;
use limits::MAX_ALLOCATION_BYTES;
pub use version::version;

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
