//! Downloading in parts: what merging makes of them is what one run would have left.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use incdec::download::{DownloadConfig, DownloadError, DownloadSummary, merge, run, run_part};
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::lock::{Lock, Wait};
use incdec::part::PartsError;
use rand::RngExt;

use super::server::Server;
use super::source::{Source, archive, binary, fake_mp4, tree};
use crate::support;

fn part(config: &DownloadConfig, part: &str) -> Result<DownloadSummary, DownloadError> {
    run_part(config, part.parse().unwrap())
}

fn refused(config: &DownloadConfig, parts: u32) -> PartsError {
    match merge(config, parts).unwrap_err() {
        DownloadError::Parts(error) => {
            assert!(error.hint().is_some(), "{error}");
            error
        }
        error => panic!("{error}"),
    }
}

/// Every file that the stage leaves but the log.
fn left(source: &Source, name: &str) -> Vec<(String, Vec<u8>)> {
    let mut files = tree(&source.out(name));
    files.remove("download.jsonl");
    files.into_iter().collect()
}

fn copy(from: &Path, to: &Path) {
    for (name, bytes) in tree(from) {
        let to = to.join(name);
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::write(to, bytes).unwrap();
    }
}

#[test]
fn parts_in_any_order_and_all_at_once_become_the_tree_and_ledger_of_one_run() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    run(&source.config(&server.url(), "whole")).unwrap();
    let whole = left(&source, "whole");
    for (name, order) in [("a", [0, 1]), ("b", [1, 0])] {
        let config = source.config(&server.url(), name);
        for number in order {
            let summary = part(&config, &format!("{number}/2")).unwrap();
            assert!(summary.fetched > 0, "{summary}");
            let said = summary.to_string();
            assert!(
                said.starts_with(&format!("part {number}/2 of 9 clips wanted: ")),
                "{said}"
            );
        }
        // Neither clips nor ledger are there before the parts are merged.
        assert!(!config.ledger.exists() && !config.raw.join("texting").exists());
        let summary = merge(&config, 2).unwrap();
        assert_eq!(
            (summary.fetched, summary.missing, summary.merged),
            (9, 0, Some(2))
        );
        assert!(left(&source, name) == whole, "{name}");
        // Once more it rests.
        let summary = merge(&config, 2).unwrap();
        assert_eq!((summary.present, summary.fetched), (9, 0));
        assert!(left(&source, name) == whole);
    }
    // More parts than there are archives, at once, as programs.
    let start = |number: usize| {
        let mut command = binary(&source, &server.url(), "c");
        command
            .args(["--part", &format!("{number}/5")])
            .stdout(Stdio::null());
        command.spawn().unwrap()
    };
    let running: Vec<_> = (0..5).map(start).collect();
    for mut child in running {
        assert!(child.wait().unwrap().success());
    }
    let merged = merging(&source, "c", "5").output().unwrap();
    let said = String::from_utf8_lossy(&merged.stdout).into_owned();
    assert!(
        said.contains("5 parts merged"),
        "{said}{}",
        String::from_utf8_lossy(&merged.stderr)
    );
    assert!(left(&source, "c") == whole);
    // One run over what was merged has nothing to do.
    let before = server.requests().len();
    run(&source.config(&server.url(), "c")).unwrap();
    assert_eq!(server.requests().len(), before);
}

fn merging(source: &Source, name: &str, parts: &str) -> std::process::Command {
    let out = source.out(name);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_incdec-download"));
    command.arg("merge").args(["--parts", parts]);
    command
        .arg("--labels")
        .arg(source.folder.path().join("Info"));
    command.arg("--out").arg(out.join("raw"));
    command.arg("--ledger").arg(out.join("downloads.parquet"));
    command
}

#[test]
fn a_part_that_runs_twice_fetches_nothing_again_or_is_busy() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    part(&config, "0/2").unwrap();
    let before = left(&source, "a");
    let summary = part(&config, "0/2").unwrap();
    assert_eq!((summary.archives, summary.fetched), (0, 0), "{summary}");
    assert!(left(&source, "a") == before);

    let folder = config.raw.join(".incdec-download/parts/0-of-2");
    let held = Lock::folder(&folder, "another", Wait::No).unwrap();
    assert_eq!(part(&config, "0/2").unwrap_err().exit(), Exit::TryAgain);
    part(&config, "1/2").unwrap();
    assert_eq!(merge(&config, 2).unwrap_err().exit(), Exit::TryAgain);
    drop(held);
    for folder in [config.ledger.parent().unwrap(), &config.raw] {
        let held = Lock::folder(folder, "a merge", Wait::No).unwrap();
        let error = part(&config, "1/2").unwrap_err();
        assert!(
            matches!(&error, DownloadError::Parts(PartsError::Busy { .. })),
            "{error}"
        );
        assert_eq!(error.exit(), Exit::TryAgain);
        drop(held);
    }
    merge(&config, 2).unwrap();
    source.assert_tree("a");
}

