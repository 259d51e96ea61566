//! Decoding in parts: what merging makes of them is what one run would have made.

use std::collections::BTreeMap;
use std::fs;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use incdec::artifact;
use incdec::decode::{self, DecodeConfig, DecodeError, MergeConfig};
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::lock::{Lock, Wait};
use incdec::part::{Part, PartsError};
use incdec::shard::parts_place;

use super::files::{MOVING, make};
use super::folder::copy;
use super::stage::Data;

/// Clips of the tests: four ranges of two label rows for training, and one for each other split.
const CLIPS: usize = 9;

fn config(data: &Data, out: &str) -> DecodeConfig {
    let mut config = DecodeConfig {
        max_failed: 0.5,
        clips_per_shard: NonZeroU32::new(2).unwrap(),
        ..DecodeConfig::new(data.path("raw"), data.path("Info"), data.path(out))
    };
    config.clip.frame_size = "64x48".parse().unwrap();
    config
}

fn part(data: &Data, out: &str, part: &str) -> Result<decode::DecodeSummary, DecodeError> {
    let part = Some(part.parse().unwrap());
    decode::run(&DecodeConfig {
        part,
        ..config(data, out)
    })
}

fn merging(data: &Data, out: &str, parts: u32) -> MergeConfig {
    MergeConfig {
        labels: data.path("Info"),
        out: data.path(out),
        parts,
        max_failed: 0.5,
        wait: Wait::No,
    }
}

fn refused(config: &MergeConfig) -> PartsError {
    match decode::merge(config).unwrap_err() {
        DecodeError::Parts(error) => {
            assert!(error.hint().is_some(), "{error}");
            error
        }
        error => panic!("{error}"),
    }
}

/// Every file below a folder.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap);
    let files = files.filter(|entry| !entry.file_type().is_dir());
    files
        .map(|entry| {
            let name = entry.path().strip_prefix(folder).unwrap().to_owned();
            (name, fs::read(entry.path()).unwrap())
        })
        .collect()
}

/// The bytes of one run over the clips.
fn whole(data: &Data) -> BTreeMap<PathBuf, Vec<u8>> {
    decode::run(&config(data, "whole")).unwrap();
    let whole = files(&data.path("whole"));
    assert_eq!(whole.len(), 6, "{:?}", whole.keys());
    whole
}

#[test]
fn parts_in_any_order_and_all_at_once_become_the_bytes_of_one_run() {
    let data = Data::new(CLIPS);
    let whole = whole(&data);
    for (out, order) in [("a", [0, 1, 2]), ("b", [2, 0, 1])] {
        for number in order {
            let summary = part(&data, out, &format!("{number}/3")).unwrap();
            assert!(summary.decoded > 0, "{summary}");
            assert!(
                summary
                    .to_string()
                    .starts_with(&format!("part {number}/3: "))
            );
        }
        assert!(!data.path(out).join("index.parquet").exists());
        let summary = decode::merge(&merging(&data, out, 3)).unwrap();
        assert_eq!((summary.clips, summary.ok, summary.shards), (11, 9, 5));
        assert!(files(&data.path(out)) == whole, "{out}");
        // Once more it rests.
        assert!(decode::merge(&merging(&data, out, 3)).unwrap().up_to_date);
        assert!(files(&data.path(out)) == whole);
    }
    // More parts than there are ranges, at once, as programs.
    let start = |number: usize| {
        let part = format!("{number}/7");
        let args = ["--clips-per-shard", "2", "--part", &part];
        command(&data, "c", &args)
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    };
    let running: Vec<_> = (0..7).map(start).collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    let merged = run_merge(&data, "c", "7");
    let said = String::from_utf8_lossy(&merged.stdout);
    assert!(said.contains("7 parts merged, with 5 new shards"), "{said}");
    assert!(files(&data.path("c")) == whole);
    // One run over what was merged has nothing to do.
    assert!(decode::run(&config(&data, "c")).unwrap().up_to_date);
}

