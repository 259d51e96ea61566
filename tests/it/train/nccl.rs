//! The library of NCCL, as it is found, loaded and refused; what it does on GPUs, `world` and `ranks` show where there are any.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use incdec::hint::Hint;
use incdec::train::world::nccl::{ENVIRONMENT, LIBRARY, Nccl, NcclError};
use tempfile::TempDir;

use crate::support::{self, root};

/// A folder with `bin/program` and `lib`.
fn installed() -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    for name in ["bin", "lib"] {
        fs::create_dir(folder.path().join(name)).unwrap();
    }
    let program = folder.path().join("bin/program");
    (folder, program)
}

/// A library of C's, which is loaded already.
fn library_of_c() -> PathBuf {
    let maps = fs::read_to_string("/proc/self/maps").unwrap();
    let paths = maps
        .lines()
        .filter_map(|line| line.split_whitespace().nth(5));
    let mut found = paths.filter(|path| path.contains("/libm.so") || path.contains("/libm-"));
    found.next().unwrap().into()
}

#[test]
fn where_the_library_is_absent_both_places_are_named_and_how_to_get_it() {
    let (folder, program) = installed();
    let error = Nccl::load(&program).unwrap_err();
    assert!(matches!(error, NcclError::Absent(_)));
    for place in ["bin", "lib"] {
        let path = folder.path().join(place).join(LIBRARY);
        assert!(
            error.to_string().contains(path.to_str().unwrap()),
            "{error}"
        );
    }
    assert!(error.hint().unwrap().contains("make nccl"));
}

#[test]
fn a_file_that_is_no_library_is_an_error_with_its_path() {
    for content in [
        "",
        "no library at all, and longer than a header of one would have to be",
    ] {
        let (folder, program) = installed();
        let path = folder.path().join("lib").join(LIBRARY);
        fs::write(&path, content).unwrap();
        let said = Nccl::load(&program).unwrap_err().to_string();
        let expected = format!("{} cannot be loaded: ", path.display());
        assert!(said.starts_with(&expected), "{said}");
    }
}

#[test]
fn a_library_that_lies_beside_the_program_comes_first_and_must_have_the_functions() {
    let (folder, program) = installed();
    let path = folder.path().join("bin").join(LIBRARY);
    symlink(library_of_c(), &path).unwrap();
    fs::write(folder.path().join("lib").join(LIBRARY), "").unwrap();
    let said = Nccl::load(&program).unwrap_err().to_string();
    let expected = format!("{} has no function incdec_nccl_gpu", path.display());
    assert_eq!(said, expected);
}

#[test]
#[cfg_attr(
    not(nccl),
    ignore = "the library of NCCL was not there when this was built: `make nccl` builds it"
)]
fn the_library_that_was_built_exports_what_is_looked_up_and_loads_or_says_why() {
    let places = ["target/lib", "lib"].map(|folder| root().join(folder).join(LIBRARY));
    let path = places.iter().find(|path| path.exists());
    let path =
        path.expect("the library of NCCL has gone since this was built: `make nccl` builds it");
    let bytes = fs::read(path).unwrap();
    for name in ["gpu", "open", "wait", "close"] {
        let name = format!("\0incdec_nccl_{name}\0");
        let found = bytes.windows(name.len()).any(|w| w == name.as_bytes());
        assert!(found, "{} lacks {name:?}", path.display());
    }
    // libtorch's CUDA half comes first, where there is a GPU.
    let on_gpu = support::device() != tch::Device::Cpu;
    match Nccl::load(&path.with_file_name("program")) {
        Ok(_) => support::say("the library of NCCL can be loaded here"),
        Err(error) => {
            assert!(!on_gpu, "{error}");
            let said = error.to_string();
            assert!(said.contains(path.to_str().unwrap()) && said.contains("cannot be loaded"));
            support::say(&format!("as it must be without a GPU: {said}"));
        }
    }
}

/// PyTorch's header of its process group over NCCL.
#[cfg(nccl_header)]
const HEADER: &str = include_str!(env!("INCDEC_NCCL_HEADER"));
#[cfg(not(nccl_header))]
const HEADER: &str = "";

#[test]
#[cfg_attr(
    not(nccl_header),
    ignore = "this libtorch has no header of the process group over NCCL"
)]
fn what_pytorch_reads_from_the_environment_keeps_it_from_ending_the_process() {
    for (name, _) in ENVIRONMENT {
        assert!(HEADER.contains(&format!("\"{name}\"")), "{name}");
    }
    assert!(HEADER.contains("NoHandling = 0"));
}
