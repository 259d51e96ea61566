//! What a run owns and what it remembers: locks, clips that disappear, a damaged ledger, one of an
//! older version.

use std::fs;
use std::path::Path;

use incdec::download::ledger::{LedgerRow, mend, verify};
use incdec::download::{DownloadConfig, DownloadError, run};
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::lock::{Lock, Wait};
use incdec::parquet_file::{self, TableError};

use super::ledger;
use super::mischief::Mischief;
use super::server::Server;
use super::source::{Source, binary, tree};

#[test]
fn a_second_run_on_the_same_ledger_or_clips_names_the_first() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    for folder in [config.ledger.parent().unwrap(), &config.raw] {
        let held = Lock::folder(folder, "incdec-other", Wait::No).unwrap();
        for result in [run(&config).map(drop), mend(&config, |_| ()).map(drop)] {
            let error = result.unwrap_err();
            assert!(matches!(error, DownloadError::Lock(_)), "{error}");
            assert!(
                error.to_string().contains("incdec-other, process"),
                "{error}"
            );
            assert_eq!(error.exit(), Exit::TryAgain);
        }
        let refused = binary(&source, &server.url(), "a").output().unwrap();
        let text = String::from_utf8(refused.stderr).unwrap();
        assert_eq!(refused.status.code(), Some(75), "{text}");
        assert!(text.contains("hint: ") && text.contains("--wait"), "{text}");
        drop(held);
    }
    assert!(server.requests().is_empty());
    run(&config).unwrap();
    source.assert_tree("a");
    // Readers take no lock.
    let _held = Lock::folder(&config.raw, "incdec-other", Wait::No).unwrap();
    assert_eq!(verify(&config.raw, &config.ledger, 1).unwrap().sound, 9);
}

#[test]
fn one_that_waits_begins_when_the_other_has_ended() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let folder = source.out("a");
    let held = Lock::folder(&folder, "incdec-other", Wait::No).unwrap();
    let mut command = binary(&source, &server.url(), "a");
    let mut child = command.arg("--wait").spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(child.try_wait().unwrap().is_none());
    drop(held);
    assert!(child.wait().unwrap().success());
    source.assert_tree("a");
}

#[test]
fn ledger_and_clips_may_share_a_folder() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let config = DownloadConfig {
        ledger: config.raw.join("downloads.parquet"),
        ..config
    };
    run(&config).unwrap();
    assert_eq!(tree(&config.raw).len(), 10);
}

#[test]
fn clips_that_disappear_meanwhile_are_an_error_and_fetched_by_the_next_run() {
    let source = Source::with_payload(3, 40_000);
    let server = Server::start(source.files.clone());
    let config = DownloadConfig {
        jobs: 1,
        max_missing: 1.0,
        ..source.config(&server.url(), "a")
    };
    // The first archive's clips go while the second is being fetched.
    server.plan([Mischief::Behave, Mischief::StallAfter(10_000)]);
    let lost = config.raw.join("tasting beer");
    let error = std::thread::scope(|scope| {
        scope.spawn(|| {
            let finished = || {
                let records = fs::read_dir(config.raw.join(".incdec-download/records"));
                records.is_ok_and(|mut records| {
                    records.any(|r| {
                        let record = r.and_then(|r| fs::read_to_string(r.path()));
                        record.is_ok_and(|record| record.contains("\"complete\""))
                    })
                })
            };
            while !finished() {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            fs::remove_dir_all(&lost).unwrap();
        });
        run(&config).unwrap_err()
    });
    assert!(
        matches!(&error, DownloadError::Removed { first, .. } if first.starts_with(&lost)),
        "{error}"
    );
    assert!(!config.ledger.exists());
    run(&config).unwrap();
    source.assert_tree("a");
    assert_eq!(verify(&config.raw, &config.ledger, 1).unwrap().sound, 9);
}

#[test]
fn a_flipped_byte_of_the_ledger_is_named_and_nothing_is_fetched_again() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    run(&config).unwrap();
    let whole = fs::read(&config.ledger).unwrap();
    let flipped = (0..whole.len()).rev().find_map(|at| {
        let mut flipped = whole.clone();
        flipped[at] ^= 1;
        fs::write(&config.ledger, &flipped).unwrap();
        let read = parquet_file::read::<LedgerRow>(&config.ledger);
        let noticed = matches!(read, Err(TableError::Changed { what: "rows", .. }));
        noticed.then_some(flipped)
    });
    let flipped = flipped.unwrap();
    let before = server.requests().len();
    let error = run(&config).unwrap_err();
    assert!(
        matches!(error, DownloadError::Table(TableError::Changed { .. })),
        "{error}"
    );
    let hint = error.hint().unwrap();
    assert!(
        hint.contains("move it away") && hint.contains("copy"),
        "{hint}"
    );
    // Not silently either.
    assert!(run(&config).is_err());
    assert_eq!(fs::read(&config.ledger).unwrap(), flipped);
    fs::rename(&config.ledger, config.ledger.with_extension("damaged")).unwrap();
    // A clip that is not what the archive has, a user's own say, is adopted and stays, though the
    // archive is read for another.
    let mut names = source.clips.keys();
    let cut = config.raw.join(names.next().unwrap());
    let bytes = fs::read(&cut).unwrap();
    fs::write(&cut, &bytes[..bytes.len() - 1]).unwrap();
    let own = config.raw.join(names.next().unwrap());
    let mut bytes = fs::read(&own).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    fs::write(&own, &bytes).unwrap();
    let summary = run(&config).unwrap();
    assert_eq!(
        (summary.adopted, summary.present, summary.archives),
        (8, 9, 1)
    );
    assert!(server.requests().len() > before);
    assert_eq!(fs::read(&own).unwrap(), bytes);
    assert_eq!(
        fs::read(&cut).unwrap(),
        source.clips[source.clips.keys().next().unwrap()]
    );
    let findings = verify(&config.raw, &config.ledger, 1).unwrap();
    assert_eq!((findings.sound, findings.damaged.len()), (9, 0));
    let asked = server.requests().len();
    let again = run(&config).unwrap();
    assert_eq!((again.present, again.adopted, again.wire_bytes), (9, 0, 0));
    assert_eq!(server.requests().len(), asked);
    let adopted = ledger(&config);
    let adopted = adopted.iter().filter(|r| r.state == "adopted");
    assert_eq!(adopted.count(), 8);
    // One that is gone is fetched like any other.
    fs::remove_file(&own).unwrap();
    run(&config).unwrap();
    source.assert_tree("a");
    let states = super::clip_states(&config);
    let present = states.iter().filter(|(_, state)| state == "present");
    assert_eq!(present.count(), 2);
}