fn command(data: &Data, out: &str, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-decode"));
    for (flag, folder) in [("--clips", "raw"), ("--labels", "Info"), ("--out", out)] {
        command.arg(flag).arg(data.path(folder));
    }
    command.args(["--frame-size", "64x48", "--max-failed", "0.5"]);
    command.args(args);
    command
}

fn run_merge(data: &Data, out: &str, parts: &str) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-decode"));
    command.arg("merge");
    for (flag, folder) in [("--labels", "Info"), ("--out", out)] {
        command.arg(flag).arg(data.path(folder));
    }
    command.args(["--max-failed", "0.5", "--parts", parts]);
    command.output().unwrap()
}

#[test]
fn a_part_that_runs_twice_rests_or_is_busy() {
    let data = Data::new(CLIPS);
    part(&data, "a", "0/2").unwrap();
    let before = files(&data.path("a"));
    let summary = part(&data, "a", "0/2").unwrap();
    assert!(summary.up_to_date, "{summary}");
    assert!(files(&data.path("a")) == before);

    let folder = parts_place(&data.path("a")).of("0/2".parse().unwrap());
    let lock = Lock::folder(&folder, "another", Wait::No).unwrap();
    assert_eq!(part(&data, "a", "0/2").unwrap_err().exit(), Exit::TryAgain);
    // Nobody merges what is being written.
    part(&data, "a", "1/2").unwrap();
    let busy = decode::merge(&merging(&data, "a", 2)).unwrap_err();
    assert_eq!(busy.exit(), Exit::TryAgain, "{busy}");
    drop(lock);
    // And no part begins while somebody writes into the folder that it will be merged into.
    let lock = Lock::folder(&data.path("a"), "a merge", Wait::No).unwrap();
    let busy = part(&data, "a", "1/2").unwrap_err();
    assert!(
        matches!(&busy, DecodeError::Parts(PartsError::Busy { holder, .. }) if holder.starts_with("a merge"))
    );
    assert_eq!(busy.exit(), Exit::TryAgain);
    drop(lock);
    decode::merge(&merging(&data, "a", 2)).unwrap();
    assert!(files(&data.path("a")) == whole(&data));
}

#[test]
fn a_part_that_was_killed_goes_on_with_what_it_has() {
    let data = Data::new(CLIPS);
    let whole = whole(&data);
    let folder = parts_place(&data.path("a")).of("0/1".parse().unwrap());
    let shards = || {
        let entries = fs::read_dir(&folder).into_iter().flatten();
        let names = entries.map(|e| e.unwrap().file_name().to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".arrow")).count()
    };
    let args = ["--clips-per-shard", "2", "--jobs", "1", "--part", "0/1"];
    let mut child = command(&data, "a", &args).spawn().unwrap();
    while shards() == 0 && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    if shards() < 5 {
        assert!(matches!(
            refused(&merging(&data, "a", 1)),
            PartsError::Unfinished { .. }
        ));
    }
    let summary = part(&data, "a", "0/1").unwrap();
    assert!(summary.decoded < 10, "what was published is taken over");
    decode::merge(&merging(&data, "a", 1)).unwrap();
    assert!(files(&data.path("a")) == whole);
}

