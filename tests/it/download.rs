//! The download stage against well-behaved sources: what is fetched, kept, refused, written down and left alone.

mod faults;
mod kill;
mod labels;
mod server;
mod source;

use std::fs;

use flate2::Compression;
use flate2::write::GzEncoder;
use incdec::clip::Split;
use incdec::download::ledger::{Kind, LedgerRow};
use incdec::download::verify::verify;
use incdec::download::{DownloadConfig, DownloadError, plan_only, run};
use incdec::hint::Hint;
use incdec::table;

use server::Server;
use tar::EntryType as T;

use source::{CLASSES, Source, archive, fake_mp4, tree};

fn ledger(config: &DownloadConfig) -> Vec<LedgerRow> {
    table::read(&config.ledger).unwrap()
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
        assert!(row.url.as_ref().unwrap().starts_with(source::BASE));
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
fn a_plan_names_archives_and_bytes_and_writes_nothing() {
    let source = Source::new(6);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let (plan, summary) = plan_only(&config).unwrap();
    assert!(plan.numbered);
    assert_eq!(
        (plan.indexed, plan.archives.len(), summary.missing),
        (4, 3, 18)
    );
    let bytes: Option<u64> = plan.archives.iter().map(|a| a.facts.bytes).sum();
    assert_eq!(bytes, Some(source.archive_bytes()));
    for (archive, class) in plan.archives.iter().zip(&CLASSES[1..]) {
        assert_eq!(archive.class.as_deref(), Some(*class));
        assert_eq!(archive.first_class.as_deref(), Some(*class));
        assert_eq!((archive.clips, archive.annotated), (6, 8));
    }
    assert!(!config.raw.exists() && !config.ledger.exists());
}

#[test]
fn where_numbers_do_not_tell_the_class_every_first_header_is_read() {
    let mut source = Source::new(3);
    // A rotation by one: no number is right.
    let old = source.files.clone();
    for n in 1..=4 {
        let (from, to) = (n % 4 + 1, n);
        let name = |n: usize| format!("train/k700_train_{n:03}.tar.gz");
        source.files.insert(name(to), old[&name(from)].clone());
    }
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let (plan, _) = plan_only(&config).unwrap();
    assert!(!plan.numbered);
    assert_eq!(plan.archives.len(), 3);
    run(&config).unwrap();
    source.assert_tree("a");
}

#[test]
fn folders_mirrors_and_bare_archives_are_sources_too() {
    let mut source = Source::new(3);
    let folder = source.write("mirror");
    let url = format!("file://{}", folder.display());
    for (name, from) in [("a", folder.display().to_string()), ("b", url)] {
        run(&source.config(&from, name)).unwrap();
        source.assert_tree(name);
    }
    source.files.remove("train/k700_2020_train_path.txt");
    source.files.remove("annotations/train.csv");
    let bare = source.write("bare").join("train");
    fs::remove_file(bare.join("k700_2020_train_path.txt")).ok();
    run(&source.config(bare.to_str().unwrap(), "c")).unwrap();
    source.assert_tree("c");
    let nowhere = source.config("/nowhere/at/all", "d");
    assert!(matches!(run(&nowhere), Err(DownloadError::Source { .. })));
    let unknown = source.config("gopher://x", "d");
    assert!(matches!(run(&unknown), Err(DownloadError::Source { .. })));
}

#[test]
fn members_are_found_in_any_layout_under_long_names_and_in_several_gzip_members() {
    let mut source = Source::new(3);
    let of = |class: &str| -> Vec<(String, Vec<u8>)> {
        let clips = source
            .clips
            .iter()
            .filter(|(name, _)| name.starts_with(class));
        clips
            .map(|(name, bytes)| (name.rsplit_once('/').unwrap().1.to_owned(), bytes.clone()))
            .collect()
    };
    let deep = format!("{}/", "a long folder".repeat(12));
    let flat = archive(&of("tasting beer"));
    let nested: Vec<_> = of("texting")
        .into_iter()
        .map(|(n, b)| (format!("./{deep}texting/{n}"), b))
        .collect();
    // The third: a pax header for each name, cut into two gzip members, padded with zeros.
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in of("yawning") {
        let name = format!("{deep}yawning/{name}");
        tar.append_pax_extensions([("path", name.as_bytes())])
            .unwrap();
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        tar.append_data(&mut header, "short", bytes.as_slice())
            .unwrap();
    }
    let bytes = tar.into_inner().unwrap();
    let mut pax = Vec::new();
    for half in bytes.chunks(bytes.len() / 2 + 1) {
        let mut encoder = GzEncoder::new(&mut pax, Compression::fast());
        std::io::Write::write_all(&mut encoder, half).unwrap();
        encoder.finish().unwrap();
    }
    pax.extend([0; 1000]);
    for (n, bytes) in [(2, flat), (3, archive(&nested)), (4, pax)] {
        source
            .files
            .insert(format!("train/k700_train_{n:03}.tar.gz"), bytes);
    }
    let server = Server::start(source.files.clone());
    run(&source.config(&server.url(), "a")).unwrap();
    source.assert_tree("a");
}

#[test]
fn hostile_members_stay_outside_and_are_written_down() {
    let mut source = Source::new(3);
    let path = "train/k700_train_002.tar.gz";
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    let wanted: Vec<_> = source
        .clips
        .iter()
        .filter(|(n, _)| n.starts_with("tasting beer"))
        .collect();
    let stem = wanted[0].0.rsplit_once('/').unwrap().1;
    let raw_member = |tar: &mut tar::Builder<_>, name: &str, kind, size: u64, body: &[u8]| {
        let mut header = tar::Header::new_gnu();
        // The builder refuses such names, so they are put in by hand.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_entry_type(kind);
        header.set_size(size);
        if kind == tar::EntryType::Symlink {
            header.set_link_name("/etc/passwd").unwrap();
        }
        header.set_cksum();
        tar.append(&header, body).unwrap();
    };
    let evil = fake_mp4(1, 50);
    let size = evil.len() as u64;
    raw_member(&mut tar, &format!("../{stem}"), T::Regular, size, &evil);
    raw_member(&mut tar, &format!("/tmp/{stem}"), T::Regular, size, &evil);
    raw_member(
        &mut tar,
        &format!("a/../../{stem}"),
        T::Regular,
        size,
        &evil,
    );
    raw_member(
        &mut tar,
        &format!("tasting beer/{stem}"),
        T::Symlink,
        0,
        &[],
    );
    raw_member(&mut tar, &format!("tasting beer/{stem}"), T::Char, 0, &[]);
    raw_member(
        &mut tar,
        &format!("tasting beer/._{stem}"),
        T::Regular,
        size,
        &evil,
    );
    raw_member(
        &mut tar,
        &format!("tasting beer/{stem}"),
        T::Regular,
        0,
        &[],
    );
    for (name, bytes) in &wanted {
        raw_member(&mut tar, name, T::Regular, bytes.len() as u64, bytes);
    }
    raw_member(
        &mut tar,
        &format!("tasting beer/{stem}"),
        T::Regular,
        size,
        &evil,
    );
    let bytes = tar.into_inner().unwrap().finish().unwrap();
    source.files.insert(path.into(), bytes);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "deep/er/a");
    let summary = run(&config).unwrap();
    assert_eq!(summary.refused, 8);
    source.assert_tree("deep/er/a");
    let refused: Vec<_> = ledger(&config)
        .into_iter()
        .filter(|r| r.kind == Kind::Refused)
        .collect();
    assert_eq!(refused.len(), 8);
    for word in [
        "leads out",
        "absolute",
        "link",
        "device",
        "AppleDouble",
        "empty",
        "second",
    ] {
        assert!(
            refused
                .iter()
                .any(|r| r.reason.as_ref().unwrap().contains(word)),
            "{word}"
        );
    }
    // Nothing outside the data folder but the label tables.
    let outside: Vec<_> = tree(source.folder.path())
        .into_keys()
        .filter(|p| !p.starts_with("deep/er/a/"))
        .collect();
    assert_eq!(outside.len(), 4, "{outside:?}");
}

