//! In which floats the network computes, and where the narrower ones pay.

use std::fs;

use crate::choice::choice;

/// Flags of /proc/cpuinfo that stand for instructions on bfloat16.
const BF16_FLAGS: [&str; 2] = ["avx512_bf16", "amx_bf16"];

choice! {
    /// The floats that pixels and weights meet in. Variables, statistics and the head are 32-bit
    /// floats in either.
    #[derive(Default)]
    pub enum Precision: "precision" {
        /// 32-bit floats.
        #[default]
        F32 = "f32",
        /// bfloat16: half the memory traffic, 8 bits of mantissa.
        Bf16 = "bf16",
    }
}

/// Whether this machine's processor computes in bfloat16 itself. Without that libtorch converts
/// value by value, which is slower than 32-bit floats by far. False where the system does not tell.
#[must_use]
pub fn processor_has_bf16() -> bool {
    fs::read_to_string("/proc/cpuinfo").is_ok_and(|text| flags_have_bf16(&text))
}

fn flags_have_bf16(cpuinfo: &str) -> bool {
    cpuinfo
        .lines()
        .filter(|line| line.starts_with("flags"))
        .flat_map(str::split_whitespace)
        .any(|flag| BF16_FLAGS.contains(&flag))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_processor_says_by_its_flags_whether_it_has_bf16() {
        let zen3 = "processor\t: 0\nmodel name\t: AMD EPYC\nflags\t\t: fpu avx avx2 fma bmi2\n";
        assert!(!flags_have_bf16(zen3));
        assert!(flags_have_bf16(
            "flags\t\t: fpu avx512f avx512_bf16 avx512_vnni\n"
        ));
        assert!(flags_have_bf16("flags : amx_bf16\n"));
        assert!(!flags_have_bf16("model name : avx512_bf16\n"));
        assert!(!flags_have_bf16(""));
    }
}