#[test]
fn a_ledger_that_older_programs_wrote_is_used_and_rewritten_and_nothing_fetched() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let written = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/downloads-1.parquet");
    for (name, bytes) in &source.clips {
        let path = config.raw.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    fs::copy(&written, &config.ledger).unwrap();
    let has = |path: &Path, key: &str| {
        let bytes = fs::read(path).unwrap();
        bytes.windows(key.len()).any(|w| w == key.as_bytes())
    };
    assert!(!has(&written, "incdec.rows"));
    let before = ledger(&config);
    let summary = run(&config).unwrap();
    assert_eq!((summary.present, summary.wire_bytes), (9, 0));
    assert!(server.requests().is_empty());
    assert!(has(&config.ledger, "incdec.rows"));
    assert_eq!(ledger(&config), before);
    let findings = verify(&config.raw, &config.ledger, 1).unwrap();
    assert_eq!((findings.sound, findings.damaged.len()), (9, 0));
}

#[test]
fn rows_that_name_files_elsewhere_and_versions_to_come_are_refused() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    run(&config).unwrap();
    let rows = ledger(&config);
    let outside = source.out("a").join("mine.mp4");
    fs::write(&outside, b"mine").unwrap();
    let clip = rows.iter().position(|r| r.state == "present").unwrap();
    for (subcategory, name) in [("..", "mine"), ("a/../..", &rows[clip].name)] {
        let mut rows = rows.clone();
        rows[clip].subcategory = Some(subcategory.into());
        rows[clip].name = name.to_owned();
        parquet_file::write(&config.ledger, &rows, &parquet_file::Provenance::default()).unwrap();
        let error = mend(&config, |_| ()).unwrap_err();
        assert!(matches!(error, DownloadError::LedgerRow { .. }), "{error}");
        assert!(run(&config).is_err());
    }
    assert!(outside.exists());
    let newer = NewerRow {
        clip_id: "a".into(),
    };
    parquet_file::write(
        &config.ledger,
        &[newer],
        &parquet_file::Provenance::default(),
    )
    .unwrap();
    let error = run(&config).unwrap_err();
    assert!(
        matches!(
            error,
            DownloadError::Table(TableError::Version { found: 2, .. })
        ),
        "{error}"
    );
}

/// A row of a ledger that a later version of the program writes.
#[derive(serde::Serialize, serde::Deserialize)]
struct NewerRow {
    clip_id: String,
}

impl parquet_file::Table for NewerRow {
    const FORMAT: parquet_file::Format = parquet_file::Format {
        version: LedgerRow::FORMAT.version + 1,
        ..LedgerRow::FORMAT
    };

    fn columns() -> Vec<arrow::datatypes::Field> {
        vec![parquet_file::column::text("clip_id")]
    }
}

#[test]
fn withdrawn_clips_are_never_fetched_and_count_against_no_limit() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let gone: Vec<&String> = source.clips.keys().take(2).collect();
    let id = |path: &str| {
        path.rsplit('/')
            .next()
            .unwrap()
            .trim_end_matches(".mp4")
            .to_owned()
    };
    let lines: String = gone
        .iter()
        .map(|path| format!("{},2026-03-31,R-1\n", id(path)))
        .collect();
    let list = config.labels.join("withdrawn.csv");
    fs::write(&list, format!("clip_id,withdrawn_on,request\n{lines}")).unwrap();
    let summary = run(&config).unwrap();
    assert_eq!(
        (summary.wanted, summary.missing, summary.withdrawn),
        (7, 0, 2)
    );
    let there = tree(&config.raw);
    assert!(gone.iter().all(|path| !there.contains_key(*path)));
    assert!(
        ledger(&config)
            .iter()
            .all(|row| !lines.contains(&row.name) || row.name.is_empty())
    );
    // Where its file is there already, as whatever kind, the command that erases it is named.
    let left = config.raw.join(gone[0]).with_extension("webm");
    fs::write(&left, b"left").unwrap();
    let told = binary(&source, &server.url(), "a").output().unwrap();
    let said = String::from_utf8(told.stderr).unwrap();
    assert!(
        said.contains("1 withdrawn clips still have files") && said.contains("make erase"),
        "{said}"
    );
    let news = String::from_utf8(told.stdout).unwrap();
    assert!(news.contains("2 more withdrawn"), "{news}");
    // Taken back, they are fetched.
    fs::remove_file(left).unwrap();
    fs::remove_file(&list).unwrap();
    run(&config).unwrap();
    source.assert_tree("a");
}
