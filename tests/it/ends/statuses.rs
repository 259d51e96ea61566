//! The exit status of each kind of trouble, in each stage that can meet it: what a scheduler decides by.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use incdec::exit::Exit;
use incdec::lock::{Lock, Wait};

use super::{Data, text};
use crate::support;

/// The stages. They run beside the data and publish into the folder OUT.
const STAGES: &[&str] = &[
    "incdec-toy write --out OUT --train 1 --validation 0 --test 0 --seconds 0.4 --size 16",
    "incdec-download --labels source/Info --source source --out OUT/raw --ledger OUT/downloads.parquet",
    "incdec-decode --clips raw --labels source/Info --out OUT --frame-size 16x16 --jobs 2",
    "incdec-manifest --labels source/Info --shards shards --out OUT/clips.parquet",
    "incdec-tasks --manifest clips.parquet --tasks 2 --out OUT",
    "incdec-report --out OUT/report.html --permutations 10 decremental-finetune-0",
    "incdec-train --availability tasks --shards shards --out OUT/run --device cpu --threads 1 --workers 1 --geometry tf \
        --stop-after-first-task --epochs 1 --batch-size 8 --frames 2 --resize 32 --size 32",
];

/// Commands that need a network, at an address where nobody listens.
const NETWORK: &[&str] = &[
    "incdec-download --labels source/Info --source http://127.0.0.1:1 --tries 1 --out OUT/raw --ledger OUT/downloads.parquet",
    "incdec-download plan --labels source/Info --source http://127.0.0.1:1 --tries 1 --out OUT/raw --ledger OUT/downloads.parquet",
    "incdec-download labels --labels-source http://127.0.0.1:1 --tries 1 --out OUT",
];

/// Mounts a file system of two pages at $0 that only the command sees, and runs it. Where MODE is ro nothing can be written.
const MOUNTED: &str =
    r#"mount -t tmpfs -o size=8k none "$0" && mount -o remount,"$MODE" "$0" && exec "$@""#;

/// The words of a line, with the folder to publish into.
fn words(line: &str, out: &Path) -> Vec<String> {
    let out = out.to_str().unwrap();
    let mut words = line.split_whitespace();
    let program = support::binary(words.next().unwrap()).to_owned();
    let arguments = words.map(|word| word.replace("OUT", out));
    std::iter::once(program).chain(arguments).collect()
}

/// Runs a line beside the data.
fn run(data: &Data, line: &str, out: &Path) -> Output {
    let words = words(line, out);
    let mut command = Command::new(&words[0]);
    command.args(&words[1..]).current_dir(data.root());
    command.output().unwrap()
}

/// Runs a line beside the data with `out` on a file system of its own, full (`rw`) or read-only (`ro`). `None` where this
/// machine lets nobody mount one.
fn run_mounted(data: &Data, line: &str, out: &Path, mode: &str) -> Option<Output> {
    fs::create_dir_all(out).unwrap();
    let mounted = |words: &[String]| {
        Command::new("unshare")
            .args(["--map-root-user", "--mount", "sh", "-c", MOUNTED])
            .arg(out)
            .args(words)
            .current_dir(data.root())
            .env("MODE", mode)
            .output()
    };
    match mounted(&["true".to_owned()]) {
        Ok(probe) if probe.status.success() => Some(mounted(&words(line, out)).unwrap()),
        _ => {
            support::say(
                "no file system can be mounted here: full and read-only disks are passed over",
            );
            None
        }
    }
}

fn assert_exit(output: &Output, exit: Exit, line: &str) {
    let error = text(output);
    assert_eq!(
        output.status.code(),
        Some(exit.code().into()),
        "{line}\n{error}"
    );
    assert!(error.contains("error: "), "{line}\n{error}");
}

#[test]
fn a_folder_that_cannot_be_made_is_a_failure() {
    let data = Data::new();
    let file = data.root().join("file");
    fs::write(&file, "").unwrap();
    for line in STAGES {
        assert_exit(&run(&data, line, &file.join("out")), Exit::Failed, line);
    }
}

#[test]
fn a_read_only_folder_is_a_failure() {
    let data = Data::new();
    for line in STAGES {
        if let Some(output) = run_mounted(&data, line, &data.root().join("out"), "ro") {
            assert_exit(&output, Exit::Failed, line);
        }
    }
}

#[test]
fn a_contradiction_on_the_command_line_is_wrong_usage() {
    let data = Data::new();
    for line in [
        "incdec-decode --clips raw --labels source/Info",
        "incdec-manifest --labels source/Info --shards shards --out OUT --list few",
        "incdec-tasks --manifest clips.parquet --labels source/Info --out OUT",
        "incdec-tasks --out OUT",
        "incdec-report --out OUT",
        "incdec-report --out OUT --permutations 0 decremental-finetune-0",
        "incdec-download --max-missing 2",
        "incdec-toy write",
    ] {
        assert_exit(
            &run(&data, line, &data.root().join("out")),
            Exit::Usage,
            line,
        );
    }
}

#[test]
fn a_full_disk_is_worth_another_try() {
    let data = Data::new();
    for line in STAGES {
        if let Some(output) = run_mounted(&data, line, &data.root().join("out"), "rw") {
            assert_exit(&output, Exit::TryAgain, line);
            assert!(
                text(&output).contains("hint: "),
                "{line}\n{}",
                text(&output)
            );
        }
    }
}

#[test]
fn a_network_that_refuses_is_worth_another_try() {
    let data = Data::new();
    for line in NETWORK {
        assert_exit(
            &run(&data, line, &data.root().join("out")),
            Exit::TryAgain,
            line,
        );
    }
}

#[test]
fn a_folder_in_use_is_worth_another_try() {
    let data = Data::new();
    let out = data.root().join("out");
    let _held = Lock::folder(&out, "the test", Wait::No).unwrap();
    for line in &STAGES[1..3] {
        let output = run(&data, line, &out);
        assert_exit(&output, Exit::TryAgain, line);
        assert!(
            text(&output).contains("the test"),
            "{line}\n{}",
            text(&output)
        );
    }
}

#[test]
fn damage_beyond_the_limit_is_hopeless() {
    let data = Data::new();
    let at = |name: &str| data.root().join(name);
    for folder in ["raw", "source/train"] {
        for entry in walkdir::WalkDir::new(at(folder)) {
            let path = entry.unwrap().into_path();
            let name = path.to_string_lossy();
            if name.ends_with(".mp4") || name.ends_with(".tar.gz") {
                let bytes = fs::read(&path).unwrap();
                fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
            }
        }
    }
    for line in &STAGES[1..3] {
        assert_exit(&run(&data, line, &at("out")), Exit::Hopeless, line);
    }
}

#[test]
fn a_schedule_that_contradicts_the_labels_is_hopeless() {
    let data = Data::new();
    let schedule = data.root().join("schedule.csv");
    let line = "incdec-tasks --manifest clips.parquet --out OUT --scenario decremental --schedule schedule.csv";
    for text in [
        "food,books\n0,0\n",
        "food,phone,smoking,fatigue,selfcare\n0,0,0,0,many\n",
    ] {
        fs::write(&schedule, text).unwrap();
        assert_exit(
            &run(&data, line, &data.root().join("out")),
            Exit::Hopeless,
            line,
        );
    }
}
