//! One stored frame to the part of it that a model sees: decode, resize where stored otherwise, crop, mirror.

use super::ClipFault;
use super::augment::View;
use super::jpeg::{JpegDecoder, JpegError, Region};
use super::resize::Resizer;
use crate::shard::Codec;

/// Bytes of an RGB pixel.
const RGB: usize = 3;

/// Bytes that the processor fetches at a time.
const LINE_BYTES: usize = 64;

/// Bytes of a page of memory.
const PAGE_BYTES: usize = 4096;

/// Rows of a stored frame that are fetched before they are mirrored.
const ROWS_AHEAD: usize = 8;

/// Height and width of a frame, in pixels.
pub(super) type Size = (usize, usize);

/// What turns stored frames into views, with its decoder and its buffers, to be kept from frame to frame.
pub(super) struct FrameReader {
    decoder: JpegDecoder,
    resizer: Resizer,
    decoded: Vec<u8>,
    resized: Vec<u8>,
    /// Side of the square that frames are resized to, in pixels.
    target: usize,
    /// Side of the square that is taken from it, in pixels.
    crop: usize,
}

impl FrameReader {
    /// A reader of `crop` x `crop` views of frames of `resize` x `resize`.
    pub(super) fn new(resize: usize, crop: usize) -> Result<Self, String> {
        Ok(Self {
            decoder: JpegDecoder::new()?,
            resizer: Resizer::default(),
            decoded: Vec::new(),
            resized: Vec::new(),
            target: resize,
            crop,
        })
    }

    /// Writes the view of frame number `frame`, stored as `bytes` in `codec` at size `stored`, to `out`: `[crop, crop, 3]`.
    pub(super) fn read(
        &mut self,
        (frame, bytes): (usize, &[u8]),
        codec: Codec,
        stored: Size,
        view: View,
        out: &mut [u8],
    ) -> Result<(), ClipFault> {
        let target = (self.target, self.target);
        let wanted = if stored == target {
            Region {
                top: view.top,
                left: view.left,
                height: self.crop,
                width: self.crop,
            }
        } else {
            Region::whole(stored)
        };
        let (pixels, have) = match codec {
            Codec::Raw => {
                let expected = stored.0 * stored.1 * RGB;
                if bytes.len() != expected {
                    return Err(ClipFault::FrameSize {
                        frame,
                        found: format!("{} bytes", bytes.len()),
                        expected: format!("{expected} bytes"),
                    });
                }
                (bytes, Region::whole(stored))
            }
            Codec::Jpeg => {
                let have = self
                    .decoder
                    .decode(bytes, stored, wanted, &mut self.decoded)
                    .map_err(|e| jpeg_fault(frame, stored, e))?;
                (&self.decoded[..], have)
            }
        };
        if stored == target {
            cut(pixels, have, view, self.crop, out);
            return Ok(());
        }
        self.resizer
            .resize(pixels, stored, target, &mut self.resized);
        cut(&self.resized, Region::whole(target), view, self.crop, out);
        Ok(())
    }
}

fn jpeg_fault(frame: usize, size: Size, error: JpegError) -> ClipFault {
    match error {
        JpegError::Damaged(message) => ClipFault::Jpeg { frame, message },
        JpegError::Size(height, width) => ClipFault::FrameSize {
            frame,
            found: format!("{height} x {width} pixels"),
            expected: format!("{} x {} pixels", size.0, size.1),
        },
    }
}

/// Copies the view's square of `side` out of `pixels`, which hold the part `have` of a frame.
fn cut(pixels: &[u8], have: Region, view: View, side: usize, out: &mut [u8]) {
    let pitch = have.width * RGB;
    let first = (view.top - have.top) * pitch + (view.left - have.left) * RGB;
    for (row, out) in out.chunks_exact_mut(side * RGB).enumerate() {
        let from = first + row * pitch;
        let row = &pixels[from..from + side * RGB];
        if view.mirrored {
            // The processor does not foresee reading from right to left.
            fetch(pixels, from + ROWS_AHEAD * pitch, row.len());
            mirror(row, out);
        } else {
            // It foresees this, but only within a page.
            fetch(pixels, from + PAGE_BYTES, 1);
            out.copy_from_slice(row);
        }
    }
}

/// Has the processor fetch `count` bytes from position `from` on, as far as there are any: raw frames come from the page cache.
fn fetch(pixels: &[u8], from: usize, count: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in pixels.iter().skip(from).take(count).step_by(LINE_BYTES) {
        use std::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        // SAFETY: prefetching changes nothing, and the address is that of a byte that may be read.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(line).cast()) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (pixels, from, count);
}

/// Copies a row of pixels from its last to its first. `out` is as long as `row`, a whole number of pixels.
fn mirror(row: &[u8], out: &mut [u8]) {
    #[cfg(target_arch = "x86_64")]
    let done = if std::arch::is_x86_feature_detected!("ssse3") {
        // SAFETY: the processor has the instructions that the function is compiled for.
        unsafe { mirror_ssse3(row, out) }
    } else {
        0
    };
    #[cfg(not(target_arch = "x86_64"))]
    let done = 0;
    for at in (done..row.len()).step_by(RGB) {
        let from = row.len() - RGB - at;
        out[at..at + RGB].copy_from_slice(&row[from..from + RGB]);
    }
}

/// Mirrors five pixels with one shuffle, as long as there are sixteen bytes; the sixteenth is overwritten by the next. Returns
/// the bytes of `out` that are done.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "ssse3")]
fn mirror_ssse3(row: &[u8], out: &mut [u8]) -> usize {
    use std::arch::x86_64::{_mm_loadu_si128, _mm_setr_epi8, _mm_shuffle_epi8, _mm_storeu_si128};
    let order = _mm_setr_epi8(13, 14, 15, 10, 11, 12, 7, 8, 9, 4, 5, 6, 1, 2, 3, 0);
    let mut done = 0;
    while done + 16 <= row.len() {
        let from = &row[row.len() - done - 16..][..16];
        let to = &mut out[done..][..16];
        // SAFETY: both slices are 16 bytes long, and neither load nor store asks for alignment.
        unsafe {
            let pixels = _mm_loadu_si128(from.as_ptr().cast());
            _mm_storeu_si128(to.as_mut_ptr().cast(), _mm_shuffle_epi8(pixels, order));
        }
        done += 15;
    }
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mirrored_row_has_its_pixels_from_last_to_first() {
        for pixels in 1..40 {
            let row: Vec<u8> = (0..pixels * 3).collect();
            let mut out = vec![0; row.len()];
            mirror(&row, &mut out);
            let expected: Vec<u8> = row.chunks(3).rev().flatten().copied().collect();
            assert_eq!(out, expected);
        }
    }
}