#[test]
fn a_part_that_is_missing_or_does_not_fit_the_others_is_refused_by_name() {
    let data = Data::new(CLIPS);
    let out = data.path("a");
    assert!(matches!(
        refused(&merging(&data, "a", 3)),
        PartsError::NoParts { .. }
    ));
    part(&data, "a", "0/3").unwrap();
    part(&data, "a", "1/3").unwrap();
    let before = files(&out);
    let third: Part = "2/3".parse().unwrap();
    let error = refused(&merging(&data, "a", 3));
    assert!(matches!(error, PartsError::Missing { missing: 1, first, .. } if first == third));
    assert!(error.hint().unwrap().contains("--part 2/3"), "{error}");
    assert!(matches!(
        refused(&merging(&data, "a", 2)),
        PartsError::Mixed { .. }
    ));
    part(&data, "a", "2/4").unwrap();
    let error = refused(&merging(&data, "a", 3));
    assert!(matches!(error, PartsError::Mixed { .. }), "{error}");
    fs::remove_dir_all(parts_place(&out).of("2/4".parse().unwrap())).unwrap();

    let other = DecodeConfig {
        part: Some(third),
        clips_per_shard: NonZeroU32::new(3).unwrap(),
        ..config(&data, "a")
    };
    decode::run(&other).unwrap();
    let error = refused(&merging(&data, "a", 3));
    let said = error.to_string();
    assert!(matches!(error, PartsError::Different { .. }), "{said}");
    assert!(
        said.ends_with("0/3 and 2/3 were made from different clips_per_shard"),
        "{said}"
    );
    // The same part with the settings of the others takes the place of that.
    part(&data, "a", "2/3").unwrap();

    let note = parts_place(&out).folder().join("note.txt");
    fs::write(&note, "mine").unwrap();
    assert!(matches!(
        refused(&merging(&data, "a", 3)),
        PartsError::Stranger { .. }
    ));
    fs::remove_file(note).unwrap();

    // Labels that have changed since: every part is made anew, one alone does not fit.
    let table = data.path("Info/test.csv");
    let labels = fs::read_to_string(&table).unwrap();
    fs::write(&table, labels.clone() + "yawning,later,0,1,train\n").unwrap();
    let error = refused(&merging(&data, "a", 3)).to_string();
    assert!(error.ends_with("test.csv differ"), "{error}");
    part(&data, "a", "0/3").unwrap();
    assert!(matches!(
        refused(&merging(&data, "a", 3)),
        PartsError::Different { .. }
    ));
    fs::write(&table, labels).unwrap();
    part(&data, "a", "0/3").unwrap();
    let after = files(&out);
    assert!(before.iter().all(|(name, bytes)| after[name] == *bytes));

    // A run over all in between, with one clip more: the parts know nothing of what it has stored.
    let raw = data.path("raw/yawning");
    make(&raw, "gone_000000_000001.mp4", MOVING, &["-c:v", "libx264"]);
    decode::run(&config(&data, "a")).unwrap();
    assert!(matches!(
        refused(&merging(&data, "a", 3)),
        PartsError::Changed { .. }
    ));
    for number in 0..3 {
        assert_eq!(part(&data, "a", &format!("{number}/3")).unwrap().decoded, 0);
    }
    decode::merge(&merging(&data, "a", 3)).unwrap();
    decode::run(&config(&data, "whole")).unwrap();
    assert!(files(&out) == files(&data.path("whole")));
}

#[test]
fn a_merge_that_was_killed_anywhere_goes_on() {
    let data = Data::new(CLIPS);
    let whole = whole(&data);
    for number in 0..3 {
        part(&data, "parts", &format!("{number}/3")).unwrap();
    }
    let folder = |out: &str, number: u32| {
        parts_place(&data.path(out)).of(format!("{number}/3").parse().unwrap())
    };
    let merges = |out: &str| {
        decode::merge(&merging(&data, out, 3)).unwrap();
        assert!(files(&data.path(out)) == whole, "{out}");
        let left = data.path(out).join(".incdec-merged-parts");
        assert!(!left.exists() && !parts_place(&data.path(out)).folder().exists());
    };
    let shards = |number| -> Vec<String> {
        let names = files(&folder("parts", number)).into_keys();
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| name.ends_with(".arrow")).collect()
    };
    // After any number of renames.
    let all: Vec<(u32, String)> = (0..3)
        .flat_map(|n| shards(n).into_iter().map(move |name| (n, name)))
        .collect();
    assert_eq!(all.len(), 5);
    for renamed in 0..=all.len() {
        let out = format!("renamed{renamed}");
        copy(&data.path("parts"), &data.path(&out));
        for (number, name) in &all[..renamed] {
            let to = data.path(&out).join(name);
            fs::rename(folder(&out, *number).join(name), to).unwrap();
        }
        // A part that runs once more sees its shards where they are.
        if renamed == 3 {
            for number in 0..3 {
                let summary = part(&data, &out, &format!("{number}/3")).unwrap();
                assert!(summary.up_to_date, "{summary}");
            }
        }
        merges(&out);
    }
    // After the index was published, and after the parts were set aside.
    for is_aside in [false, true] {
        let out = format!("published{is_aside}");
        copy(&data.path("parts"), &data.path(&out));
        for (number, name) in &all {
            let to = data.path(&out).join(name);
            fs::rename(folder(&out, *number).join(name), to).unwrap();
        }
        let index = data.path(&out).join("index.parquet");
        fs::copy(data.path("whole/index.parquet"), index).unwrap();
        if is_aside {
            let aside = data.path(&out).join(".incdec-merged-parts");
            artifact::rename(parts_place(&data.path(&out)).folder(), &aside).unwrap();
            fs::remove_dir_all(aside.join("1-of-3")).unwrap();
        }
        merges(&out);
    }
}

