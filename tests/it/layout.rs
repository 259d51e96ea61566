//! The architecture, held against the code: who imports whom, who may name which package, what the binaries link.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use incdec::choice::Choice;
use incdec::tasks::Scenario;
use walkdir::WalkDir;

mod circles;

/// Modules that import none of the others below and that every other may import.
const GROUND: &[&str] = &[
    "artifact",
    "card",
    "child",
    "cholesky",
    "choice",
    "clip",
    "exception",
    "exit",
    "foreign",
    "guide",
    "hint",
    "labels",
    "lock",
    "named_csv",
    "npy",
    "panics",
    "parallel",
    "parquet_file",
    "part",
    "progress",
    "random",
    "run_record",
    "signals",
    "store",
    "tables",
    "taxonomy",
    "withdrawn",
];

/// What each module above the ground floor may import beside the ground floor.
const IMPORTS: &[(&str, &[&str])] = &[
    ("media", &[]),
    ("metrics", &[]),
    ("model", &[]),
    ("download", &[]),
    ("tasks", &[]),
    ("shard", &[]),
    ("decode", &["media", "shard"]),
    ("manifest", &["shard"]),
    ("data", &["shard"]),
    ("features", &["data", "model", "shard"]),
    ("own_data", &[]),
    ("toy", &["media"]),
    (
        "train",
        &["data", "model", "metrics", "shard", "unlearning"],
    ),
    (
        "predict",
        &["media", "shard", "decode", "data", "features", "model"],
    ),
    ("report", &["audit", "erase", "metrics", "shard"]),
    (
        "audit",
        &[
            "metrics",
            "model",
            "features",
            "shard",
            "train",
            "unlearning",
        ],
    ),
    ("unlearning", &[]),
    ("weights", &["download", "model"]),
    ("clean", &["download", "manifest", "report", "shard"]),
    ("erase", &["download", "manifest", "shard"]),
];

/// Packages, and what of the standard library opens sockets, that only some modules may name (a module, or `bin` for the binaries).
const PACKAGES: &[(&str, &[&str])] = &[
    ("ffmpeg_next", &["media"]),
    (
        "tch",
        &[
            "data", "model", "train", "features", "audit", "predict", "bin",
        ],
    ),
    ("clap", &["bin"]),
    ("ureq", &["store"]),
    ("signal_hook", &["signals"]),
    ("std::net", &["store", "toy"]),
    ("parquet", &["parquet_file"]),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every Rust file below `folder` with its text, comments and test modules cut off.
fn sources(folder: &str) -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    for entry in WalkDir::new(root().join(folder)).sort_by_file_name() {
        let entry = entry.unwrap();
        if entry.path().extension().is_some_and(|e| e == "rs") {
            let text = fs::read_to_string(entry.path()).unwrap();
            let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
            let code: Vec<_> = code
                .lines()
                .filter(|l| !l.trim_start().starts_with("//"))
                .collect();
            files.push((
                entry.path().strip_prefix(root()).unwrap().to_owned(),
                code.join("\n"),
            ));
        }
    }
    assert!(!files.is_empty(), "{folder} has no Rust files");
    files
}

/// Whether `code` has a path that begins with `package` (and not with a longer name that ends like it).
fn names(code: &str, package: &str) -> bool {
    let path = code.match_indices(&format!("{package}::")).any(|(at, _)| {
        !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_' || c == ':')
    });
    path || code.contains(&format!("use {package};"))
}

/// The module that a file of src/lib belongs to: its folder's name, or its own.
fn module_of(file: &Path) -> String {
    let part = file
        .components()
        .nth(2)
        .unwrap()
        .as_os_str()
        .to_str()
        .unwrap();
    part.trim_end_matches(".rs").to_owned()
}

/// The identifiers that follow `prefix` in `code`, also within a `use prefix::{a, b}` list.
fn names_after(code: &str, prefix: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split(prefix).skip(1) {
        let list = rest
            .strip_prefix('{')
            .map(|l| l.split('}').next().unwrap_or(l));
        for item in
            list.unwrap_or(rest)
                .split(',')
                .take(if list.is_some() { usize::MAX } else { 1 })
        {
            let name: String = item
                .trim()
                .chars()
                .take_while(|c| c.is_alphanumeric() || *c == '_')
                .collect();
            // Module names are lower case; what is upper case is an item at the root.
            if name.starts_with(|c: char| c.is_ascii_lowercase()) {
                names.insert(name);
            }
        }
    }
    names
}

