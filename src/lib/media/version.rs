//! Which FFmpeg this is.

use std::ffi::CStr;

/// FFmpeg's own version, as it is linked now.
#[must_use]
pub fn version() -> String {
    // SAFETY: the function gives a text that is compiled in.
    let text = unsafe { CStr::from_ptr(ffmpeg_next::ffi::av_version_info()) };
    text.to_string_lossy().into_owned()
}
