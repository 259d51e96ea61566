//! The download stage against a server that misbehaves: in the end the same tree as from a good
//! one.

use incdec::download::{DownloadConfig, DownloadError, DownloadSummary, run};
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::random::stream;
use rand::RngExt;

use super::ledger;
use super::mischief::Mischief::{self, *};
use super::server::Server;
use super::source::Source;

/// Downloads with the given mischief, checks the tree against the source, and that all mischief was
/// met.
fn survives(mischief: Vec<Mischief>) -> (Source, DownloadSummary) {
    let source = Source::with_payload(6, 60_000);
    let server = Server::start(source.files.clone());
    server.plan(mischief);
    let config = DownloadConfig {
        jobs: 1,
        ..source.config(&server.url(), "a")
    };
    let summary = run(&config).unwrap();
    assert_eq!(server.left(), 0, "some mischief was never met");
    source.assert_tree("a");
    (source, summary)
}

fn assert_little_waste(source: &Source, summary: &DownloadSummary) {
    assert!(
        summary.wire_bytes * 100 <= source.archive_bytes() * 105,
        "{} bytes over the wire for {}",
        summary.wire_bytes,
        source.archive_bytes()
    );
}

#[test]
fn resets_at_random_bytes_cost_next_to_nothing() {
    let mut rng = stream(1, "resets", &[]);
    let resets = (0..40).map(|_| ResetAfter(rng.random_range(0..60_000)));
    let (source, summary) = survives(resets.collect());
    assert_little_waste(&source, &summary);
}

#[test]
fn an_early_end_is_no_end() {
    let (source, summary) = survives(vec![EndAfter(100_000), EndAfter(0), EndAfter(7)]);
    assert_little_waste(&source, &summary);
}

#[test]
fn a_busy_server_is_asked_again() {
    let (source, summary) = survives(vec![
        Busy(Some(1)),
        Busy(None),
        ResetAfter(5000),
        Busy(Some(0)),
        BusyUntil(1),
    ]);
    assert_little_waste(&source, &summary);
}

#[test]
fn stalls_and_trickles_are_left_for_a_new_connection() {
    let (source, summary) = survives(vec![StallAfter(0), StallAfter(30_000), Drip, DripHead]);
    assert_little_waste(&source, &summary);
}

#[test]
fn a_server_without_ranges_is_read_again_from_the_start() {
    survives(vec![
        IgnoreRangeAndResetAfter(50_000),
        IgnoreRangeAndResetAfter(150_000),
        IgnoreRange,
    ]);
}

#[test]
fn wrong_lengths_are_seen_through() {
    survives(vec![WrongLength(-20_000)]);
    survives(vec![WrongLength(5_000)]);
}

#[test]
fn every_corruption_is_caught() {
    let mut rng = stream(2, "corruption", &[]);
    for _ in 0..12 {
        survives(vec![
            Corrupt(rng.random_range(0..1 << 30)),
            Behave,
            Corrupt(rng.random_range(0..1 << 30)),
            Blank(rng.random_range(0..1 << 30), rng.random_range(16..5000)),
        ]);
    }
}

#[test]
fn a_file_that_changes_on_the_way_is_read_anew() {
    let before = Source::with_payload(6, 60_000);
    let after = Source::with_payload(6, 61_000);
    let path = "train/k700_train_002.tar.gz";
    let server = Server::start(before.files.clone());
    server.plan([ResetAfter(100_000), Replace(after.files[path].clone())]);
    let config = DownloadConfig {
        jobs: 1,
        ..before.config(&server.url(), "a")
    };
    run(&config).unwrap();
    let mut expected = before.clips.clone();
    for (name, bytes) in &after.clips {
        if name.starts_with("tasting beer") {
            expected.insert(name.clone(), bytes.clone());
        }
    }
    assert!(super::tree(&config.raw) == expected);
}

