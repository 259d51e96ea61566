//! Decoding in processes of their own: what a crash costs, and what memory they get.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use incdec::decode::{self, DecodeConfig, FailureCounts};
use incdec::media::limits::Limits;
use incdec::shard::Shards;
use incdec::tables::ClipStatus;

use super::files::make;
use super::stage::Data;

/// A program that answers as the decoder process does, but first does something about each request, which is `$line` and whose
/// answering process is `$$`.
pub(super) fn worker_that(folder: &Path, does: &str) -> PathBuf {
    let (text, path) = (folder.join("worker.txt"), folder.join("worker"));
    let decoder = env!("CARGO_BIN_EXE_incdec-decode");
    let script = format!(
        "#!/bin/sh\nwhile IFS= read -r line; do\n{does}\n\
        printf '%s\\n' \"$line\" | {decoder} worker\ndone\n"
    );
    fs::write(&text, script).unwrap();
    // Copied by another process: a file that a test's thread has just written can still be open in a child of another thread,
    // and would then not be run.
    let mut install = Command::new("install");
    assert!(
        install
            .args(["-m", "755"])
            .args([&text, &path])
            .status()
            .unwrap()
            .success()
    );
    path
}

#[test]
fn a_decoder_process_that_crashes_costs_its_clip_only() {
    let data = Data::new(6);
    let config = DecodeConfig {
        max_failed: 0.5,
        jobs: 2,
        isolate: Some(worker_that(
            &data.path(""),
            "case \"$line\" in *clip3*) kill -SEGV $$;; esac",
        )),
        ..DecodeConfig::new(data.path("raw"), data.path("Info"), data.path("a"))
    };
    let summary = decode::run(&config).unwrap();
    let failures = FailureCounts {
        missing: 1,
        damaged: 2,
        not_decoded: 0,
    };
    assert_eq!((summary.ok, summary.failures), (5, failures));
    let shards = Shards::open(&data.path("a")).unwrap();
    let row = |name: &str| {
        shards
            .index()
            .iter()
            .find(|r| r.clip_id.starts_with(name))
            .unwrap()
    };
    let error = row("clip3").error.clone().unwrap();
    assert!(
        error.contains("died") && error.contains("signal: 11"),
        "{error}"
    );
    assert_eq!(row("clip4").status, ClipStatus::Ok);
}

/// Decodes in a process that may take so much memory.
fn decode_within(data: &Data, mib: u64) -> decode::DecodeSummary {
    let out = data.path(&format!("shards {mib}"));
    let config = DecodeConfig {
        max_failed: 1.0,
        jobs: 1,
        isolate: Some(env!("CARGO_BIN_EXE_incdec-decode").into()),
        limits: Limits {
            memory_bytes: mib << 20,
            ..Limits::default()
        },
        ..DecodeConfig::new(data.path("raw"), data.path("Info"), out)
    };
    decode::run(&config).unwrap()
}

#[test]
fn a_file_may_be_larger_than_the_memory_that_its_decoder_gets() {
    let data = Data::new(1);
    // A box that players pass over, its 3 GiB not on the disk.
    let clip = data.path("raw/yawning/clip0_000000_000001.mp4");
    let mut file = fs::OpenOptions::new().append(true).open(clip).unwrap();
    file.write_all(&[0xC0, 0, 0, 0, b'f', b'r', b'e', b'e'])
        .unwrap();
    let before = file.metadata().unwrap().len();
    file.set_len(before - 8 + (3 << 30)).unwrap();
    assert_eq!(decode_within(&data, 2048).ok, 1);
}

#[test]
fn a_clip_that_needs_more_memory_than_allowed_costs_that_clip_only() {
    let data = Data::new(1);
    // Its frames alone take some 60 MB each.
    let large = "color=gray:size=8000x5000:rate=1:duration=2";
    make(
        &data.path("raw/yawning"),
        "gone_000000_000001.mp4",
        large,
        &["-c:v", "mpeg4", "-qscale:v", "31"],
    );
    let run = |mib: u64| decode_within(&data, mib);
    // What a process needs for its libraries differs from machine to machine: the least that a small clip takes.
    let least = (1..100).map(|n| run(n * 32)).find(|summary| summary.ok > 0);
    let least = least.expect("a small clip fits into 3 GiB");
    assert_eq!(least.ok, 1);
    assert_eq!((least.failures.damaged, least.failures.not_decoded), (1, 1));
    let enough = run(4096);
    assert_eq!((enough.ok, enough.failures.failed()), (2, 1));
}
