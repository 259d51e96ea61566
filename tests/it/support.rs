//! What several areas share: the binaries, the places where goldens and optional data lie, and the device that tests compute on.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread::sleep;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use incdec::lock::{Lock, Wait};
use incdec::shard::{self, Deleted, Deletion, ShardError};
use incdec::train::DeviceChoice;
use incdec::train::world::nccl;
use rand_chacha::ChaCha8Rng;
use tch::Device;

/// Every binary of the project: its name and where it lies.
pub(crate) const BINARIES: &[(&str, &str)] = &[
    ("incdec-download", env!("CARGO_BIN_EXE_incdec-download")),
    #[cfg(feature = "media")]
    ("incdec-decode", env!("CARGO_BIN_EXE_incdec-decode")),
    ("incdec-manifest", env!("CARGO_BIN_EXE_incdec-manifest")),
    ("incdec-tasks", env!("CARGO_BIN_EXE_incdec-tasks")),
    ("incdec-train", env!("CARGO_BIN_EXE_incdec-train")),
    ("incdec-features", env!("CARGO_BIN_EXE_incdec-features")),
    ("incdec-audit", env!("CARGO_BIN_EXE_incdec-audit")),
    #[cfg(feature = "media")]
    ("incdec-predict", env!("CARGO_BIN_EXE_incdec-predict")),
    ("incdec-report", env!("CARGO_BIN_EXE_incdec-report")),
    ("incdec-clean", env!("CARGO_BIN_EXE_incdec-clean")),
    ("incdec-erase", env!("CARGO_BIN_EXE_incdec-erase")),
    ("incdec-own-data", env!("CARGO_BIN_EXE_incdec-own-data")),
    #[cfg(feature = "media")]
    ("incdec-toy", env!("CARGO_BIN_EXE_incdec-toy")),
    ("incdec-weights", env!("CARGO_BIN_EXE_incdec-weights")),
    ("incdec-experiment", env!("CARGO_BIN_EXE_incdec-experiment")),
    ("incdec-bench", env!("CARGO_BIN_EXE_incdec-bench")),
    #[cfg(feature = "media")]
    (
        "incdec-bench-decode",
        env!("CARGO_BIN_EXE_incdec-bench-decode"),
    ),
    ("incdec-bench-load", env!("CARGO_BIN_EXE_incdec-bench-load")),
    ("incdec-bench-step", env!("CARGO_BIN_EXE_incdec-bench-step")),
];

/// The environment variable that names the folder of a bundle (`make dist`): binaries and fixtures lie there instead of where
/// they were built.
const ROOT_VARIABLE: &str = "INCDEC_TEST_ROOT";

/// Where the binary of this name lies.
pub(crate) fn binary(name: &str) -> &'static str {
    let found = BINARIES.iter().find(|(known, _)| *known == name);
    let built = found
        .unwrap_or_else(|| panic!("there is no binary {name}"))
        .1;
    bundle().map_or(built, |bundle| {
        let path = bundle.join("bin").join(name);
        path.into_os_string().into_string().unwrap().leak()
    })
}

/// The folder of the bundle that this program is a part of.
fn bundle() -> Option<&'static Path> {
    static BUNDLE: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = BUNDLE.get_or_init(|| std::env::var_os(ROOT_VARIABLE).map(PathBuf::from));
    found.as_deref()
}

/// The environment variable that names one more folder of goldens.
const GOLDENS_VARIABLE: &str = "INCDEC_GOLDENS";

/// The environment variable that names the device that tests compute on: `cpu` (the default), `cuda` or `cuda:N`.
const DEVICE_VARIABLE: &str = "INCDEC_TEST_DEVICE";

/// The device that tests compute on, as the binaries' `--device` takes it.
pub(crate) fn device_choice() -> DeviceChoice {
    std::env::var(DEVICE_VARIABLE).map_or(DeviceChoice::Cpu, |name| name.parse().unwrap())
}

/// The device that tests compute on.
pub(crate) fn device() -> Device {
    device_choice().find().unwrap()
}

/// The device that rank `rank` of a test computes on: where there are more GPUs than one, the ranks have different ones.
pub(crate) fn device_of_rank(rank: usize) -> Device {
    match device() {
        Device::Cuda(first) => Device::Cuda((first + rank) % gpus()),
        device => device,
    }
}

/// Has a rank find its own GPU under the number that all ranks are given. Where there is one alone, all have it, and NCCL takes
/// them for ranks of several hosts.
pub(crate) fn give_gpu(command: &mut Command, rank: usize) {
    if device() == Device::Cpu {
        return;
    }
    tell_apart(command, rank);
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").ok();
    let mut visible: Vec<String> = match &visible {
        Some(list) => list.split(',').map(str::to_owned).collect(),
        None => (0..gpus()).map(|gpu| gpu.to_string()).collect(),
    };
    let first = rank % visible.len();
    visible.rotate_left(first);
    command.env("CUDA_VISIBLE_DEVICES", visible.join(","));
}