#[test]
fn the_library_imports_one_way() {
    let allowed: BTreeMap<&str, &[&str]> = IMPORTS.iter().copied().collect();
    let mut wrong = Vec::new();
    for (file, code) in sources("src/lib") {
        let module = module_of(&file);
        if module == "lib" {
            continue;
        }
        let ground = GROUND.contains(&module.as_str());
        assert!(
            ground || allowed.contains_key(module.as_str()),
            "{module} has no place in the architecture"
        );
        for import in names_after(&code, "crate::") {
            let fine = import == module
                || (GROUND.contains(&import.as_str()) && (module != "metrics"))
                || (!ground && allowed[module.as_str()].contains(&import.as_str()));
            if !fine {
                wrong.push(format!("{} imports crate::{import}", file.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn nobody_behind_the_tasks_knows_a_scenario_by_its_name() {
    let mut wrong = Vec::new();
    for folder in ["src/lib/data", "src/lib/train", "src/lib/report"] {
        for (file, code) in sources(folder) {
            for scenario in Scenario::ALL {
                for name in [scenario.name(), scenario.seed_name()] {
                    if code.contains(&format!("\"{name}\"")) {
                        wrong.push(format!("{} names {name}", file.display()));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_package_is_named_only_where_it_belongs() {
    let mut wrong = Vec::new();
    let library = sources("src/lib")
        .into_iter()
        .map(|(f, code)| (module_of(&f), f, code));
    let binaries = sources("src/bin")
        .into_iter()
        .map(|(f, code)| ("bin".to_owned(), f, code));
    for (module, file, code) in library.chain(binaries) {
        for (package, homes) in PACKAGES {
            let named = names(&code, package);
            if named && !homes.contains(&module.as_str()) {
                wrong.push(format!("{} names {package}", file.display()));
            }
        }
        if module != "bin" && (code.contains("env::var") || code.contains("env::current_dir")) {
            wrong.push(format!("{} reads the environment", file.display()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What the standard library prints with panics where nobody reads.
const PRINTING_MACROS: &[&str] = &["println!", "eprintln!", "print!", "eprint!", "dbg!"];

#[test]
fn only_the_checked_printer_prints() {
    let printer = Path::new("src/bin/cli/print.rs");
    let files = sources("src/lib").into_iter().chain(sources("src/bin"));
    for (file, code) in files.filter(|(file, _)| file != printer) {
        for name in PRINTING_MACROS {
            assert!(!code.contains(name), "{} uses {name}", file.display());
        }
    }
}

/// A test that Cargo.toml keeps from being built would never fail.
#[test]
fn binaries_that_are_not_tested_have_no_tests() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let tested = |path: &Path| {
        manifest["bin"].as_array().unwrap().iter().any(|binary| {
            let main = Path::new(binary["path"].as_str().unwrap());
            let folder = main.parent().filter(|_| main.ends_with("main.rs"));
            let is_of = path == main || folder.is_some_and(|folder| path.starts_with(folder));
            is_of && binary.get("test").is_none()
        })
    };
    let mut with_tests = 0;
    for entry in WalkDir::new(root().join("src/bin")) {
        let path = entry.unwrap().into_path();
        let text = fs::read_to_string(&path).unwrap_or_default();
        if text.contains("#[test]") {
            let path = path.strip_prefix(root()).unwrap();
            assert!(tested(path), "{} is never tested", path.display());
            with_tests += 1;
        }
    }
    assert!(with_tests > 0);
}

#[test]
fn the_seven_packages_are_direct_dependencies_and_each_is_used() {
    let manifest: toml::Table = fs::read_to_string(root().join("Cargo.toml"))
        .unwrap()
        .parse()
        .unwrap();
    let dependencies = manifest["dependencies"].as_table().unwrap();
    let mut code = String::new();
    for folder in ["src/lib", "src/bin"] {
        code.extend(sources(folder).into_iter().map(|(_, code)| code));
    }
    for package in [
        "ffmpeg-next",
        "arrow",
        "parquet",
        "tch",
        "clap",
        "walkdir",
        "crossbeam",
    ] {
        assert!(
            dependencies.contains_key(package),
            "{package} is no direct dependency"
        );
        let name = package.replace('-', "_");
        let used = code.contains(&format!("{name}::")) || code.contains(&format!("use {name}"));
        assert!(used, "{package} is used nowhere");
    }
}

#[test]
fn binaries_look_for_libtorch_by_the_way_from_themselves_first() {
    let binary = Path::new(env!("CARGO_BIN_EXE_incdec-train"));
    let output = Command::new("readelf")
        .arg("-d")
        .arg(binary)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let paths = text
        .lines()
        .find(|l| l.contains("runpath") || l.contains("rpath"))
        .unwrap();
    let paths = paths.split_once('[').unwrap().1.trim_end_matches(']');
    let mut paths = paths.split(':');
    let relative = paths.next().unwrap().strip_prefix("$ORIGIN/").unwrap();
    let place = binary
        .parent()
        .unwrap()
        .join(relative)
        .join("libtorch_cpu.so");
    assert!(place.exists(), "{}", place.display());
    assert!(
        paths.any(|path| path.starts_with('/')),
        "and where it lies now"
    );
}

#[test]
fn binaries_link_only_what_their_stage_needs() {
    let libraries = |binary: &str| {
        let output = Command::new("readelf")
            .arg("-d")
            .arg(binary)
            .output()
            .expect("readelf of binutils");
        assert!(output.status.success(), "readelf {binary}");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(text.contains("libc.so"), "{binary}: no libraries read");
        text.lines()
            .filter(|l| l.contains("(NEEDED)"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
            .join("\n")
    };
    for binary in [
        env!("CARGO_BIN_EXE_incdec-train"),
        env!("CARGO_BIN_EXE_incdec-features"),
        env!("CARGO_BIN_EXE_incdec-audit"),
        env!("CARGO_BIN_EXE_incdec-bench-step"),
    ] {
        let needed = libraries(binary);
        assert!(needed.contains("libtorch"), "{binary}: {needed}");
        assert!(
            !needed.contains("libav") && !needed.contains("libsw"),
            "{binary}: {needed}"
        );
    }
    for binary in [
        env!("CARGO_BIN_EXE_incdec-download"),
        env!("CARGO_BIN_EXE_incdec-decode"),
        env!("CARGO_BIN_EXE_incdec-manifest"),
        env!("CARGO_BIN_EXE_incdec-tasks"),
        env!("CARGO_BIN_EXE_incdec-report"),
        env!("CARGO_BIN_EXE_incdec-clean"),
        env!("CARGO_BIN_EXE_incdec-erase"),
        env!("CARGO_BIN_EXE_incdec-own-data"),
    ] {
        let needed = libraries(binary);
        assert!(
            !needed.contains("torch") && !needed.contains("libc10"),
            "{binary}: {needed}"
        );
    }
}