#[test]
fn an_absurd_size_or_a_contradicting_one_fails_its_archive_alone() {
    for header_size in [1_u64 << 62, 40] {
        let mut source = Source::new(3);
        let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
        if header_size == 40 {
            tar.append_pax_extensions([("size", b"99999".as_slice())])
                .unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_path("yawning/abc_000001_000011.mp4").unwrap();
        header.set_size(header_size);
        header.set_cksum();
        tar.append(&header, &[0_u8; 40][..]).unwrap();
        let bytes = tar.into_inner().unwrap().finish().unwrap();
        source
            .files
            .insert("train/k700_train_004.tar.gz".into(), bytes);
        let server = Server::start(source.files.clone());
        let config = source.config(&server.url(), "a");
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
        assert_eq!(tree(&config.raw).len(), 6);
    }
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
    assert_eq!(
        server.requests().len(),
        before,
        "what is known to be absent is not looked for again"
    );
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
fn verify_finds_what_changed_on_disk_and_the_next_run_mends_it() {
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
    let damaged: Vec<_> = findings.damaged.iter().map(|(n, _)| n).collect();
    assert_eq!(damaged, [changed, removed]);
    assert!(findings.into_result().is_err());
    let summary = run(&config).unwrap();
    assert_eq!((summary.present, summary.archives), (9, 2));
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
