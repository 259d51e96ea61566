//! The archive of `make dist`, packed of small stand-ins, and what its `run` does on a machine that has a PyTorch or has none.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

use super::text;
use crate::support::root;

const NAME: &str = "incdec-0.0.0-x86_64-linux";
/// Stands for every program: says what it was called with, and where it looks for libraries.
const PROGRAM: &str = r#"
#include <cstdio>
#include <cstdlib>
#include <string>
int main(int count, char **words) {
    const char *path = getenv("LD_LIBRARY_PATH");
    std::string said = std::string("libraries: ") + (path ? path : "") + "\n";
    for (int i = 1; i < count; i++) said += "[" + std::string(words[i]) + "]\n";
    return std::fputs(said.c_str(), stdout) < 0;
}
"#;
/// A run path of the place where it was built.
const RUN_PATH: &str = "-Wl,-rpath,/where/it/was/built/and/nobody/else/may/know";

/// What is packed.
struct Built {
    folder: TempDir,
}

impl Built {
    fn new() -> Self {
        let built = Self {
            folder: tempfile::tempdir().unwrap(),
        };
        fs::write(built.at("program.cpp"), PROGRAM).unwrap();
        fs::write(
            built.at("library.cpp"),
            "int incdec_nothing() { return 0; }\n",
        )
        .unwrap();
        fs::create_dir_all(built.at("toy/shards")).unwrap();
        fs::write(built.at("toy/shards/index.parquet"), "rows").unwrap();
        built.compile("library.cpp", "libincdec_nccl.so", &["-shared"]);
        // Stands for libtorch: what is linked to it needs a PyTorch.
        built.compile("library.cpp", "libtorch_cpu.so", &["-shared"]);
        built.compile("program.cpp", "incdec-report", &[]);
        built.compile("program.cpp", "it", &["-Wl,--no-as-needed", "-ltorch_cpu"]);
        built.compile(
            "program.cpp",
            "incdec-train",
            &["-Wl,--no-as-needed", "-ltorch_cpu"],
        );
        built
    }

    fn at(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn compile(&self, source: &str, to: &str, flags: &[&str]) {
        let output = Command::new("c++")
            .current_dir(self.folder.path())
            .args([source, "-fPIC", "-L.", RUN_PATH, "-o", to])
            .args(flags)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output));
    }

    /// Packs it into `<folder>/<to>/<NAME>.tar.xz`.
    fn pack(&self, to: &str) -> Output {
        Command::new(root().join(".ci/pack"))
            .current_dir(self.folder.path())
            .arg(self.archive(to))
            .args([".", "it", "libincdec_nccl.so", "toy", "report", "train"])
            .output()
            .unwrap()
    }

    fn archive(&self, to: &str) -> PathBuf {
        self.at(to).join(format!("{NAME}.tar.xz"))
    }

    /// The archive, unpacked.
    fn unpacked(&self) -> PathBuf {
        let output = self.pack("dist");
        assert!(output.status.success(), "{}", text(&output));
        let unpacked = Command::new("tar")
            .arg("-xf")
            .arg(self.archive("dist"))
            .arg("-C")
            .arg(self.folder.path())
            .status();
        assert!(unpacked.unwrap().success());
        self.at(NAME)
    }

    /// A python whose PyTorch has this version; as far as `run` asks it.
    fn python(&self, name: &str, version: &str) -> PathBuf {
        let home = self.at(name);
        fs::create_dir_all(home.join("torch/lib")).unwrap();
        fs::copy(
            self.at("libtorch_cpu.so"),
            home.join("torch/lib/libtorch_cpu.so"),
        )
        .unwrap();
        let said = format!("__version__ = '{version}'\ndebug = False\n");
        fs::write(home.join("torch/version.py"), said).unwrap();
        let python = home.join("python3");
        let script = format!("#!/bin/sh\necho '{}'\n", home.join("torch").display());
        fs::write(&python, script).unwrap();
        fs::set_permissions(&python, fs::Permissions::from_mode(0o755)).unwrap();
        home
    }
}

/// `run` with nothing in its environment but these folders, before those of the system's own tools, and these variables.
fn run(bundle: &Path, folders: &[&Path], variables: &[(&str, &Path)], words: &[&str]) -> Output {
    // Python and PyTorch of this machine lie elsewhere, or are those of the system, which has no PyTorch.
    let path = folders
        .iter()
        .map(|f| f.to_str().unwrap())
        .chain(["/usr/bin", "/bin"]);
    let path: Vec<&str> = path.collect();
    Command::new(bundle.join("run"))
        .env_clear()
        .env("PATH", path.join(":"))
        .envs(variables.iter().copied())
        .args(words)
        .output()
        .unwrap()
}