#[test]
fn what_cannot_be_had_is_an_error_that_leaves_the_rest_and_heals() {
    let source = Source::with_payload(3, 60_000);
    let server = Server::start(source.files.clone());
    let config = DownloadConfig {
        jobs: 1,
        ..source.config(&server.url(), "a")
    };
    // Each attempt follows the redirects until there are too many of them.
    server.plan(vec![RedirectLoop; 6 * 9]);
    let error = run(&config).unwrap_err();
    assert!(
        matches!(
            error,
            DownloadError::Archives {
                failed: 1,
                archives: 3,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(
        super::tree(&config.raw).len(),
        6,
        "two archives are there, nothing half"
    );
    let failed = ledger(&config)
        .into_iter()
        .find(|r| r.state == "failed")
        .unwrap();
    assert!(failed.reason.unwrap().contains("redirect"));
    run(&config).unwrap();
    source.assert_tree("a");
}

#[test]
fn an_archive_that_is_cut_at_its_source_fails_and_leaves_no_clip_of_its_own() {
    let mut source = Source::with_payload(3, 60_000);
    let path = "train/k700_train_003.tar.gz";
    let whole = source.files[path].clone();
    source
        .files
        .insert(path.into(), whole[..whole.len() - 5].to_vec());
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let error = run(&config).unwrap_err();
    assert!(
        matches!(error, DownloadError::Archives { failed: 1, .. }),
        "{error}"
    );
    assert_eq!(error.exit(), Exit::Hopeless);
    let names: Vec<_> = super::tree(&config.raw).into_keys().collect();
    assert_eq!(names.len(), 6);
    assert!(!names.iter().any(|n| n.starts_with("texting")));
    // Who can do without its clips goes on; the ledger says why they are missing.
    let lenient = DownloadConfig {
        max_missing: 0.4,
        ..config
    };
    let summary = run(&lenient).unwrap();
    assert_eq!((summary.present, summary.missing), (6, 3));
    let rows = ledger(&lenient);
    let state = |name: &str| rows.iter().find(|r| r.name == name).unwrap();
    assert_eq!(state("k700_train_003.tar.gz").state, "damaged");
    let missing: Vec<_> = rows.iter().filter(|r| r.state == "missing").collect();
    assert_eq!(missing.len(), 3);
    for row in missing {
        assert_eq!(row.subcategory.as_deref(), Some("texting"));
        assert!(
            row.reason
                .as_ref()
                .unwrap()
                .contains("damaged at its source")
        );
    }
}

/// A source whose third archive is cut and whose fourth is not there.
fn two_archives_lost() -> Source {
    let mut source = Source::with_payload(3, 9_000);
    let path = "train/k700_train_003.tar.gz";
    let whole = source.files[path].clone();
    source
        .files
        .insert(path.into(), whole[..whole.len() - 5].to_vec());
    source.files.remove("train/k700_train_004.tar.gz");
    source
}

#[test]
fn what_is_absent_is_passed_over_like_what_is_damaged_and_within_the_limit_alone() {
    let source = two_archives_lost();
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let lenient = DownloadConfig {
        max_missing: 0.7,
        ..config.clone()
    };
    let summary = run(&lenient).unwrap();
    assert_eq!(
        (summary.present, summary.missing, summary.passed_over),
        (3, 6, 2)
    );
    assert!(summary.to_string().contains("2 passed over"), "{summary}");
    let asked = server.requests();
    let asked = asked
        .iter()
        .filter(|r| **r == "GET train/k700_train_004.tar.gz");
    assert_eq!(
        asked.count(),
        3,
        "an archive that is not there is asked for again"
    );
    let rows = ledger(&config);
    let row = |name: &str| rows.iter().find(|r| r.name == name).unwrap();
    assert_eq!(row("k700_train_003.tar.gz").state, "damaged");
    let absent = row("k700_train_004.tar.gz");
    assert_eq!(absent.state, "absent");
    assert!(absent.reason.as_ref().unwrap().contains("404"));
    for row in rows.iter().filter(|r| r.state == "missing") {
        let damaged = row.subcategory.as_deref() == Some("texting");
        let expected = if damaged {
            "damaged"
        } else {
            "not at its source"
        };
        assert!(row.reason.as_ref().unwrap().contains(expected), "{row:?}");
    }
    let error = run(&config).unwrap_err();
    assert!(
        matches!(
            error,
            DownloadError::Archives {
                failed: 2,
                archives: 2,
                ..
            }
        ),
        "{error}"
    );
    assert_eq!(error.exit(), Exit::Hopeless);
    assert!(error.hint().unwrap().contains("--max-missing"));
    // It may come back.
    let whole = Source::with_payload(3, 9_000);
    let server = Server::start(whole.files.clone());
    let config = DownloadConfig {
        source: Some(server.url().into()),
        ..config
    };
    run(&config).unwrap();
    source.assert_tree("a");
}

#[test]
fn what_is_damaged_at_its_source_fails_beside_what_cannot_be_had() {
    let mut source = two_archives_lost();
    let whole = Source::with_payload(3, 9_000);
    let path = "train/k700_train_004.tar.gz";
    source.files.insert(path.into(), whole.files[path].clone());
    let server = Server::start(source.files.clone());
    let config = DownloadConfig {
        max_missing: 1.0,
        jobs: 1,
        ..source.config(&server.url(), "a")
    };
    // One archive is sound, the second is read three times; the third is always busy.
    let mut mischief = vec![Behave; 4];
    mischief.extend(vec![Busy(None); 6]);
    server.plan(mischief);
    let error = run(&config).unwrap_err();
    assert!(
        matches!(&error, DownloadError::Archives { failed: 2, first, .. } if first.contains("503")),
        "{error}"
    );
    assert_eq!(error.exit(), Exit::TryAgain);
    let rows = ledger(&config);
    let reasons: Vec<_> = rows
        .iter()
        .filter(|r| r.state == "missing")
        .map(|r| {
            (
                r.subcategory.as_deref().unwrap(),
                r.reason.as_deref().unwrap(),
            )
        })
        .collect();
    assert_eq!(reasons.len(), 6);
    for (class, reason) in reasons {
        assert_eq!(
            reason.contains("could not be read"),
            class == "yawning",
            "{class}: {reason}"
        );
    }
    // Where the damage alone is too much, no other try can help, whatever else is wrong.
    server.plan(vec![Behave; 3]);
    server.plan(vec![Busy(None); 6]);
    let strict = DownloadConfig {
        max_missing: 0.1,
        ..config
    };
    assert_eq!(run(&strict).unwrap_err().exit(), Exit::Hopeless);
}

#[test]
fn what_the_source_forbids_is_neither_absent_nor_a_passing_trouble() {
    let source = Source::with_payload(3, 9_000);
    let server = Server::start(source.files.clone());
    let config = DownloadConfig {
        max_missing: 1.0,
        jobs: 1,
        ..source.config(&server.url(), "a")
    };
    server.plan([Status(403)]);
    let error = run(&config).unwrap_err();
    assert!(
        matches!(error, DownloadError::Archives { failed: 1, .. }),
        "{error}"
    );
    assert_eq!(error.exit(), Exit::Failed);
    assert!(error.hint().unwrap().contains("--signed"));
}
