//! doctor and setup name what is too old, and how new it must be.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use super::text;
use crate::support::root;

/// A checkout of the scripts alone, on a machine whose programs have the versions given.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    fn new(cargo: &str, avcodec: &str, torch: &str, cudnn: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(&path, content).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
        };
        for script in ["doctor", "setup", "versions"] {
            let content = fs::read_to_string(root().join(".ci").join(script)).unwrap();
            write(&format!(".ci/{script}"), &content);
        }
        write("Cargo.toml", "rust-version = \"1.90\"\n");
        write(
            "bin/cargo",
            &format!("#!/bin/sh\necho 'cargo {cargo} (abc 2026-01-01)'\n"),
        );
        write("bin/pkg-config", &format!("#!/bin/sh\necho {avcodec}\n"));
        write("bin/nvidia-smi", "#!/bin/sh\necho 'a GPU, 80 GiB'\n");
        write(
            ".libtorch/torch/version.py",
            &format!("__version__ = '{torch}+cu130'\n"),
        );
        write(".libtorch/torch/lib/libtorch_cpu.so", "");
        write(".libtorch/nvidia/cudnn/lib/libcudnn.so.9", "");
        write(
            &format!(".libtorch/nvidia_cudnn_cu13-{cudnn}.dist-info/METADATA"),
            "",
        );
        Self { folder }
    }

    fn run(&self, script: &str) -> Output {
        let path = std::env::var("PATH").unwrap();
        let bin = self.folder.path().join("bin");
        Command::new(self.folder.path().join(Path::new(".ci")).join(script))
            .env("PATH", format!("{}:{path}", bin.display()))
            .output()
            .unwrap()
    }
}

#[test]
fn the_doctor_finds_each_version_that_is_too_old() {
    let output = Machine::new("1.80.1", "57.48.100", "2.10.0", "9.10.2.21").run("doctor");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    for finding in [
        "MISSING  Rust       1.80.1 is too old, 1.90 is needed",
        "MISSING  FFmpeg     libavcodec 57.48.100 is too old, 57.107.100 (FFmpeg 3.4) is needed",
        "MISSING  libtorch   PyTorch 2.10.0 in .libtorch, 2.11.0 exactly is needed",
        "note     cuDNN      9.10.2.21: from 9.8 to before 9.15",
    ] {
        assert!(said.contains(finding), "{finding}\n{said}");
    }
}

#[test]
fn the_doctor_is_content_with_what_is_needed() {
    for (cargo, avcodec, cudnn) in [
        ("1.90.0", "59.37.100", "9.15.0.57"),
        ("2.0.0", "62.11.100", "9.7.1"),
    ] {
        let said = text(&Machine::new(cargo, avcodec, "2.11.0", cudnn).run("doctor"));
        for (name, version) in [("Rust", cargo), ("FFmpeg", avcodec), ("libtorch", "2.11.0")] {
            let line = said.lines().find(|l| l.contains(name)).unwrap();
            assert!(
                line.starts_with("  ok  ") && line.contains(version),
                "{line}"
            );
        }
        assert!(!said.contains("cuDNN"), "{said}");
    }
    let older = text(&Machine::new("1.90.0", "58.134.100", "2.11.0", "9.15").run("doctor"));
    assert!(
        older.contains("note     FFmpeg     libavcodec 58.134.100 is older than"),
        "{older}"
    );
}

#[test]
fn setup_refuses_an_old_rust_before_it_installs_anything() {
    let output = Machine::new("1.89.0", "59.37.100", "2.11.0", "9.15").run("setup");
    let said = text(&output);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(
        said.contains("setup: Rust 1.89.0 is too old, 1.90 is needed\nhint: rustup update"),
        "{said}"
    );
}
