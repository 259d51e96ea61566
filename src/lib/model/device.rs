//! Where a model computes: the choice, the GPU that it stands for, and whether bfloat16 pays there.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::fmt;
use std::str::FromStr;
use std::sync::Once;

use tch::{Cuda, Device};

use super::fused::exact_convolutions;
use super::instructions::cudnn_version;
use super::precision::{Precision, processor_has_bf16};
use crate::hint::Hint;

/// libtorch's CUDA half. Nothing links it, since it is of no use (and cannot even be loaded) where
/// there is no GPU.
const CUDA_LIBRARY: &CStr = c"libtorch_cuda.so";
/// `RTLD_NOW | RTLD_GLOBAL` of dlfcn.h on Linux: resolve everything now, for every library loaded
/// later.
const NOW_AND_GLOBAL: c_int = 0x2 | 0x100;

/// The driver's own library.
const CUDA_DRIVER: &CStr = c"libcuda.so.1";
/// Room for a GPU's name.
const GPU_NAME_BYTES: usize = 256;

unsafe extern "C" {
    fn dlopen(file: *const c_char, flags: c_int) -> *mut c_void;
    fn dlsym(library: *mut c_void, name: *const c_char) -> *mut c_void;
}

/// Why a device cannot be computed on.
#[derive(Debug, thiserror::Error)]
pub enum DeviceError {
    /// There is no such device.
    #[error("there is no device cuda:{index}: libtorch sees {found} GPUs")]
    Absent {
        /// The GPU that was asked for.
        index: usize,
        /// How many there are.
        found: i64,
    },
    /// bfloat16 on a processor that has no instructions for it.
    #[error(
        "bfloat16 would be slower than 32-bit floats here: this processor has neither avx512_bf16 nor amx_bf16"
    )]
    Bf16,
}

impl Hint for DeviceError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Absent { .. } => "use --device cpu, or set up a GPU build: `make setup DEVICE=cuda`, then `make doctor`".into(),
            Self::Bf16 => "leave --precision bf16 out, or compute on a GPU with --device cuda:0".into(),
        })
    }
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
    /// [`DeviceError::Absent`] when there is no such GPU.
    pub fn find(self) -> Result<Device, DeviceError> {
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
                    Err(DeviceError::Absent { index, found })
                }
            }
            _ => Ok(Device::cuda_if_available()),
        }
    }

    /// [`DeviceChoice::find`] for computing in `precision`.
    ///
    /// # Errors
    /// Also [`DeviceError::Bf16`], for bfloat16 on a processor without instructions for it.
    pub fn find_for(self, precision: Precision) -> Result<Device, DeviceError> {
        let device = self.find()?;
        if precision == Precision::Bf16 && device == Device::Cpu && !processor_has_bf16() {
            return Err(DeviceError::Bf16);
        }
        Ok(device)
    }
}

/// Loads libtorch's CUDA half, once, where it lies beside the rest and can be loaded. Without it
/// libtorch sees no GPU.
fn load_cuda() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        // SAFETY: the name is a C string; the library is libtorch's own, whose initialisers
        // register its operators with the libtorch that is already loaded.
        let handle = unsafe { dlopen(CUDA_LIBRARY.as_ptr(), NOW_AND_GLOBAL) };
        if handle.is_null() {
            tracing::debug!("libtorch's CUDA half cannot be loaded here");
        }
        exact_convolutions();
    });
}

/// The kind of device as `settings.json` has it: `cpu`, or `cuda` with the GPU's name and the
/// version of cuDNN.
#[must_use]
pub fn kind(device: Device) -> String {
    let Device::Cuda(index) = device else {
        return "cpu".to_owned();
    };
    let name = gpu_name(index).unwrap_or_else(|| "unknown GPU".to_owned());
    match cudnn_version() {
        Some(version) => format!("cuda {name}, cuDNN {version}"),
        None => format!("cuda {name}"),
    }
}

/// The name of a GPU, as its driver has it.
fn gpu_name(index: usize) -> Option<String> {
    type GetDevice = unsafe extern "C" fn(*mut c_int, c_int) -> c_int;
    type GetName = unsafe extern "C" fn(*mut c_char, c_int, c_int) -> c_int;
    let index = c_int::try_from(index).ok()?;
    let mut name: [c_char; GPU_NAME_BYTES] = [0; GPU_NAME_BYTES];
    // SAFETY: the two functions of the driver's library have had these types since its first
    // version; libtorch has initialised the driver when it counted the GPUs. The name is cut to the
    // buffer and ends with a 0.
    unsafe {
        let driver = dlopen(CUDA_DRIVER.as_ptr(), NOW_AND_GLOBAL);
        if driver.is_null() {
            return None;
        }
        let [get, name_of] =
            [c"cuDeviceGet", c"cuDeviceGetName"].map(|f| dlsym(driver, f.as_ptr()));
        if get.is_null() || name_of.is_null() {
            return None;
        }
        let get = std::mem::transmute::<*mut c_void, GetDevice>(get);
        let name_of = std::mem::transmute::<*mut c_void, GetName>(name_of);
        let mut device = 0;
        let room = c_int::try_from(GPU_NAME_BYTES - 1).ok()?;
        if get(&raw mut device, index) != 0 || name_of(name.as_mut_ptr(), room, device) != 0 {
            return None;
        }
        Some(CStr::from_ptr(name.as_ptr()).to_string_lossy().into_owned())
    }
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
        assert!(matches!(refused, DeviceError::Absent { index: 4096, .. }));
    }

    #[test]
    fn bfloat16_is_refused_exactly_where_the_processor_does_not_have_it() {
        let found = DeviceChoice::Cpu.find_for(Precision::Bf16);
        assert_eq!(found.is_ok(), processor_has_bf16());
        assert!(DeviceChoice::Cpu.find_for(Precision::F32).is_ok());
    }
}
