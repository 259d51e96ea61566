//! Sets the run path of every binary, test and doctest to the libtorch that is linked, so
//! that none of them needs `LD_LIBRARY_PATH`, keeps libtorch out of the binaries that do not
//! compute with it, and builds the model's fused operators against its headers.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The loops of the fused operators.
const KERNELS: &str = "src/lib/model/fused/kernels";
/// The operators themselves, against libtorch's headers.
const OPERATORS: &str = "src/lib/model/fused/libtorch";
/// The binding to PyTorch's process groups, with the declarations that the wheel lacks.
const C10D: &str = "src/lib/train/world/c10d";
/// How exceptions of either become messages.
const EXCEPTION: &str = "src/lib/exception";
/// Instruction sets that the loops are compiled for; the processor decides at run time which are
/// used.
const INSTRUCTION_SETS: [(&str, &[&str]); 3] = [
    ("plain", &[]),
    ("avx2", &["-mavx2", "-mfma"]),
    (
        "avx512",
        &[
            "-mavx2",
            "-mfma",
            "-mavx512f",
            "-mavx512vl",
            "-mavx512dq",
            "-mavx512bw",
        ],
    ),
];

/// The binaries that compute with no tensor.
const WITHOUT_TORCH: [&str; 12] = [
    "own-data",
    "clean",
    "erase",
    "download",
    "decode",
    "manifest",
    "tasks",
    "report",
    "toy",
    "experiment",
    "bench",
    "bench-decode",
];

/// The names that Chromium goes by, which shows the report's page to a test.
const BROWSERS: [&str; 4] = [
    "chromium",
    "chromium-browser",
    "google-chrome",
    "google-chrome-stable",
];

/// The object store that tests start, in the virtual environment of the tests' python.
const SEAWEEDFS: &str = ".venv/bin/weed";

/// Slurm's daemons, of which a test starts one of each, as root.
const SLURM: [&str; 2] = ["slurmctld", "slurmd"];

/// What several processes exchange their GPUs' tensors over, where `make nccl` puts it.
const NCCL: &str = "target/lib/libincdec_nccl.so";
/// Where PyTorch declares which variables of the environment its process group over NCCL reads, below its headers.
const NCCL_HEADER: &str = "torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp";

/// The launcher of the full PyTorch wheel, and where `.ci/setup peers` puts it if it is not on the
/// path.
const TORCHRUN: &str = "torchrun";
const PEERS: &str = ".venv-peers/bin";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    look_for_programs();
    if std::env::var_os("CARGO_FEATURE_TORCH").is_none() {
        return;
    }
    let libtorch = libtorch();
    let lib = libtorch.lib.display();
    // First by the way from the binary, so that a checkout which moved as a whole still starts,
    // then where it lies now.
    for place in relative_run_paths(&libtorch.lib) {
        println!(
            "cargo:rustc-link-arg=-Wl,-rpath,$ORIGIN/{}",
            place.display()
        );
    }
    println!("cargo:rustc-link-arg=-Wl,-rpath,{lib}");
    // libtorch's libraries refer to inline functions that the C++ glue of torch-sys also has. A
    // linker takes that for a use of the glue, and with it of libtorch, in binaries that call
    // neither; hidden, it is seen to be unused and left out.
    for binary in WITHOUT_TORCH {
        println!("cargo:rustc-link-arg-bin=incdec-{binary}=-Wl,--exclude-libs,ALL");
    }
    let mut libraries = vec![process_groups(&libtorch.include)];
    libraries.extend(fused_operators(&libtorch.include));
    compile(&libraries);
    // libtorch comes last on the linker's line: it exports functions of libstdc++ that the static variables of its headers
    // call, which are kept in every binary.
    println!("cargo:rustc-link-search=native={lib}");
    for library in ["torch_cpu", "c10", "gomp"] {
        println!("cargo:rustc-link-lib={library}");
    }
}

/// Where libtorch's libraries and its headers lie.
struct Libtorch {
    lib: PathBuf,
    include: PathBuf,
}

