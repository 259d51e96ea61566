//! JPEG frames to RGB, no more of them than is asked for.
//!
//! This speaks to libjpeg-turbo's `TurboJPEG` API directly, because the safe crate has no cropping region.

use std::ffi::CStr;

use turbojpeg::{libc, raw};

/// Largest width or height that is decoded, in pixels.
const MAX_SIDE: usize = 8192;

/// Bytes of an RGB pixel.
const RGB: usize = 3;

/// Widths of the coding units of 4:4:4, 4:2:2, 4:2:0, grey, 4:4:0, 4:1:1 and 4:4:1 (`tjMCUWidth`), in pixels.
const UNIT_WIDTHS: [usize; 7] = [8, 16, 16, 8, 8, 32, 8];

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

    /// Sets the decompressor up anew.
    ///
    /// `tj3DecompressHeader` (of 3.1.0) returns from a damaged header without aborting it. libjpeg then stays in the midst of
    /// that header and reads the next image as the rest of it ("Bogus DQT index 15"), so that image and all after it are
    /// refused. `tj3Decompress8` aborts by itself.
    fn restart(&mut self) {
        // Without memory for another one the old one stays, which refuses images and harms nothing.
        if let Ok(new) = Self::new() {
            *self = new;
        }
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
        self.read_header(jpeg)?;
        let found = (
            self.parameter(raw::TJPARAM_TJPARAM_JPEGHEIGHT),
            self.parameter(raw::TJPARAM_TJPARAM_JPEGWIDTH),
        );
        if found != (height, width) || height.max(width) > MAX_SIDE {
            return Err(JpegError::Size(found.0, found.1));
        }
        let region = self.region(found, wanted);
        self.set_region(region, found)?;
        pixels.resize(region.height * region.width * RGB, 0);
        // Sides are at most MAX_SIDE, so this is exact.
        let pitch = i32::try_from(region.width * RGB).unwrap_or(i32::MAX);
        // SAFETY: the buffer holds the region's rows of `pitch` bytes, and no more than the region is written: it lies
        // within the size that the header of these same bytes tells.
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
            return Err(JpegError::Damaged(message(self.handle)));
        }
        Ok(region)
    }

    /// Reads what `jpeg` says about itself into the handle's parameters.
    fn read_header(&mut self, jpeg: &[u8]) -> Result<(), JpegError> {
        if jpeg.is_empty() {
            return Err(JpegError::Damaged("no bytes".to_owned()));
        }
        // SAFETY: the handle is valid, pointer and length are of one slice.
        let status = unsafe {
            raw::tj3DecompressHeader(self.handle, jpeg.as_ptr(), jpeg.len() as raw::size_t)
        };
        if status != 0 {
            let error = JpegError::Damaged(message(self.handle));
            self.restart();
            return Err(error);
        }
        Ok(())
    }

    /// The part of an image of size `whole` to decode so that `wanted` comes out as if all of it were decoded.
    ///
    /// Columns begin at a multiple of the coding unit's width. Where chroma is subsampled, the outermost columns of a part
    /// are interpolated from too few neighbours, so one more is taken on each side that is not the image's own. Rows may
    /// begin anywhere, and those below are not even read.
    fn region(&self, whole: (usize, usize), wanted: Region) -> Region {
        let Some(unit) = unit_width(self.parameter(raw::TJPARAM_TJPARAM_SUBSAMP)) else {
            return Region::whole(whole);
        };
        let left = wanted.left.saturating_sub(1) / unit * unit;
        let right = whole.1.min(wanted.left + wanted.width + 1);
        Region {
            top: wanted.top,
            left,
            height: wanted.height,
            width: right - left,
        }
    }

    fn set_region(&mut self, region: Region, whole: (usize, usize)) -> Result<(), JpegError> {
        // Sides are at most MAX_SIDE, so these are exact. All zeros stand for the whole image.
        let side = |n: usize| libc::c_int::try_from(n).unwrap_or(libc::c_int::MAX);
        let region = if region == Region::whole(whole) {
            raw::tjregion {
                x: 0,
                y: 0,
                w: 0,
                h: 0,
            }
        } else {
            raw::tjregion {
                x: side(region.left),
                y: side(region.top),
                w: side(region.width),
                h: side(region.height),
            }
        };
        // SAFETY: the handle is valid and has read a header.
        let status = unsafe { raw::tj3SetCroppingRegion(self.handle, region) };
        if status != 0 {
            return Err(JpegError::Damaged(message(self.handle)));
        }
        Ok(())
    }

    fn parameter(&self, name: raw::TJPARAM) -> usize {
        // SAFETY: the handle is valid; an unknown parameter gives -1.
        let value = unsafe { raw::tj3Get(self.handle, name.cast_signed()) };
        usize::try_from(value).unwrap_or(usize::MAX)
    }
}

impl Drop for JpegDecoder {
    fn drop(&mut self) {
        // SAFETY: the handle came from tj3Init and is not used again.
        unsafe { raw::tj3Destroy(self.handle) };
    }
}

