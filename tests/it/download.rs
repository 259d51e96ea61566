//! The download stage against well-behaved sources: what is fetched, kept, refused, written down
//! and left alone.

mod faults;
mod field;
mod kill;
mod labels;
mod limits;
mod members;
pub(crate) mod mischief;
mod names;
mod parts;
mod planning;
mod reach;
mod secrets;
pub(crate) mod server;
mod source;
mod state;

use std::fs;

use incdec::clip::Split;
use incdec::download::ledger::{Kind, LedgerRow, mend, verify};
use incdec::download::{DownloadConfig, DownloadError, run};
use incdec::hint::Hint;
use incdec::parquet_file;

use server::Server;
use source::{Source, archive, binary, tree};

fn ledger(config: &DownloadConfig) -> Vec<LedgerRow> {
    parquet_file::read(&config.ledger).unwrap()
}

fn clip_states(config: &DownloadConfig) -> Vec<(String, String)> {
    let rows = ledger(config);
    let clips = rows.into_iter().filter(|r| r.kind == Kind::Clip);
    clips.map(|r| (r.name, r.state)).collect()
}

#[test]
fn only_what_the_labels_name_is_fetched_and_kept_and_a_second_run_asks_for_nothing() {
    let source = Source::new(6);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let summary = run(&config).unwrap();
    assert_eq!(
        (summary.wanted, summary.present, summary.missing),
        (18, 18, 0)
    );
    source.assert_tree("a");
    let requests = server.requests();
    assert!(
        !requests.iter().any(|r| r.contains("k700_train_001")),
        "{requests:?}"
    );
    // Index, annotations and first headers included.
    assert!(
        summary.wire_bytes * 100 <= source.archive_bytes() * 105,
        "{summary}"
    );

    let again = run(&config).unwrap();
    assert_eq!((again.present, again.fetched, again.wire_bytes), (18, 0, 0));
    assert_eq!(server.requests().len(), requests.len());
}

#[test]
fn the_ledger_is_the_same_for_the_same_source_and_says_what_there_is() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let (a, b) = (
        source.config(&server.url(), "a"),
        source.config(&server.url(), "b"),
    );
    run(&a).unwrap();
    run(&DownloadConfig {
        jobs: 1,
        ..b.clone()
    })
    .unwrap();
    assert_eq!(fs::read(&a.ledger).unwrap(), fs::read(&b.ledger).unwrap());
    let rows = ledger(&a);
    let archives: Vec<_> = rows.iter().filter(|r| r.kind == Kind::Archive).collect();
    assert_eq!(archives.len(), 3);
    for row in archives {
        assert_eq!((row.members_seen, row.members_kept), (Some(5), Some(3)));
        assert!(row.etag.is_some() && row.blake3.is_some());
        assert!(row.url.as_ref().unwrap().starts_with(&server.url()));
    }
    let clips: Vec<_> = rows.iter().filter(|r| r.kind == Kind::Clip).collect();
    assert_eq!(clips.len(), 9);
    assert!(clips.iter().all(|r| r.container.as_deref() == Some("ok")));
}

#[test]
fn filters_narrow_what_is_fetched_and_what_was_fetched_before_stays() {
    let source = Source::new(6);
    let server = Server::start(source.files.clone());
    let all = source.config(&server.url(), "a");
    let narrow = DownloadConfig {
        classes: vec!["texting".into()],
        splits: vec![Split::Train],
        limit: Some(1),
        ..all.clone()
    };
    assert_eq!(run(&narrow).unwrap().present, 1);
    assert_eq!(tree(&narrow.raw).len(), 1);
    assert_eq!(run(&all).unwrap().present, 18);
    source.assert_tree("a");
    let unknown = DownloadConfig {
        classes: vec!["flying".into()],
        ..all
    };
    assert!(matches!(run(&unknown), Err(DownloadError::Class { .. })));
}

