//! NCCL, which exchanges what lies on GPUs without the way through host memory: a library of its own (`nccl/nccl.cpp`, built by
//! `make nccl`) that is loaded where a GPU is computed on, and nowhere else.

use std::ffi::{CStr, c_char, c_void};
use std::mem;
use std::path::{Path, PathBuf};
use std::time::Duration;

use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};

use super::c10d::{Close, Connections, Said, Store, Wait, milliseconds, number, said};
use crate::hint::Hint;

/// The library's file.
pub const LIBRARY: &str = "libincdec_nccl.so";
/// What PyTorch's group over NCCL reads from the environment when it is made. Left to itself it ends the process when a rank is
/// lost; here beats find that, and every rank says who it was.
pub const ENVIRONMENT: [(&str, &str); 2] = [
    ("TORCH_NCCL_ASYNC_ERROR_HANDLING", "0"),
    ("TORCH_NCCL_ENABLE_MONITORING", "0"),
];

/// The environment variable that says which host NCCL takes this one for. Ranks that differ in it may have the same GPU: NCCL
/// then exchanges their tensors as those of two hosts, over sockets.
pub const HOST: &str = "NCCL_HOSTID";

/// What tells a GPU from all others, as NCCL sees them.
pub(super) type Uuid = [u8; 16];

type GpuOf = unsafe extern "C" fn(i32, *mut u8) -> *mut c_char;
type Open = unsafe extern "C" fn(*mut c_void, i32, i32, i32, i64, *mut *mut c_void) -> *mut c_char;

/// The loaded library.
#[derive(Clone, Copy, Debug)]
pub struct Nccl {
    gpu: GpuOf,
    open: Open,
    wait: Wait,
    close: Close,
}

/// Why NCCL cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum NcclError {
    /// There is no such file.
    #[error("there is neither {} nor {}", .0[0].display(), .0[1].display())]
    Absent([PathBuf; 2]),
    /// The file cannot be loaded.
    #[error("{} cannot be loaded: {reason}", .path.display())]
    Unloadable {
        /// The file.
        path: PathBuf,
        /// What the system's loader said.
        reason: String,
    },
    /// The library is another one, or of another version.
    #[error("{} has no function {function}", .path.display())]
    Lacks {
        /// The file.
        path: PathBuf,
        /// What was looked for in it.
        function: String,
    },
}

impl Hint for NcclError {
    fn hint(&self) -> Option<String> {
        Some(match self {
            Self::Absent(_) => "make nccl builds it (into target/lib)".into(),
            Self::Unloadable { .. } => {
                "it needs the libtorch that the program uses, with its CUDA libraries: make setup DEVICE=cuda".into()
            }
            Self::Lacks { .. } => "build it anew: make nccl".into(),
        })
    }
}

impl Nccl {
    /// Loads the library that lies beside `program`, or in the folder `lib` beside that of `program`. libtorch's CUDA half must
    /// have been loaded before.
    ///
    /// # Errors
    /// When there is none, it cannot be loaded, or it has not the functions of this version.
    pub fn load(program: &Path) -> Result<Self, NcclError> {
        let folder = program.parent().unwrap_or(program);
        let installed = folder.parent().unwrap_or(folder).join("lib");
        let places = [folder.join(LIBRARY), installed.join(LIBRARY)];
        let Some(path) = places.iter().find(|path| path.exists()) else {
            return Err(NcclError::Absent(places));
        };
        // SAFETY: the library is ours; its initialisers are those of libtorch's headers, which the program has run for itself.
        let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) }.map_err(|e| {
            NcclError::Unloadable {
                path: path.clone(),
                reason: e.to_string(),
            }
        })?;
        // SAFETY: the types are those of `nccl.cpp`.
        let nccl = unsafe {
            Self {
                gpu: function(&library, path, c"incdec_nccl_gpu")?,
                open: function(&library, path, c"incdec_nccl_open")?,
                wait: function(&library, path, c"incdec_nccl_wait")?,
                close: function(&library, path, c"incdec_nccl_close")?,
            }
        };
        // Threads of NCCL run in it until the process ends.
        mem::forget(library);
        Ok(nccl)
    }

    /// What tells GPU number `gpu` of this process from all others, on the host that [`HOST`] names.
    pub(super) fn uuid(&self, gpu: usize, host: Option<&str>) -> Said<Uuid> {
        let gpu = number(gpu)?;
        let mut uuid = Uuid::default();
        // SAFETY: the function writes as many bytes as there are.
        said(unsafe { (self.gpu)(gpu, uuid.as_mut_ptr()) })?;
        Ok(host.map_or(uuid, |host| of_host(uuid, host)))
    }

    /// Connects the GPUs of all ranks, of which this rank's is number `gpu` of its process.
    pub(super) fn connect(
        &self,
        store: &Store,
        rank: usize,
        size: usize,
        gpu: usize,
        timeout: Duration,
    ) -> Said<Connections> {
        let (rank, of, gpu) = (number(rank)?, number(size)?, number(gpu)?);
        let timeout = milliseconds(timeout);
        // SAFETY: the store is live, the group counts a reference to it; the group is set where there is no message.
        let open = |raw| unsafe { (self.open)(store.0, rank, of, gpu, timeout, raw) };
        Connections::opened(open, size, self.wait, self.close)
    }
}

/// What tells a GPU of this host, as [`HOST`] names it, from those of others.
fn of_host(uuid: Uuid, host: &str) -> Uuid {
    let mut told = Uuid::default();
    let mut hasher = blake3::Hasher::new();
    hasher
        .update(&uuid)
        .update(host.as_bytes())
        .finalize_xof()
        .fill(&mut told);
    told
}

/// The function of this name.
///
/// # Safety
/// `F` must be its type.
unsafe fn function<F: Copy>(library: &Library, path: &Path, name: &CStr) -> Result<F, NcclError> {
    // SAFETY: the caller vouches for the type.
    let found = unsafe { library.get::<F>(name.to_bytes_with_nul()) };
    found.map(|symbol| *symbol).map_err(|_| NcclError::Lacks {
        path: path.to_owned(),
        function: name.to_string_lossy().into_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::of_host;

    #[test]
    fn a_gpu_is_another_on_every_host_that_is_named() {
        let (a, b) = ([1; 16], [2; 16]);
        let all = [of_host(a, "x"), of_host(a, "y"), of_host(b, "x"), a];
        for (i, one) in all.iter().enumerate() {
            assert!(all[..i].iter().all(|other| other != one));
        }
        assert_eq!(of_host(a, "x"), all[0]);
    }
}
