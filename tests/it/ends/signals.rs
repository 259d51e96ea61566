//! SIGTERM and SIGUSR1 end a stage at once, wherever it is, and what it had published stays.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use incdec::lock::LOCK_FILE;

use super::{Data, published, text};
use crate::support;

/// `open` that does not wait for a reader, on Linux.
const NONBLOCK: i32 = 0o4000;

/// Each stage with an input that it waits for, HELD, and the folder that it publishes into, OUT.
const STAGES: &[(&str, &str)] = &[
    (
        "incdec-download --labels HELD --source source --out OUT/raw --ledger OUT/downloads.parquet",
        "train.csv",
    ),
    (
        "incdec-decode --clips raw --labels HELD --out OUT --frame-size 16x16 --jobs 2",
        "train.csv",
    ),
    (
        "incdec-manifest --labels HELD --shards shards --out OUT/clips.parquet",
        "train.csv",
    ),
    (
        "incdec-tasks --labels HELD --tasks 2 --out OUT",
        "train.csv",
    ),
    (
        "incdec-report --out OUT/report.html --permutations 10 HELD",
        "settings.json",
    ),
];

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(target).unwrap();
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// What lies in `folder` but the file of a lock, which is of no use to anyone when its holder has ended.
fn kept(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut files = published(folder);
    files.retain(|path, _| path.file_name().is_some_and(|name| name != LOCK_FILE));
    files
}

/// Starts a stage that waits for what `pipe` will give, and ends it by a signal.
fn ended_by(signal: &str, command: &mut Command, pipe: &Path) -> Output {
    fs::remove_file(pipe).unwrap();
    let made = Command::new("mkfifo").arg(pipe).status().unwrap();
    assert!(made.success());
    let mut child = command.spawn().unwrap();
    let deadline = Instant::now() + Duration::from_secs(120);
    let writer = loop {
        let opened = OpenOptions::new()
            .write(true)
            .custom_flags(NONBLOCK)
            .open(pipe);
        if let Ok(writer) = opened {
            break writer;
        }
        assert!(child.try_wait().unwrap().is_none(), "it ended");
        assert!(Instant::now() < deadline, "it reads nothing");
        std::thread::sleep(Duration::from_millis(5));
    };
    let pid = child.id().to_string();
    let sent = Command::new("kill").args([signal, &pid]).status().unwrap();
    assert!(sent.success());
    let output = child.wait_with_output().unwrap();
    drop(writer);
    output
}

#[test]
fn sigterm_and_sigusr1_end_a_stage_with_143_and_what_was_published_stays() {
    let data = Data::new();
    for (i, (line, input)) in STAGES.iter().enumerate() {
        let (out, held) = (format!("out-{i}"), format!("held-{i}"));
        let source = if line.contains("report") {
            "decremental-finetune-0"
        } else {
            "source/Info"
        };
        let held_at = data.root().join(&held);
        copy(&data.root().join(source), &held_at);
        let line = line.replace("OUT", &out).replace("HELD", &held);
        let mut words = line.split_whitespace();
        let mut command = Command::new(support::binary(words.next().unwrap()));
        command.args(words).current_dir(data.root());
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        let first = command.output().unwrap();
        assert!(first.status.success(), "{line}\n{}", text(&first));
        let before = kept(&data.root().join(&out));
        assert!(!before.is_empty());

        let pipe = held_at.join(input);
        for signal in ["-TERM", "-USR1"] {
            let output = ended_by(signal, &mut command, &pipe);
            let ended = output
                .status
                .code()
                .or(output.status.signal().map(|n| 128 + n));
            assert_eq!(ended, Some(143), "{signal}: {line}\n{}", text(&output));
            assert!(kept(&data.root().join(&out)) == before, "{line}");
        }
        // The same command goes on.
        fs::remove_file(&pipe).unwrap();
        fs::copy(data.root().join(source).join(input), &pipe).unwrap();
        let again = command.output().unwrap();
        assert!(again.status.success(), "{line}\n{}", text(&again));
        assert!(kept(&data.root().join(&out)) == before, "{line}");
    }
}