/// Width of a coding unit in pixels for a chroma subsampling of `TurboJPEG`'s; `None` for one that it has no name for.
fn unit_width(subsampling: usize) -> Option<usize> {
    UNIT_WIDTHS.get(subsampling).copied()
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

#[cfg(test)]
mod tests {
    use super::*;
    use turbojpeg::{Image, PixelFormat, Subsamp};

    /// A picture with detail in brightness and colour everywhere.
    fn picture(height: usize, width: usize, subsampling: Subsamp) -> Vec<u8> {
        let mut pixels = Vec::new();
        for (y, x) in (0..height).flat_map(|y| (0..width).map(move |x| (y, x))) {
            let values = [x * 7 + y * 3, x * y / 2 + 40, (x / 3 + y / 5) * 31];
            pixels.extend(values.map(|v| u8::try_from(v % 256).unwrap()));
        }
        let image = Image {
            pixels: &pixels[..],
            width,
            pitch: width * RGB,
            height,
            format: PixelFormat::RGB,
        };
        turbojpeg::compress(image, 90, subsampling)
            .unwrap()
            .to_vec()
    }

    fn rows(pixels: &[u8], have: Region, wanted: Region) -> Vec<u8> {
        let mut part = Vec::new();
        for row in 0..wanted.height {
            let from = ((wanted.top - have.top + row) * have.width + wanted.left - have.left) * RGB;
            part.extend_from_slice(&pixels[from..from + wanted.width * RGB]);
        }
        part
    }

    #[test]
    fn a_part_is_what_the_whole_has_there_for_every_subsampling_and_offset() {
        let mut decoder = JpegDecoder::new().unwrap();
        let size = (75, 83);
        for subsampling in [
            Subsamp::None,
            Subsamp::Sub2x1,
            Subsamp::Sub2x2,
            Subsamp::Sub1x2,
            Subsamp::Sub4x1,
            Subsamp::Gray,
        ] {
            let jpeg = picture(size.0, size.1, subsampling);
            let (mut whole, mut part) = (Vec::new(), Vec::new());
            let all = decoder
                .decode(&jpeg, size, Region::whole(size), &mut whole)
                .unwrap();
            assert_eq!(all, Region::whole(size));
            for (top, left) in
                (0..=27).flat_map(|top| [0, 1, 2, 15, 16, 17, 31, 33, 35].map(|l| (top, l)))
            {
                let wanted = Region {
                    top,
                    left,
                    height: 48,
                    width: 48,
                };
                let have = decoder.decode(&jpeg, size, wanted, &mut part).unwrap();
                assert!(
                    rows(&part, have, wanted) == rows(&whole, all, wanted),
                    "{subsampling:?} at row {top}, column {left}"
                );
            }
        }
    }

    #[test]
    fn images_of_changing_size_and_subsampling_come_out_as_from_a_new_decoder() {
        let mut kept = JpegDecoder::new().unwrap();
        let images = [
            (40, 40, Subsamp::Sub2x2),
            (40, 40, Subsamp::Sub2x2),
            (40, 40, Subsamp::None),
            (48, 40, Subsamp::None),
            (40, 48, Subsamp::Sub2x2),
        ];
        for (height, width, subsampling) in images {
            let jpeg = picture(height, width, subsampling);
            let wanted = Region {
                top: 5,
                left: 19,
                height: 16,
                width: 16,
            };
            let (mut expected, mut pixels) = (Vec::new(), Vec::new());
            let mut new = JpegDecoder::new().unwrap();
            let have = new.decode(&jpeg, (height, width), wanted, &mut expected);
            assert_eq!(
                kept.decode(&jpeg, (height, width), wanted, &mut pixels),
                have
            );
            assert!(pixels == expected);
            let other = kept.decode(&jpeg, (height + 1, width), wanted, &mut pixels);
            assert_eq!(other, Err(JpegError::Size(height, width)));
        }
    }

    #[test]
    fn after_an_image_cut_anywhere_the_next_one_is_decoded() {
        let mut decoder = JpegDecoder::new().unwrap();
        let (size, wanted) = (
            (40, 40),
            Region {
                top: 3,
                left: 17,
                height: 20,
                width: 20,
            },
        );
        let jpeg = picture(40, 40, Subsamp::Sub2x2);
        let (mut expected, mut pixels) = (Vec::new(), Vec::new());
        let have = decoder.decode(&jpeg, size, wanted, &mut expected).unwrap();
        for end in 1..jpeg.len() {
            // What is cut off below the wanted rows is not missed: those are not even read.
            let _ = decoder.decode(&jpeg[..end], size, wanted, &mut pixels);
            assert_eq!(
                decoder.decode(&jpeg, size, wanted, &mut pixels),
                Ok(have),
                "after {end} bytes"
            );
            assert!(pixels == expected, "after {end} bytes");
        }
    }

    #[test]
    fn damaged_images_are_errors_and_the_decoder_goes_on() {
        let mut decoder = JpegDecoder::new().unwrap();
        let (size, mut pixels) = ((40, 40), Vec::new());
        let jpeg = picture(40, 40, Subsamp::Sub2x2);
        let whole = Region::whole(size);
        for bad in [&[][..], b"no image", &jpeg[..20], &jpeg[..jpeg.len() / 2]] {
            let error = decoder.decode(bad, size, whole, &mut pixels).unwrap_err();
            // Twenty bytes are a valid image of tables alone, without a size.
            assert!(match error {
                JpegError::Damaged(text) => !text.is_empty(),
                JpegError::Size(height, width) => (height, width) != size,
            });
        }
        let error = decoder.decode(&jpeg, (40, 41), whole, &mut pixels);
        assert_eq!(error, Err(JpegError::Size(40, 40)));
        assert!(decoder.decode(&jpeg, size, whole, &mut pixels).is_ok());
    }
}
