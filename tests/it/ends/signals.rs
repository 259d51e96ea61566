//! SIGTERM ends a stage at once, wherever it is, and what it had published stays.

use std::collections::BTreeMap;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use incdec::lock::LOCK_FILE;

use super::{Data, published, text};
use crate::support;

/// The signal's number.
const SIGTERM: i32 = 15;
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

#[test]
fn sigterm_ends_a_stage_by_the_signal_and_what_was_published_stays() {
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

        // The stage waits for what a pipe will give.
        let pipe = held_at.join(input);
        fs::remove_file(&pipe).unwrap();
        assert!(
            Command::new("mkfifo")
                .arg(&pipe)
                .status()
                .unwrap()
                .success()
        );
        let mut child = command.spawn().unwrap();
        let deadline = Instant::now() + Duration::from_secs(120);
        let writer = loop {
            let opened = OpenOptions::new()
                .write(true)
                .custom_flags(NONBLOCK)
                .open(&pipe);
            if let Ok(writer) = opened {
                break writer;
            }
            assert!(child.try_wait().unwrap().is_none(), "{line}: it ended");
            assert!(Instant::now() < deadline, "{line}: it reads nothing");
            std::thread::sleep(Duration::from_millis(5));
        };
        let pid = child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &pid])
                .status()
                .unwrap()
                .success()
        );
        let output = child.wait_with_output().unwrap();
        drop(writer);
        assert_eq!(
            output.status.signal(),
            Some(SIGTERM),
            "{line}\n{}",
            text(&output)
        );
        assert!(kept(&data.root().join(&out)) == before, "{line}");
        // The same command goes on.
        fs::remove_file(&pipe).unwrap();
        fs::copy(data.root().join(source).join(input), &pipe).unwrap();
        let again = command.output().unwrap();
        assert!(again.status.success(), "{line}\n{}", text(&again));
        assert!(kept(&data.root().join(&out)) == before, "{line}");
    }
}