/// Finds libtorch as torch-sys does where LIBTORCH is set, which .cargo/config.toml sees to. A dependency on torch-sys would
/// say where that found it, but our C++ would then be compiled after its own and not while other crates are.
fn libtorch() -> Libtorch {
    println!("cargo:rerun-if-env-changed=LIBTORCH_USE_PYTORCH");
    assert!(
        std::env::var_os("LIBTORCH_USE_PYTORCH").is_none(),
        "LIBTORCH_USE_PYTORCH is set, but libtorch is taken from LIBTORCH: unset the one, and set the other to the folder \
         of the python package torch"
    );
    let of = |name: &str| {
        println!("cargo:rerun-if-env-changed={name}");
        std::env::var_os(name).map(PathBuf::from)
    };
    let libtorch = of("LIBTORCH")
        .expect("LIBTORCH is not set: run cargo in the checkout, whose .cargo/config.toml sets it");
    let lib = of("LIBTORCH_LIB").unwrap_or_else(|| libtorch.clone());
    let include = of("LIBTORCH_INCLUDE").unwrap_or(libtorch);
    let found = Libtorch {
        lib: lib.join("lib"),
        include: include.join("include"),
    };
    for folder in [&found.lib, &found.include] {
        assert!(
            folder.is_dir(),
            "libtorch should lie in {}: `make setup` puts it where LIBTORCH points in this checkout",
            folder.display()
        );
    }
    found
}

/// Sets `chromium`, `slurm` and `torchrun` where these are on the path, `seaweedfs` where it is
/// installed, and `nccl` where that library has been built: the tests that need them are ignored, with
/// the reason, where they are not. What is installed later is seen once this file is touched, as
/// `.ci/setup browser cluster peers` and `.ci/nccl` do.
fn look_for_programs() {
    println!("cargo:rustc-check-cfg=cfg(chromium)");
    println!("cargo:rustc-check-cfg=cfg(slurm)");
    println!("cargo:rustc-check-cfg=cfg(torchrun)");
    println!("cargo:rustc-check-cfg=cfg(seaweedfs)");
    println!("cargo:rustc-check-cfg=cfg(nccl)");
    println!("cargo:rustc-check-cfg=cfg(nccl_header)");
    println!("cargo:rerun-if-env-changed=PATH");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    // Where systems keep their daemons, which is not on everybody's path.
    folders.push("/usr/sbin".into());
    let is_there = |name: &&str| folders.iter().any(|folder| folder.join(name).is_file());
    if BROWSERS.iter().any(is_there) {
        println!("cargo:rustc-cfg=chromium");
    }
    if Path::new(SEAWEEDFS).is_file() {
        println!("cargo:rustc-cfg=seaweedfs");
    }
    if Path::new(NCCL).is_file() {
        println!("cargo:rustc-cfg=nccl");
    }
    if SLURM.iter().all(is_there) && is_root() {
        println!("cargo:rustc-cfg=slurm");
    }
    folders.push(PEERS.into());
    if folders.iter().any(|folder| folder.join(TORCHRUN).is_file()) {
        println!("cargo:rustc-cfg=torchrun");
    }
}

/// Whether the build runs as root, and with it, mostly, the tests.
fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|own| own.uid() == 0)
}

/// The ways to `lib` from the folder of the binaries, and from that of tests and examples below it.
/// None where they have no folder in common.
fn relative_run_paths(lib: &Path) -> Vec<PathBuf> {
    // Cargo gives a build script target/<profile>/build/<package>/out.
    let out = PathBuf::from(std::env::var_os("OUT_DIR").unwrap_or_default());
    let Some(binaries) = out.ancestors().nth(3) else {
        return Vec::new();
    };
    [binaries.to_owned(), binaries.join("deps")]
        .iter()
        .filter_map(|folder| relative(folder, lib))
        .collect()
}

/// The way from the folder `from` to `to`, both absolute.
fn relative(from: &Path, to: &Path) -> Option<PathBuf> {
    let common = from.ancestors().find(|folder| to.starts_with(folder))?;
    // The root alone says nothing about what moves together.
    common.parent()?;
    let up = from.strip_prefix(common).ok()?.components();
    let down = to.strip_prefix(common).ok()?;
    Some(up.map(|_| "..").collect::<PathBuf>().join(down))
}

