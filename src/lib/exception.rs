//! Exceptions of our C++ (`exception/guarded.h` catches them), as errors.

use std::ffi::{CStr, c_char, c_void};

unsafe extern "C" {
    fn free(memory: *mut c_void);
}

/// Takes the message that a call gave, if any: what was thrown, with libtorch's backtrace behind the first line.
///
/// # Safety
/// `message` must be null or what `guarded` gave, and nobody else may take it.
pub(crate) unsafe fn said(message: *mut c_char) -> Result<(), String> {
    if message.is_null() {
        return Ok(());
    }
    // SAFETY: a message is a C string from malloc that is ours to free, once.
    Err(unsafe {
        let text = CStr::from_ptr(message).to_string_lossy().into_owned();
        free(message.cast());
        text
    })
}
