//! What the machine did is not the clip's fault: clips that were not decoded, and when they are tried again.

use std::fs;
use std::process::Output;

use incdec::decode::{self, DecodeConfig, DecodeError, DecodeSummary, Retry};
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::shard::{Cause, IndexRow, Shards};

use super::isolate::worker_that;
use super::stage::Data;

fn rows(data: &Data) -> Vec<IndexRow> {
    Shards::open(&data.path("a")).unwrap().index().to_vec()
}

fn row(data: &Data, name: &str) -> IndexRow {
    let is_it = |row: &IndexRow| row.clip_id.starts_with(name);
    rows(data).into_iter().find(is_it).unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn a_clip_that_takes_too_long_is_kept_until_the_limit_changes() {
    let data = Data::new(2);
    let run = |seconds: &str| -> Output {
        let args = ["--clip-seconds", seconds];
        data.command("a", &args).output().unwrap()
    };
    // All but the one that is missing: too many, but another time they may do.
    let output = run("0");
    assert_eq!(output.status.code(), Some(75), "{}", text(&output.stderr));
    assert!(text(&output.stderr).contains("RETRY=1"));
    let late = row(&data, "clip0");
    assert_eq!(late.cause, Some(Cause::NotDecoded));
    assert_eq!(late.error.as_deref(), Some("took longer than 0 s"));
    assert_eq!(row(&data, "gone").cause, None);
    // Not tried again under the same limit.
    let before = data.files("a");
    assert_eq!(run("0").status.code(), Some(75));
    assert!(data.files("a") == before);
    let output = text(&run("300").stdout);
    assert!(output.contains("2 ok, 0 partial, 1 failed"), "{output}");
    assert!(output.contains("3 decoded now"), "{output}");
    assert!(!output.contains("RETRY"), "{output}");
    assert_eq!(row(&data, "empty").cause, Some(Cause::Damaged));
}

/// Decodes with a worker that does something about each request.
fn decode_with(
    data: &Data,
    does: &str,
    retry: Retry,
    max_failed: f64,
) -> Result<DecodeSummary, DecodeError> {
    decode::run(&DecodeConfig {
        max_failed,
        jobs: 2,
        retry,
        isolate: Some(worker_that(&data.path(""), does)),
        ..DecodeConfig::new(data.path("raw"), data.path("Info"), data.path("a"))
    })
}

#[test]
fn a_clip_whose_decoder_was_killed_is_tried_once_more_alone_and_then_when_asked() {
    let data = Data::new(4);
    let tries = data.path("tries");
    let kill = format!(
        "case \"$line\" in *clip1*) echo >> '{}'; kill -KILL $$;; esac",
        tries.display()
    );
    let tried = || fs::read_to_string(&tries).unwrap().lines().count();
    let summary = decode_with(&data, &kill, Retry::No, 0.5).unwrap();
    assert_eq!((summary.ok, summary.failures.not_decoded), (3, 1));
    assert!(summary.to_string().contains("make decode RETRY=1"));
    assert_eq!(tried(), 2);
    let killed = row(&data, "clip1");
    assert!(killed.error.unwrap().contains("signal: 9"));
    assert!(killed.source_blake3.is_some());

    // Kept, and said so, until somebody asks.
    let kept = decode_with(&data, &kill, Retry::No, 0.5).unwrap();
    assert!(kept.up_to_date && kept.to_string().contains("RETRY=1"));
    assert_eq!(tried(), 2);
    let retried = decode_with(&data, &kill, Retry::Yes, 0.5).unwrap();
    assert!(!retried.up_to_date, "it was tried, in vain");
    assert_eq!((retried.decoded, tried()), (1, 4));

    // While there are too many failures, every run tries it again: another run can succeed.
    let error = decode_with(&data, &kill, Retry::No, 0.4).unwrap_err();
    assert_eq!((error.exit(), tried()), (Exit::TryAgain, 6));
    let summary = decode_with(&data, ":", Retry::No, 0.4).unwrap();
    assert_eq!((summary.ok, summary.decoded), (4, 1));
}

#[test]
fn a_second_try_alone_is_enough_where_it_succeeds() {
    let data = Data::new(3);
    let once = format!(
        "case \"$line\" in *clip1*) mkdir '{}' 2>/dev/null && kill -KILL $$;; esac",
        data.path("killed").display()
    );
    let summary = decode_with(&data, &once, Retry::No, 0.5).unwrap();
    assert_eq!((summary.ok, summary.failures.not_decoded), (3, 0));
    let alone = data.files("a");
    fs::remove_dir_all(data.path("a")).unwrap();
    decode_with(&data, ":", Retry::No, 0.5).unwrap();
    assert!(
        data.files("a") == alone,
        "the second try takes its clip's place"
    );
}

#[test]
fn a_mended_file_of_the_same_size_is_decoded_and_the_same_damage_is_not() {
    let data = Data::new(4);
    let clip = data.path("raw/yawning/clip1_000000_000001.mp4");
    let sound = fs::read(&clip).unwrap();
    fs::write(&clip, vec![7; sound.len()]).unwrap();
    let summary = data.decode("a", &[]);
    assert!(summary.contains("3 ok, 0 partial, 2 failed"), "{summary}");
    assert_eq!(row(&data, "clip1").cause, Some(Cause::Damaged));
    assert!(data.decode("a", &["--retry"]).contains("nothing to do"));
    fs::write(&clip, sound).unwrap();
    let summary = data.decode("a", &[]);
    assert!(
        summary.contains("4 ok") && summary.contains("1 decoded now"),
        "{summary}"
    );
}

#[test]
fn threads_and_processes_that_the_system_refuses_are_an_error_and_no_clips_fault() {
    let data = Data::new(2);
    // No machine has as much address space as this stack wants.
    let output = data
        .command("a", &[])
        .env("RUST_MIN_STACK", (1u64 << 50).to_string())
        .output()
        .unwrap();
    let stderr = text(&output.stderr);
    assert!(stderr.contains("thread cannot be started"), "{stderr}");
    assert!(
        [Some(1), Some(75)].contains(&output.status.code()),
        "{stderr}"
    );
    assert!(!data.path("a/index.parquet").exists());

    let error = decode::run(&DecodeConfig {
        isolate: Some(data.path("absent")),
        ..DecodeConfig::new(data.path("raw"), data.path("Info"), data.path("a"))
    });
    let error = error.unwrap_err();
    assert!(matches!(error, DecodeError::Process { .. }), "{error}");
    assert!(!data.path("a/index.parquet").exists());
}