#[test]
fn the_same_files_make_the_same_archive_of_nobody_and_without_a_place() {
    let built = Built::new();
    for to in ["one", "two"] {
        let output = built.pack(to);
        let said = text(&output);
        assert!(output.status.success(), "{said}");
        assert!(said.contains("MiB; glibc 2."), "{said}");
    }
    let [one, two] = ["one", "two"].map(|to| fs::read(built.archive(to)).unwrap());
    assert!(one == two, "the archives differ");
    let listed = Command::new("tar")
        .args(["--numeric-owner", "-tvf"])
        .arg(built.archive("one"))
        .env("TZ", "UTC")
        .output()
        .unwrap();
    let listed = text(&listed);
    for line in listed.lines() {
        assert!(
            line.contains(" 0/0 ") && line.contains(" 2000-01-01 00:00 "),
            "{line}"
        );
    }
    let names: Vec<&str> = listed
        .lines()
        .map(|l| l.rsplit(' ').next().unwrap())
        .collect();
    for name in [
        "run",
        "needs",
        "LICENSE",
        "bin/incdec-train",
        "bin/incdec-report",
        "lib/libincdec_nccl.so",
        "tests/it",
        "tests/fixtures/goldens/model_goldens.json",
        "tests/bench/step.py",
        "tests/peers/movinet_eager.py",
        "Kinetics/Info/classes.csv",
        "toy/shards/index.parquet",
    ] {
        assert!(
            names.contains(&&*format!("{NAME}/{name}")),
            "{name}: {listed}"
        );
    }
    let bundle = built.unpacked();
    let needs = fs::read_to_string(bundle.join("needs")).unwrap();
    assert!(needs.contains("\nwith_torch=\"train\"\n"), "{needs}");
    for name in ["bin/incdec-train", "bin/incdec-report", "tests/it"] {
        let output = Command::new("readelf")
            .arg("-d")
            .arg(bundle.join(name))
            .output();
        let said = text(&output.unwrap());
        assert!(said.contains("[$ORIGIN/../libtorch/lib]"), "{name}: {said}");
        let bytes = fs::read(bundle.join(name)).unwrap();
        let place = b"/where/it/was/built";
        assert!(!bytes.windows(place.len()).any(|w| w == place), "{name}");
    }
}

#[test]
fn a_program_that_needs_what_a_machine_may_lack_is_not_packed() {
    let built = Built::new();
    built.compile("library.cpp", "libavforeign.so", &["-shared"]);
    built.compile(
        "program.cpp",
        "incdec-report",
        &["-Wl,--no-as-needed", "-lavforeign"],
    );
    let output = built.pack("dist");
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output);
    assert!(
        said.contains("bin/incdec-report needs libavforeign.so, which"),
        "{said}"
    );
    assert!(!built.archive("dist").exists());
}

#[test]
fn run_starts_a_program_with_the_libtorch_of_the_first_python_that_has_the_version() {
    let built = Built::new();
    let bundle = built.unpacked();
    let [old, fitting] = [("old", "2.6.0+cu124"), ("fitting", "2.11.0+cu130")]
        .map(|(name, version)| built.python(name, version));
    let trained = run(
        &bundle,
        &[&old, &fitting],
        &[],
        &["train", "two words", "--out"],
    );
    let libraries = fitting.join("torch/lib");
    let expected = format!("libraries: {}\n[two words]\n[--out]\n", libraries.display());
    assert_eq!(text(&trained), expected);
    // What is named comes before what is found.
    let named = run(
        &bundle,
        &[&old],
        &[("LIBTORCH", &fitting.join("torch"))],
        &["train"],
    );
    assert_eq!(
        text(&named),
        format!("libraries: {}\n", libraries.display())
    );
    let named = run(
        &bundle,
        &[&old],
        &[("PYTHON", &fitting.join("python3"))],
        &["train"],
    );
    assert_eq!(
        text(&named),
        format!("libraries: {}\n", libraries.display())
    );
}

#[test]
fn without_the_pytorch_what_computes_is_refused_and_the_rest_runs() {
    let built = Built::new();
    let bundle = built.unpacked();
    let old = built.python("old", "2.6.0");
    for command in ["train", "check-gpu", "bench-gpu"] {
        let refused = run(
            &bundle,
            &[],
            &[("PYTHON", &old.join("python3"))],
            &[command],
        );
        assert_eq!(refused.status.code(), Some(1));
        let said = text(&refused);
        assert!(said.contains("run: PyTorch 2.11.0 is not here ("), "{said}");
        assert!(said.contains("old/python3: PyTorch 2.6.0)"), "{said}");
        assert!(said.contains("\nhint: LIBTORCH=folder"), "{said}");
    }
    let report = run(
        &bundle,
        &[&old],
        &[("LIBTORCH", &old.join("torch"))],
        &["report", "--x"],
    );
    assert_eq!(text(&report), "libraries: \n[--x]\n");
    let unknown = run(&bundle, &[], &[], &["trian"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(text(&unknown).contains("run: there is no program trian"));
    let help = text(&run(&bundle, &[], &[], &[]));
    assert!(help.contains("./run check-gpu"), "{help}");
    assert!(help.contains("Programs: report train"), "{help}");
}

#[test]
fn doctor_says_which_c_and_cpp_libraries_are_needed_and_what_the_machine_has() {
    let built = Built::new();
    let bundle = built.unpacked();
    let fitting = built.python("fitting", "2.11.0");
    let python = fitting.join("python3");
    let said = text(&run(&bundle, &[], &[("PYTHON", &python)], &["doctor"]));
    for expected in [
        "  ok       glibc      2.",
        "  ok       libstdc++  GLIBCXX_3.",
        "; GLIBCXX_3.4",
        "  ok       libtorch   PyTorch 2.11.0 in ",
        "\nEverything needed is there.\n",
    ] {
        assert!(said.contains(expected), "{expected}: {said}");
    }
    // As if this were an old system.
    let needs = fs::read_to_string(bundle.join("needs")).unwrap();
    let newer = needs
        .replace("glibc=", "glibc=9.")
        .replace("glibcxx=", "glibcxx=9.");
    fs::write(bundle.join("needs"), newer).unwrap();
    let refused = run(&bundle, &[], &[("PYTHON", &python)], &["doctor"]);
    assert_eq!(refused.status.code(), Some(1));
    let said = text(&refused);
    assert!(said.contains("  MISSING  glibc      2."), "{said}");
    assert!(said.contains("  MISSING  libstdc++  GLIBCXX_3."), "{said}");
    assert!(
        said.ends_with("Something needed is missing: see above.\n"),
        "{said}"
    );
}
