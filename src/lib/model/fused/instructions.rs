//! Which instructions the network computes with, and which libraries.

use std::ffi::{CStr, c_char};

use crate::choice::choice;

unsafe extern "C" {
    fn incdec_libtorch_version() -> *const c_char;
    fn incdec_libtorch_instructions() -> *const c_char;
    fn incdec_fused_instructions() -> *const c_char;
    fn incdec_cudnn_version() -> i64;
    fn incdec_peak_gpu_bytes(device: i64) -> i64;
}

choice! {
    /// The instructions that may be used.
    #[derive(Default)]
    pub enum Instructions: "instruction set" {
        /// The best that the processor has.
        #[default]
        Native = "native",
        /// AVX2 and FMA, which every x86-64-v3 processor has: the same sums in the same order on
        /// all of them.
        Avx2 = "avx2",
    }
}

impl Instructions {
    /// The environment variables by which libtorch and the libraries within it (oneDNN, MKL) are
    /// asked for these instructions. Each is read once, when the first tensor is computed: a
    /// program sets them before that.
    #[must_use]
    pub fn environment(self) -> &'static [(&'static str, &'static str)] {
        match self {
            Self::Native => &[],
            // MKL's own AVX2 branch is for Intel's processors alone.
            Self::Avx2 => &[
                ("ATEN_CPU_CAPABILITY", "avx2"),
                ("ONEDNN_MAX_CPU_ISA", "AVX2"),
                ("MKL_CBWR", "COMPATIBLE"),
            ],
        }
    }

    /// Whether this processor has them.
    #[must_use]
    pub fn are_there(self) -> bool {
        match self {
            Self::Native => true,
            #[cfg(target_arch = "x86_64")]
            Self::Avx2 => is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma"),
            #[cfg(not(target_arch = "x86_64"))]
            Self::Avx2 => false,
        }
    }

    /// Whether they are what libtorch computes with in this process.
    #[must_use]
    pub fn are_in_use(self) -> bool {
        self == Self::Native || libtorch_instructions() == "AVX2"
    }
}

/// A text that lives as long as the process.
///
/// # Safety
/// `text` must be such a C string.
unsafe fn text(text: *const c_char) -> String {
    // SAFETY: the caller's promise.
    unsafe { CStr::from_ptr(text) }
        .to_string_lossy()
        .into_owned()
}

/// libtorch's version.
#[must_use]
pub fn libtorch_version() -> String {
    // SAFETY: the function gives a text that is compiled in.
    unsafe { text(incdec_libtorch_version()) }
}

/// The instruction set of libtorch's own operators on the processor, as libtorch calls it:
/// `AVX512`, `AVX2`, `DEFAULT`, ...
#[must_use]
pub fn libtorch_instructions() -> String {
    // SAFETY: the function gives a text that is made once.
    unsafe { text(incdec_libtorch_instructions()) }
}

/// The instruction set of the fused operators' loops: `avx512`, `avx2` or `plain`.
#[must_use]
pub fn fused_instructions() -> String {
    // SAFETY: the function gives a text that is compiled in.
    unsafe { text(incdec_fused_instructions()) }
}

/// The version of cuDNN as it counts them (91002 is 9.10.2), where libtorch sees a GPU.
#[must_use]
pub fn cudnn_version() -> Option<i64> {
    // SAFETY: the function reads a number and catches every exception.
    Some(unsafe { incdec_cudnn_version() }).filter(|version| *version > 0)
}

/// Most bytes of GPU `index` that tensors of this process have held at once so far.
#[must_use]
pub fn peak_gpu_bytes(index: usize) -> Option<u64> {
    let index = i64::try_from(index).ok()?;
    // SAFETY: the function reads a number and catches every exception.
    let bytes = unsafe { incdec_peak_gpu_bytes(index) };
    u64::try_from(bytes).ok().filter(|bytes| *bytes > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_read_as_they_are_written() {
        for instructions in [Instructions::Native, Instructions::Avx2] {
            assert_eq!(
                instructions.to_string().parse::<Instructions>().unwrap(),
                instructions
            );
        }
        let unknown = "sse".parse::<Instructions>().unwrap_err().to_string();
        assert!(unknown.contains("native, avx2"), "{unknown}");
    }

    #[test]
    fn without_a_gpu_nothing_has_been_held_there() {
        assert_eq!(peak_gpu_bytes(4096), None);
    }

    #[test]
    fn the_loops_follow_libtorch() {
        let loops = match libtorch_instructions().as_str() {
            "AVX512" => "avx512",
            "AVX2" => "avx2",
            _ => "plain",
        };
        assert_eq!(fused_instructions(), loops);
        assert!(libtorch_version().starts_with(|c: char| c.is_ascii_digit()));
    }
}
