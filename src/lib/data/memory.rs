//! Memory for batches: large, short-lived, written once from end to end.
//!
//! The allocator takes such blocks from the system anew each time, and the system clears them page by page when they are first
//! touched. With pages of 4 KiB that costs several times what filling them does (11 ms for the floats of a clip of 50 frames
//! of 172 x 172, against 2.6 ms with pages of 2 MiB), so large pages are asked for.

use std::ffi::{c_char, c_void};
use std::ptr;

use tch::{Device, Kind, TchError, Tensor};

use crate::exception::said;

/// Size of a large page, in bytes.
const HUGE_PAGE_BYTES: usize = 2 << 20;

unsafe extern "C" {
    fn incdec_pinned_bytes(sizes: *const i64, count: usize, out: *mut *mut c_void) -> *mut c_char;
}

/// A contiguous tensor in host memory with content yet to be written.
///
/// # Panics
/// When memory is short.
pub fn empty(shape: &[i64], kind: Kind) -> Tensor {
    try_empty(shape, kind).unwrap_or_else(|error| panic!("{error}"))
}

/// As [`empty`].
///
/// # Errors
/// What libtorch says where memory is short.
pub(super) fn try_empty(shape: &[i64], kind: Kind) -> Result<Tensor, TchError> {
    let tensor = Tensor::f_empty(shape, (kind, Device::Cpu))?;
    let bytes = tensor.numel() * kind.elt_size_in_bytes();
    prefer_huge_pages(tensor.data_ptr(), bytes);
    Ok(tensor)
}

/// Bytes in page-locked memory with content yet to be written. tch's own way there names a device, against which libtorch warns
/// at every batch.
///
/// # Errors
/// What libtorch says where there is no GPU, or no such memory left.
pub(super) fn pinned_bytes(shape: &[i64]) -> Result<Tensor, TchError> {
    let mut out = ptr::null_mut();
    // SAFETY: the sizes are those of a live slice; the callee catches every exception.
    let message = unsafe { incdec_pinned_bytes(shape.as_ptr(), shape.len(), &raw mut out) };
    // SAFETY: the message is the call's.
    unsafe { said(message) }.map_err(TchError::Torch)?;
    // SAFETY: without a message `out` is a new tensor that is ours.
    Ok(unsafe { Tensor::from_ptr(out.cast()) })
}

/// Asks for large pages for those that lie within the `bytes` at `start`. Where the system has none, nothing changes.
fn prefer_huge_pages(start: *mut c_void, bytes: usize) {
    let skip = start.align_offset(HUGE_PAGE_BYTES);
    let whole = bytes.saturating_sub(skip) / HUGE_PAGE_BYTES * HUGE_PAGE_BYTES;
    if whole == 0 {
        return;
    }
    #[cfg(target_os = "linux")]
    // SAFETY: the range lies within an allocation that the caller owns, and the advice changes no content.
    unsafe {
        use rustix::mm::{Advice, madvise};
        // Only advice: a system that refuses it works as before.
        let _ = madvise(start.byte_add(skip), whole, Advice::LinuxHugepage);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn page_locked_memory_is_had_where_there_is_a_gpu_and_an_error_elsewhere() {
        match pinned_bytes(&[2, 3]) {
            Ok(mut bytes) => {
                assert_eq!((bytes.size(), bytes.kind()), (vec![2, 3], Kind::Uint8));
                assert_eq!(bytes.fill_(7).sum(Kind::Int64).int64_value(&[]), 42);
            }
            Err(TchError::Torch(text)) => assert!(!tch::Cuda::is_available(), "{text}"),
            Err(other) => panic!("{other}"),
        }
    }

    #[test]
    fn memory_of_any_size_can_be_written_from_end_to_end() {
        for megabytes in [0, 1, 2, 9] {
            let mut tensor = empty(&[megabytes << 20], Kind::Uint8);
            let _ = tensor.fill_(7);
            let sum = tensor.sum(Kind::Int64).int64_value(&[]);
            assert_eq!(sum, 7 * (megabytes << 20));
        }
    }
}