#[test]
fn the_command_plans_downloads_and_verifies() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let task = |task: &[&str]| {
        let whole = binary(&source, &server.url(), "a");
        let mut command = std::process::Command::new(whole.get_program());
        let output = command.args(task).args(whole.get_args()).output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(text).unwrap())
    };
    let (code, plan) = task(&["plan"]);
    assert_eq!(code, Some(0), "{plan}");
    for line in [
        "train/k700_train_002.tar.gz\ttasting beer\t",
        "to fetch: 3 of 4 archives",
        "clips: 9 wanted, 0 there, 0 as frames, 0 known to be missing, 9 to find",
        "disk: about",
    ] {
        assert!(plan.contains(line), "{line}: {plan}");
    }
    let (code, same) = task(&["--dry-run"]);
    // The free space behind it may change.
    let stable = |text: &str| text.split("\ndisk:").next().unwrap().to_owned();
    assert_eq!((code, stable(&same)), (Some(0), stable(&plan)));
    assert!(!source.out("a").exists(), "a plan leaves nothing behind");
    let (code, said) = task(&[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(
        said.contains("9 clips wanted: 9 present (9 fetched now)"),
        "{said}"
    );
    let raw = source.out("a").join("raw");
    fs::remove_file(raw.join(source.clips.keys().next().unwrap())).unwrap();
    let (code, said) = task(&["verify", "--dry-run"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("is gone\n8 clips sound") && said.contains("hint: "),
        "{said}"
    );
    let (code, said) = task(&["verify"]);
    assert_eq!(code, Some(0), "{said}");
    source.assert_tree("a");
    for wrong in [
        ["--max-missing", "2"],
        ["--max-rate", "-1"],
        ["--stall", "0"],
        ["--split", "val"],
        ["--tries", "0"],
    ] {
        assert_eq!(task(&wrong).0, Some(2), "{wrong:?}");
    }
    let (code, said) = task(&["--classes", "yawning,flying"]);
    assert_eq!(code, Some(1));
    assert!(
        said.contains("they have tasting beer, texting, yawning"),
        "{said}"
    );
}

#[test]
fn missing_clips_are_rows_with_a_reason_and_frame_folders_count() {
    let mut source = Source::new(3);
    let gone = source.clips.pop_last().unwrap().0;
    let framed = source.clips.pop_last().unwrap().0;
    let path = "train/k700_train_004.tar.gz";
    let rest: Vec<_> = source
        .clips
        .iter()
        .filter(|(n, _)| n.starts_with("yawning"))
        .map(|(n, b)| (n.clone(), b.clone()))
        .collect();
    source.files.insert(path.into(), archive(&rest));
    let server = Server::start(source.files.clone());
    let id = |name: &str| {
        name.rsplit_once('/')
            .unwrap()
            .1
            .trim_end_matches(".mp4")
            .to_owned()
    };
    let videos = source.out("Videos");
    let jpgs = videos.join(format!("id_{}", id(&framed))).join("jpgs");
    fs::create_dir_all(&jpgs).unwrap();
    fs::write(jpgs.join("image_00001.jpg"), b"jpeg").unwrap();

    let strict = DownloadConfig {
        frame_folders: Some(videos),
        ..source.config(&server.url(), "a")
    };
    let error = run(&strict).unwrap_err();
    assert!(
        matches!(
            error,
            DownloadError::Missing {
                missing: 1,
                labelled: 9,
                ..
            }
        ),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--max-missing"));
    let lenient = DownloadConfig {
        max_missing: 0.2,
        ..strict
    };
    let before = server.requests().len();
    let summary = run(&lenient).unwrap();
    assert_eq!(
        (summary.present, summary.frames, summary.missing),
        (7, 1, 1)
    );
    // What is known to be absent is not looked for again in an archive that has not changed.
    let asked = &server.requests()[before..];
    let archives: Vec<_> = asked
        .iter()
        .filter(|r| r.contains("k700_train_0"))
        .collect();
    assert_eq!(archives, [&format!("HEAD {path}")], "{asked:?}");
    source.assert_tree("a");
    let states = clip_states(&lenient);
    assert!(states.contains(&(id(&framed), "frames".into())));
    assert!(states.contains(&(id(&gone), "missing".into())));
    let row = ledger(&lenient)
        .into_iter()
        .find(|r| r.name == id(&gone))
        .unwrap();
    assert!(row.reason.unwrap().contains("none of the archives"));
}

#[test]
fn verify_finds_what_changed_on_disk_and_mends_it() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    run(&config).unwrap();
    let ledger_bytes = fs::read(&config.ledger).unwrap();
    let mut names = source.clips.keys();
    let (changed, removed) = (names.next().unwrap(), names.next_back().unwrap());
    let mut bytes = source.clips[changed].clone();
    bytes[100] ^= 1;
    fs::write(config.raw.join(changed), bytes).unwrap();
    fs::remove_file(config.raw.join(removed)).unwrap();
    let findings = verify(&config.raw, &config.ledger, 2).unwrap();
    assert_eq!(findings.sound, 7);
    let damaged: Vec<_> = findings.damaged.iter().map(|d| &d.name).collect();
    assert_eq!(damaged, [changed, removed]);
    assert!(config.raw.join(changed).exists(), "looking changes nothing");
    let mut said = None;
    let summary = mend(&config, |findings| said = Some(findings.clone()))
        .unwrap()
        .unwrap();
    assert_eq!(said.as_ref(), Some(&findings));
    assert_eq!(
        (summary.wanted, summary.present, summary.archives),
        (2, 2, 2)
    );
    assert!(findings.into_result().is_err());
    source.assert_tree("a");
    assert_eq!(fs::read(&config.ledger).unwrap(), ledger_bytes);
    assert!(
        verify(&config.raw, &config.ledger, 2)
            .unwrap()
            .into_result()
            .is_ok()
    );
}

#[test]
fn mending_fetches_what_is_damaged_and_nothing_else() {
    let source = Source::new(6);
    let server = Server::start(source.files.clone());
    let narrow = DownloadConfig {
        limit: Some(1),
        ..source.config(&server.url(), "a")
    };
    run(&narrow).unwrap();
    let before = tree(&narrow.raw);
    assert_eq!(before.len(), 9);
    let ledger_before = ledger(&narrow);
    fs::write(narrow.raw.join(before.keys().next().unwrap()), b"short").unwrap();
    // Without the filter that the first run had: the others are missing, and stay so.
    let wide = source.config(&server.url(), "a");
    let findings = verify(&wide.raw, &wide.ledger, 2).unwrap();
    assert_eq!((findings.sound, findings.damaged.len()), (8, 1));
    let summary = mend(&wide, |_| ()).unwrap().unwrap();
    assert_eq!(
        (summary.wanted, summary.present, summary.archives),
        (1, 1, 1)
    );
    assert!(tree(&wide.raw) == before);
    assert!(
        ledger(&wide) == ledger_before,
        "the other clips keep their rows"
    );
    // What no label names any more cannot be fetched, and that is said.
    let gone = before.keys().next().unwrap();
    fs::remove_file(wide.raw.join(gone)).unwrap();
    for name in ["train", "validation", "test"] {
        let path = wide.labels.join(format!("{name}.csv"));
        let text = fs::read_to_string(&path).unwrap();
        let id = gone
            .split('/')
            .next_back()
            .unwrap()
            .split("__")
            .next()
            .unwrap();
        let rest: Vec<_> = text.lines().filter(|l| !l.contains(id)).collect();
        fs::write(&path, rest.join("\n") + "\n").unwrap();
    }
    let error = mend(&wide, |_| ()).unwrap_err();
    assert!(
        matches!(error, DownloadError::Damaged { damaged: 1, .. }),
        "{error}"
    );
    let findings = verify(&wide.raw, &wide.ledger, 2).unwrap();
    assert_eq!((findings.sound, findings.damaged.len()), (8, 0));
}

#[test]
fn a_failed_second_reading_takes_nothing_from_the_ledger() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    run(&config).unwrap();
    let whole = fs::read(&config.ledger).unwrap();
    let lost = source.clips.keys().next().unwrap();
    fs::remove_file(config.raw.join(lost)).unwrap();
    server.plan(vec![mischief::Mischief::RedirectLoop; 6 * 9]);
    let error = run(&config).unwrap_err();
    assert!(
        matches!(error, DownloadError::Archives { failed: 1, .. }),
        "{error}"
    );
    let present = clip_states(&config)
        .into_iter()
        .filter(|(_, s)| s == "present");
    assert_eq!(present.count(), 8);
    let requests = server.requests().len();
    run(&config).unwrap();
    source.assert_tree("a");
    assert!(fs::read(&config.ledger).unwrap() == whole);
    let again = &server.requests()[requests..];
    let read: Vec<_> = again
        .iter()
        .filter(|r| r.starts_with("GET train/k700_train_0"))
        .collect();
    assert_eq!(read.len(), 1, "{again:?}");
}

#[test]
fn kept_archives_are_whole() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let archives = source.out("archives");
    let config = DownloadConfig {
        keep_archives: Some(archives.clone()),
        ..source.config(&server.url(), "a")
    };
    run(&config).unwrap();
    let kept = tree(&archives);
    assert_eq!(kept.len(), 3);
    assert!(
        kept.iter()
            .all(|(name, bytes)| source.files[name] == *bytes)
    );
}