/// The C++ files of a folder, sorted. The build runs again when anything in the folder changes.
fn sources(folder: &str) -> Vec<PathBuf> {
    println!("cargo:rerun-if-changed={folder}");
    let entries = std::fs::read_dir(folder).unwrap_or_else(|e| panic!("list {folder}: {e}"));
    let mut sources: Vec<PathBuf> = entries
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "cpp"))
        .collect();
    sources.sort();
    sources
}

/// A library of C++ to be linked: its name, and how its files are compiled.
struct Library {
    name: String,
    build: cc::Build,
}

impl Library {
    /// A library with a folder of its own for what is compiled: cc names an object after its source alone, and one source is
    /// in several of them.
    fn new(name: &str, mut build: cc::Build) -> Self {
        let out = std::env::var_os("OUT_DIR").unwrap_or_default();
        build.out_dir(Path::new(&out).join(name));
        Self {
            name: name.to_owned(),
            build,
        }
    }
}

/// Compiles all files at once, as many at a time as cargo grants, and makes the libraries, which the linker sees in the
/// order given. They are the last that a build from nothing compiles before the crate itself, so nothing else would use
/// the other processors.
fn compile(libraries: &[Library]) {
    let objects: Vec<Vec<PathBuf>> = std::thread::scope(|scope| {
        let compiling: Vec<_> = libraries
            .iter()
            .map(|library| scope.spawn(|| library.build.compile_intermediates()))
            .collect();
        compiling
            .into_iter()
            .map(|objects| objects.join().expect("a file does not compile"))
            .collect()
    });
    for (library, objects) in libraries.iter().zip(objects) {
        cc::Build::new()
            .cpp(true)
            .objects(objects)
            .compile(&library.name);
    }
}

/// What all builds of C++ share.
fn cpp(opt_level: u32) -> cc::Build {
    let mut build = cc::Build::new();
    build
        .cpp(true)
        .std("c++17")
        .opt_level(opt_level)
        .debug(false);
    build.flag("-Wno-psabi");
    build
}

/// The same for what needs libtorch's headers, and hands its exceptions to Rust.
fn cpp_of_libtorch(opt_level: u32, include: &Path) -> cc::Build {
    println!("cargo:rerun-if-changed={EXCEPTION}");
    let mut build = cpp(opt_level);
    build
        .define("_GLIBCXX_USE_CXX11_ABI", "1")
        .flag("-isystem")
        .flag(include)
        .flag("-isystem")
        .flag(include.join("torch/csrc/api/include"));
    build
}

/// The fused operators, then their loops, once for each instruction set.
fn fused_operators(include: &Path) -> Vec<Library> {
    let mut operators = cpp_of_libtorch(3, include);
    operators.flag("-fopenmp").files(sources(OPERATORS));
    let mut libraries = vec![Library::new("incdec_fused", operators)];
    let x86 = std::env::var("CARGO_CFG_TARGET_ARCH").is_ok_and(|arch| arch == "x86_64");
    let kernels = sources(KERNELS);
    for (name, flags) in INSTRUCTION_SETS {
        if !x86 && name != "plain" {
            continue;
        }
        let mut loops = cpp(3);
        // Without -fno-math-errno a square root is a call, and its loop is not vectorised.
        loops
            .define("INCDEC_ISA", name)
            .flag("-fno-math-errno")
            .flags(flags)
            .files(&kernels);
        libraries.push(Library::new(&format!("incdec_kernels_{name}"), loops));
    }
    libraries
}

/// The binding to PyTorch's process groups. Nothing in it is worth optimising: its calls wait for a network.
fn process_groups(include: &Path) -> Library {
    println!("cargo:rerun-if-changed={C10D}");
    // A test compares names with it.
    let header = include.join(NCCL_HEADER);
    if header.is_file() {
        println!("cargo:rustc-cfg=nccl_header");
        println!("cargo:rustc-env=INCDEC_NCCL_HEADER={}", header.display());
    }
    let mut binding = cpp_of_libtorch(0, include);
    binding
        .define("USE_DISTRIBUTED", None)
        .define("USE_C10D_GLOO", None)
        .include(C10D)
        .file(format!("{C10D}/c10d.cpp"));
    Library::new("incdec_c10d", binding)
}
