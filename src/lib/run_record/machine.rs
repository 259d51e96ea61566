//! What of a machine can change a result's last bits.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::difference::{MACHINE, differences};

/// What a run computes on. The same seed gives the same bytes where all of this is equal. How many
/// workers load the clips changes nothing and is no part of it.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(default)]
pub struct Machine {
    /// Threads of a tensor operation.
    pub threads: usize,
    /// `native`, or the instruction set that was asked for.
    pub instructions: String,
    /// The instruction set of libtorch's own operators, as libtorch calls it.
    pub libtorch_instructions: String,
    /// The instruction set of the fused operators' loops.
    pub fused_instructions: String,
    /// `cpu`, or `cuda` and the GPU's name.
    pub device: String,
    /// libtorch's version.
    pub libtorch: String,
    /// This crate's version.
    pub incdec: String,
}

impl Machine {
    /// In what this machine differs from the one that computes now.
    #[must_use]
    pub fn differences(&self, now: &Self) -> Vec<String> {
        differences(MACHINE, self, now)
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {}, {} instructions (libtorch {}, fused operators {}), {}, libtorch {}, incdec {}",
            self.threads,
            if self.threads == 1 {
                "thread"
            } else {
                "threads"
            },
            self.instructions,
            self.libtorch_instructions,
            self.fused_instructions,
            self.device,
            self.libtorch,
            self.incdec
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn machines_differ_by_name() {
        let here = Machine {
            threads: 1,
            device: "cpu".into(),
            ..Machine::default()
        };
        let there = Machine {
            threads: 4,
            ..here.clone()
        };
        assert_eq!(
            there.differences(&here),
            ["machine.threads: 4 there, 1 now"]
        );
        assert!(here.differences(&here).is_empty());
        assert!(here.to_string().starts_with("1 thread, "));
    }
}