/// Has NCCL serve ranks that share the one GPU that there is.
pub(crate) fn tell_apart(command: &mut Command, rank: usize) {
    if device() != Device::Cpu && gpus() == 1 {
        command.env(nccl::HOST, format!("rank-{rank}"));
    }
}

/// How many GPUs libtorch sees.
fn gpus() -> usize {
    usize::try_from(tch::Cuda::device_count()).unwrap()
}

/// Absolute tolerance of what a first forward pass gives, beside the seed's answers.
pub(crate) fn tolerance() -> f64 {
    if device() == Device::Cpu { 1e-5 } else { 1e-3 }
}

/// How often a condition is looked at before a test gives up: for a minute.
const LOOKS: usize = 600;

/// Waits until a condition holds.
pub(crate) fn wait_until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..LOOKS {
        if condition() {
            return;
        }
        sleep(Duration::from_millis(100));
    }
    panic!("{what} never came to be");
}

/// Whether a process is there and has not ended.
pub(crate) fn is_running(pid: &str) -> bool {
    // A zombie has ended; its parent has not asked yet.
    fs::read_to_string(format!("/proc/{}/stat", pid.trim()))
        .is_ok_and(|stat| !stat.contains(") Z "))
}

/// The crate's root, or the bundle's.
pub(crate) fn root() -> &'static Path {
    bundle().unwrap_or(Path::new(env!("CARGO_MANIFEST_DIR")))
}

/// The committed golden file `name` and, where `INCDEC_GOLDENS` names a folder, the file of that name there; a file that
/// is absent from that folder is passed over, and this says so.
pub(crate) fn goldens(name: &str) -> Vec<PathBuf> {
    let committed = root().join("tests/fixtures/goldens").join(name);
    assert!(committed.exists(), "{} is missing", committed.display());
    let mut files = vec![committed];
    if let Some(folder) = std::env::var_os(GOLDENS_VARIABLE).filter(|f| !f.is_empty()) {
        // Relative to the crate's root, where make and cargo run.
        let folder = root().join(folder);
        assert!(
            folder.is_dir(),
            "{GOLDENS_VARIABLE}: {} is no folder",
            folder.display()
        );
        let file = folder.join(name);
        if file.exists() {
            say(&format!("{GOLDENS_VARIABLE}: also {}", file.display()));
            files.push(file);
        } else {
            say(&format!(
                "{GOLDENS_VARIABLE}: {} is absent and passed over",
                file.display()
            ));
        }
    }
    files
}

/// Reads a golden file of JSON. Types with `deny_unknown_fields` make a case that is not understood fail.
pub(crate) fn read_json<T: serde::de::DeserializeOwned>(path: &Path) -> T {
    let text = fs::read_to_string(path).unwrap_or_else(|e| panic!("{}: {e}", path.display()));
    serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}

/// A path under the optional folder `../shared`, or `None` (said on stderr) where it is absent.
pub(crate) fn optional_data(path: &str) -> Option<PathBuf> {
    let path = root().join("../shared").join(path);
    if path.exists() {
        return Some(path);
    }
    say(&format!(
        "{} is absent: what needs it is skipped",
        path.display()
    ));
    None
}

/// The environment variable that repeats the moments at which a test killed what it ran.
const SEED_VARIABLE: &str = "INCDEC_TEST_SEED";

/// A random stream for the moments at which the test `test` kills what it runs. They differ from run to run, so that in time
/// all are tried; the seed is said, and `INCDEC_TEST_SEED` takes it to try the same again.
pub(crate) fn moments(test: &str) -> ChaCha8Rng {
    let seed = std::env::var(SEED_VARIABLE).map_or_else(
        |_| {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
            now.as_secs()
        },
        |seed| seed.parse().unwrap(),
    );
    say(&format!("{test}: {SEED_VARIABLE}={seed}"));
    incdec::random::stream(seed, test, &[])
}

/// The python that `make setup` installs the tools for the tests into.
pub(crate) fn python() -> PathBuf {
    let python = root().join(".venv/bin/python");
    assert!(
        python.exists(),
        "{} is missing; `make setup` installs it",
        python.display()
    );
    python
}

/// Says something on stderr even where the test succeeds: the test harness keeps back what `eprintln!` prints.
#[allow(clippy::explicit_write)]
pub(crate) fn say(line: &str) {
    writeln!(std::io::stderr(), "{line}").unwrap();
}

/// Deletes the clips from a folder of shards, and their rows of its index.
pub(crate) fn delete_clips(folder: &Path, clips: &BTreeSet<String>) -> Result<Deleted, ShardError> {
    let held = Lock::folder(folder, "a test", Wait::No)?;
    let deletion = Deletion {
        clips,
        labelled: &BTreeSet::new(),
        list: None,
    };
    shard::delete(folder, &deletion, &held)
}