#[test]
fn a_part_that_is_missing_or_does_not_fit_the_others_is_refused_by_name() {
    let source = Source::new(3);
    let folder = source.write("source");
    let config = source.config(folder.to_str().unwrap(), "a");
    assert!(matches!(refused(&config, 3), PartsError::NoParts { .. }));
    part(&config, "0/3").unwrap();
    part(&config, "1/3").unwrap();
    let error = refused(&config, 3);
    assert!(
        matches!(&error, PartsError::Missing { missing: 1, first, .. } if first.to_string() == "2/3")
    );
    assert!(matches!(refused(&config, 2), PartsError::Mixed { .. }));
    // Another filter in one part, and in the merge.
    let limited = DownloadConfig {
        limit: Some(1),
        ..config.clone()
    };
    part(&limited, "2/3").unwrap();
    let error = refused(&config, 3).to_string();
    assert!(
        error.contains("0/3 and 2/3") && error.contains("limit"),
        "{error}"
    );
    part(&config, "2/3").unwrap();
    let error = refused(&limited, 3);
    assert!(matches!(error, PartsError::Changed { .. }), "{error}");
    // A run in between that leaves another ledger.
    run(&limited).unwrap();
    let error = refused(&config, 3).to_string();
    assert!(error.ends_with("downloads.parquet differ"), "{error}");
    for number in 0..3 {
        part(&config, &format!("{number}/3")).unwrap();
    }
    merge(&config, 3).unwrap();
    source.assert_tree("a");
    // What one run after that other would have left.
    let other = source.config(folder.to_str().unwrap(), "b");
    run(&DownloadConfig {
        limit: Some(1),
        ..other.clone()
    })
    .unwrap();
    run(&other).unwrap();
    assert!(left(&source, "a") == left(&source, "b"));
}

#[test]
fn of_a_clip_in_two_archives_the_first_ones_stays_whichever_part_is_done_first() {
    let mut source = Source::new(3);
    let (name, _) = source.clips.first_key_value().unwrap();
    let name = name.clone();
    let last = "train/k700_train_004.tar.gz";
    // The class's own archive is another: this copy has other bytes.
    let other = archive(&[("yawning/x".into(), vec![]), (name, fake_mp4(99, 500))]);
    let joined = {
        use std::io::Read as _;
        let unpack = |bytes: &[u8]| {
            let mut plain = Vec::new();
            flate2::read::GzDecoder::new(bytes)
                .read_to_end(&mut plain)
                .unwrap();
            plain
        };
        [unpack(&source.files[last]), unpack(&other)].concat()
    };
    source.files.insert(last.into(), joined);
    let folder = source.write("source");
    let config = |name: &str| source.config(folder.to_str().unwrap(), name);
    run(&config("whole")).unwrap();
    source.assert_tree("whole");
    for number in [2, 1, 0] {
        part(&config("a"), &format!("{number}/3")).unwrap();
    }
    merge(&config("a"), 3).unwrap();
    assert!(left(&source, "a") == left(&source, "whole"));
}

#[test]
fn what_failed_is_in_the_ledger_and_judged_when_the_parts_are_merged() {
    let mut source = Source::new(3);
    source.files.remove("train/k700_train_003.tar.gz");
    let folder = source.write("source");
    let config = |name: &str| source.config(folder.to_str().unwrap(), name);
    let whole = run(&config("whole")).unwrap_err();
    for number in 0..3 {
        part(&config("a"), &format!("{number}/3")).unwrap();
    }
    let merged = merge(&config("a"), 3).unwrap_err();
    assert_eq!(merged.to_string(), whole.to_string());
    assert!(left(&source, "a") == left(&source, "whole"));
    let again = merge(&config("a"), 3).unwrap_err();
    assert_eq!(again.exit(), whole.exit(), "{again}");
    let lenient = DownloadConfig {
        max_missing: 1.0,
        ..config("a")
    };
    assert_eq!(merge(&lenient, 3).unwrap().missing, 3);
}

#[test]
fn parts_and_a_merge_that_are_killed_at_random_moments_go_on() {
    let source = Source::with_payload(3, 8_000);
    let server = Server::start(source.files.clone());
    run(&source.config(&server.url(), "whole")).unwrap();
    let whole = left(&source, "whole");
    let mut rng = support::moments("parts_and_a_merge_that_are_killed");
    let mut until_done = |start: &dyn Fn() -> std::process::Command, usual: Duration| {
        let mut longest = usual;
        loop {
            let mut child = start()
                .stdout(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            let wait = longest.mul_f64(rng.random_range(0.0..1.1));
            std::thread::sleep(wait.min(Duration::from_secs(2)));
            child.kill().unwrap();
            if child.wait().unwrap().success() {
                return;
            }
            longest = longest.mul_f64(1.05);
        }
    };
    let timed = |mut command: std::process::Command| {
        let started = Instant::now();
        assert!(command.stdout(Stdio::null()).status().unwrap().success());
        started.elapsed()
    };
    let of = |name: &'static str, number: u32| {
        let (source, url) = (&source, server.url());
        move || {
            let mut command = binary(source, &url, name);
            command.args(["--part", &format!("{number}/2")]);
            command
        }
    };
    let usual = timed(of("parts", 0)());
    timed(of("parts", 1)());
    copy(&source.out("parts"), &source.out("timed"));
    let usual_merge = timed(merging(&source, "timed", "2"));
    for number in 0..2 {
        until_done(&of("killed", number), usual);
    }
    merge(&source.config(&server.url(), "killed"), 2).unwrap();
    assert!(left(&source, "killed") == whole);
    for round in 0..8 {
        let name = format!("merged-{round}");
        copy(&source.out("parts"), &source.out(&name));
        if round % 2 == 1 {
            // Parts that are started again while a merge is unfinished rest.
            let mut child = merging(&source, &name, "2")
                .stdout(Stdio::null())
                .spawn()
                .unwrap();
            std::thread::sleep(usual_merge.mul_f64(f64::from(round) / 8.0));
            child.kill().unwrap();
            if !child.wait().unwrap().success() {
                for number in 0..2 {
                    let config = source.config(&server.url(), &name);
                    assert_eq!(part(&config, &format!("{number}/2")).unwrap().archives, 0);
                }
            }
        }
        until_done(&|| merging(&source, &name, "2"), usual_merge);
        assert!(left(&source, &name) == whole, "{name}");
    }
}
