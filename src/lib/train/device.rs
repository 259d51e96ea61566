//! Where a run computes: the choice, the GPU that it stands for, and whether bfloat16 pays there.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::str::FromStr;
use std::sync::Once;

use tch::{Cuda, Device};

use super::TrainError;
use crate::model::{Precision, exact_convolutions, processor_has_bf16};

/// libtorch's CUDA half. Nothing links it, since it is of no use (and cannot even be loaded) where there is no GPU.
const CUDA_LIBRARY: &CStr = c"libtorch_cuda.so";
/// `RTLD_NOW | RTLD_GLOBAL` of dlfcn.h on Linux: resolve everything now, for every library loaded later.
const NOW_AND_GLOBAL: c_int = 0x2 | 0x100;

unsafe extern "C" {
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
}

/// Where the model computes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DeviceChoice {
    /// The first GPU where there is one, otherwise the processor.
    #[default]
    Auto,
    /// The processor.
    Cpu,
    /// The GPU with this index.
    Cuda(usize),
}

impl fmt::Display for DeviceChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(index) => write!(f, "cuda:{index}"),
        }
    }
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "cpu" => Ok(Self::Cpu),
            "cuda" => Ok(Self::Cuda(0)),
            _ => text
                .strip_prefix("cuda:")
                .and_then(|index| index.parse().ok())
                .map(Self::Cuda)
                .ok_or_else(|| format!("{text:?} is no device: expected auto, cpu or cuda:N")),
        }
    }
}

impl DeviceChoice {
    /// The device that the choice stands for.
    ///
    /// # Errors
    /// [`TrainError::Device`] when there is no such GPU.
    pub fn find(self) -> Result<Device, TrainError> {
        if self == Self::Cpu {
            return Ok(Device::Cpu);
        }
        load_cuda();
        match self {
            Self::Cuda(index) => {
                let found = Cuda::device_count();
                if i64::try_from(index).is_ok_and(|index| index < found) {
                    Ok(Device::Cuda(index))
                } else {
                    Err(TrainError::Device { index, found })
                }
            }
            _ => Ok(Device::cuda_if_available()),
        }
    }

    /// [`DeviceChoice::find`] for computing in `precision`.
    ///
    /// # Errors
    /// Also [`TrainError::Bf16`], for bfloat16 on a processor without instructions for it.
    pub fn find_for(self, precision: Precision) -> Result<Device, TrainError> {
        let device = self.find()?;
        if precision == Precision::Bf16 && device == Device::Cpu && !processor_has_bf16() {
            return Err(TrainError::Bf16);
        }
        Ok(device)
    }
}

/// Loads libtorch's CUDA half, once, where it lies beside the rest and can be loaded. Without it libtorch sees no GPU.
fn load_cuda() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the name is a C string; the library is libtorch's own, whose initialisers register its operators with the
        // libtorch that is already loaded.
        let handle = unsafe { dlopen(CUDA_LIBRARY.as_ptr(), NOW_AND_GLOBAL) };
        if handle.is_null() {
            tracing::debug!("libtorch's CUDA half cannot be loaded here");
        }
        exact_convolutions();
    });
}

/// Waits until a GPU has done what it was asked for; the processor always has.
pub fn synchronize(device: Device) {
    if let Device::Cuda(index) = device {
        Cuda::synchronize(i64::try_from(index).unwrap_or(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_reads_as_it_is_written() {
        for choice in [DeviceChoice::Auto, DeviceChoice::Cpu, DeviceChoice::Cuda(3)] {
            assert_eq!(choice.to_string().parse(), Ok(choice));
        }
        assert_eq!("cuda".parse(), Ok(DeviceChoice::Cuda(0)));
        assert!(
            "gpu"
                .parse::<DeviceChoice>()
                .unwrap_err()
                .contains("cuda:N")
        );
    }

    #[test]
    fn a_gpu_that_is_not_there_is_refused() {
        let refused = DeviceChoice::Cuda(4096).find().unwrap_err();
        assert!(matches!(refused, TrainError::Device { index: 4096, .. }));
    }

    #[test]
    fn bfloat16_is_refused_exactly_where_the_processor_does_not_have_it() {
        let found = DeviceChoice::Cpu.find_for(Precision::Bf16);
        assert_eq!(found.is_ok(), processor_has_bf16());
        assert!(DeviceChoice::Cpu.find_for(Precision::F32).is_ok());
    }
}
