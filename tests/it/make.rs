//! The Makefile as a user drives it: what it refuses, what it runs when, what it prints, and what it ends. Small scripts stand
//! for the binaries, so that only make itself is at work.

mod building;
mod bundle;
mod demo;
mod ignored;
mod install;
mod refusals;
mod secrets;
mod settings;
mod signals;
mod slurm;
mod stages;
mod table;
mod trying;
mod versions;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::support::{binary, root};

/// Stands for every binary: writes down its name and arguments, waits where it is told to, fails where it is told to and its
/// arguments have the words that were told, and publishes its record.
const BINARY: &str = r#"#!/bin/bash
set -eu
name=${0##*/incdec-}; here=${0%/*}
echo "$name" >>"$here/ran"
printf '%s\n' "$@" >"$here/$name.arguments"
if [ -e "$here/$name.waits" ]; then echo $$ >"$here/$name.pid"; exec sleep 600; fi
if [ -e "$here/$name.fails" ]; then case "$*" in *"$(<"$here/$name.fails")"*) exit 65 ;; esac; fi
[ ! -e "$here/$name.changes-nothing" ] || exit 0
while [ $# -gt 0 ]; do
    case $1 in
    --ledger) ledger=$2 ;;
    --out) out=$2 ;;
    esac
    shift
done
case $name in
download) record=$ledger ;;
decode) record=$out/index.parquet ;;
tasks) record=$out/availability.parquet ;;
train) record=$out/run.json ;;
manifest | features | report) record=$out ;;
*) exit 0 ;;
esac
mkdir -p "$(dirname "$record")"
echo "$name" >"$record"
"#;

/// A checkout with the true Makefile and such binaries, label tables included.
struct Checkout {
    folder: tempfile::TempDir,
}

impl Checkout {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::copy(root().join("Makefile"), at("Makefile")).unwrap();
        symlink(root().join(".ci"), at(".ci")).unwrap();
        fs::write(at("Cargo.toml"), "").unwrap();
        for name in ["src", "bin", "data/Info"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        for table in [
            "classes",
            "train",
            "validation",
            "test",
            "subcategories_to_remove",
            "subcategories_to_substitute",
        ] {
            fs::write(at(&format!("data/Info/{table}.csv")), "").unwrap();
        }
        let checkout = Self { folder };
        for name in [
            "download", "decode", "manifest", "tasks", "features", "train", "report", "clean",
            "erase", "toy", "own-data", "audit",
        ] {
            checkout.install(name, BINARY);
        }
        checkout
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn install(&self, name: &str, script: &str) {
        self.install_program(&format!("incdec-{name}"), script);
    }

    /// Puts a program of any name beside the binaries.
    fn install_program(&self, name: &str, script: &str) {
        let path = self.at("bin").join(name);
        fs::write(&path, script).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Puts the true incdec-experiment beside the other binaries.
    fn install_experiment(&self) {
        let (true_one, here) = (
            binary("incdec-experiment"),
            self.at("bin/incdec-experiment"),
        );
        // A program that is being written cannot be started, and a fork of another test may keep the file open: no copy.
        fs::hard_link(true_one, &here).unwrap_or_else(|_| {
            let copied = Command::new("cp").arg(true_one).arg(&here).status();
            assert!(copied.unwrap().success());
        });
    }

    /// make with these arguments, on the folder `data` and the binaries in `bin`.
    fn make(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare_make(&["DATA=data", "BIN=bin"]);
        command.args(arguments);
        command
    }

    /// make with these arguments alone.
    fn bare_make(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new("make");
        command.current_dir(self.folder.path()).args(arguments);
        // Nothing of a make that runs these tests.
        for variable in ["MAKEFLAGS", "MAKELEVEL", "MFLAGS", "DATA", "RUN", "SOURCE"] {
            command.env_remove(variable);
        }
        command
    }

    /// Runs make to its end and gives the binaries that ran, in order.
    fn ran(&self, arguments: &[&str]) -> Vec<String> {
        let output = self.make(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {}", text(&output));
        self.take_ran()
    }

    /// The binaries that ran since this was last asked.
    fn take_ran(&self) -> Vec<String> {
        let path = self.at("bin/ran");
        let ran = fs::read_to_string(&path).unwrap_or_default();
        let _ = fs::remove_file(path);
        ran.lines().map(str::to_owned).collect()
    }

    /// What the binary was last given.
    fn arguments(&self, name: &str) -> Vec<String> {
        let text = fs::read_to_string(self.at(&format!("bin/{name}.arguments"))).unwrap();
        text.lines().map(str::to_owned).collect()
    }

    /// Has the binary behave as `how` from now on.
    fn tell(&self, name: &str, how: &str) {
        fs::write(self.at(&format!("bin/{name}.{how}")), "").unwrap();
    }

    fn untell(&self, name: &str, how: &str) {
        fs::remove_file(self.at(&format!("bin/{name}.{how}"))).unwrap();
    }
}

/// All that was printed.
fn text(output: &Output) -> String {
    let lossy = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    lossy(&output.stdout) + &lossy(&output.stderr)
}

/// Every file below `folder`.
fn files(folder: &Path) -> Vec<PathBuf> {
    walkdir::WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}