#[test]
fn clips_that_come_after_a_merge_are_decoded_in_parts_as_in_one_run() {
    let data = Data::new(CLIPS);
    // Clips of both ranges for training, and one of another split, come later.
    let (raw, hidden) = (data.path("raw/yawning"), data.path("hidden"));
    fs::create_dir(&hidden).unwrap();
    let later = ["clip0", "clip6", "clip1"].map(|name| format!("{name}_000000_000001.mp4"));
    for name in &later {
        fs::rename(raw.join(name), hidden.join(name)).unwrap();
    }
    decode::run(&config(&data, "one")).unwrap();
    for number in 0..2 {
        part(&data, "parts", &format!("{number}/2")).unwrap();
    }
    decode::merge(&merging(&data, "parts", 2)).unwrap();
    assert!(files(&data.path("one")) == files(&data.path("parts")));

    for name in &later {
        fs::rename(hidden.join(name), raw.join(name)).unwrap();
    }
    make(&raw, "gone_000000_000001.mp4", MOVING, &["-c:v", "libx264"]);
    assert_eq!(decode::run(&config(&data, "one")).unwrap().decoded, 4);
    // The parts of this launch are as many as one likes.
    let decoded = [2, 0, 1].map(|n| part(&data, "parts", &format!("{n}/3")).unwrap().decoded);
    assert_eq!(decoded.iter().sum::<usize>(), 4);
    let before = files(&data.path("parts"));
    decode::merge(&merging(&data, "parts", 3)).unwrap();
    let after = files(&data.path("parts"));
    assert!(files(&data.path("one")) == after, "{:?}", after.keys());
    // What lay there was not touched.
    let shards = before
        .iter()
        .filter(|(name, _)| name.components().count() == 1);
    let mut shards = shards.filter(|(name, _)| !name.ends_with("index.parquet"));
    assert!(shards.all(|(name, bytes)| after[name] == *bytes));
    // Other settings decode anew, and what was there goes.
    let other = |part: Option<&str>| DecodeConfig {
        clips_per_shard: NonZeroU32::new(4).unwrap(),
        part: part.map(|part| part.parse().unwrap()),
        ..config(&data, if part.is_some() { "parts" } else { "one" })
    };
    decode::run(&other(None)).unwrap();
    for part in ["0/2", "1/2"] {
        decode::run(&other(Some(part))).unwrap();
    }
    decode::merge(&merging(&data, "parts", 2)).unwrap();
    assert!(files(&data.path("one")) == files(&data.path("parts")));
}

#[test]
fn failures_are_judged_when_the_parts_are_merged() {
    let data = Data::new(2);
    let strict = |part: &str| DecodeConfig {
        max_failed: 0.0,
        part: Some(part.parse().unwrap()),
        ..config(&data, "a")
    };
    for part in ["0/2", "1/2"] {
        decode::run(&strict(part)).unwrap();
    }
    let strict = MergeConfig {
        max_failed: 0.0,
        ..merging(&data, "a", 2)
    };
    for _ in 0..2 {
        let error = decode::merge(&strict).unwrap_err();
        assert!(
            matches!(error, DecodeError::TooManyFailed { .. }),
            "{error}"
        );
        assert!(data.path("a/index.parquet").exists());
    }
    decode::merge(&merging(&data, "a", 2)).unwrap();
}
