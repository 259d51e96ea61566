//! What is to be fetched, and from where: plans, numbers and first headers, the sources there can
//! be.

use std::fs;

use incdec::download::{DownloadConfig, DownloadError, plan_only, run};
use incdec::hint::Hint;

use super::server::Server;
use super::source::{CLASSES, Source, archive, tree};

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
fn first_headers_are_read_once_and_remembered() {
    let mut source = Source::new(3);
    // No annotations, so no numbers: the first header of each of the four archives tells.
    source.files.remove("annotations/train.csv");
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    run(&config).unwrap();
    source.assert_tree("a");
    let probes = || {
        let requests = server.requests().into_iter();
        requests.filter(|r| r.ends_with(" 0-1024")).count()
    };
    assert_eq!(probes(), 4);
    fs::remove_file(config.raw.join(source.clips.keys().next().unwrap())).unwrap();
    run(&config).unwrap();
    source.assert_tree("a");
    assert_eq!(probes(), 4);
}

#[test]
fn a_folder_that_is_no_class_tells_nothing_of_its_archive() {
    for annotated in [true, false] {
        let mut source = Source::new(3);
        if !annotated {
            source.files.remove("annotations/train.csv");
        }
        let members: Vec<_> = source
            .clips
            .iter()
            .filter(|(name, _)| name.starts_with("yawning"))
            .map(|(name, bytes)| (name.replace("yawning", "k700_train_004"), bytes.clone()))
            .collect();
        let path = "train/k700_train_004.tar.gz";
        source.files.insert(path.into(), archive(&members));
        let server = Server::start(source.files.clone());
        run(&source.config(&server.url(), "a")).unwrap();
        source.assert_tree("a");
    }
}

#[test]
fn where_classes_are_spread_over_all_archives_all_are_read() {
    let mut source = Source::new(3);
    // One archive after the other takes the next clip, class folders and all.
    let mut mixed = [const { Vec::new() }; 2];
    for (n, (name, bytes)) in source.clips.iter().enumerate() {
        mixed[n % 2].push((name.clone(), bytes.clone()));
    }
    for (n, members) in mixed.iter().enumerate() {
        let path = format!("train/part_{n}.tar.gz");
        source.files.insert(path, archive(members));
    }
    let index = "https://s3.amazonaws.com/kinetics/400/train/part_0.tar.gz\npart_1.tar.gz\n";
    let path = "train/k400_train_path.txt";
    source.files.insert(path.into(), index.into());
    let server = Server::start(source.files.clone());
    let config = DownloadConfig {
        dataset: "kinetics-400".into(),
        ..source.config(&server.url(), "a")
    };
    let (plan, _) = plan_only(&config).unwrap();
    assert_eq!((plan.archives.len(), plan.by_class()), (2, false));
    assert_eq!(plan.classes["yawning"], 3);
    run(&config).unwrap();
    source.assert_tree("a");
}

#[test]
fn mirrors_and_folders_can_be_entries_of_sources_toml() {
    let source = Source::new(3);
    let folder = source.write("mirror");
    let sources = source.out("sources.toml");
    let shipped = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/kinetics_download/sources.toml"
    );
    let shipped = fs::read_to_string(shipped).unwrap();
    // The example that the file itself gives, with the folder put in.
    let (_, example) = shipped.split_once("# [datasets.mirror]\n").unwrap();
    let lines = example.lines().map_while(|line| line.strip_prefix("# "));
    let example: Vec<_> = lines.collect();
    let example = example
        .join("\n")
        .replace("/data/kinetics/700_2020", folder.to_str().unwrap());
    fs::write(
        &sources,
        format!("{shipped}\n[datasets.mirror]\n{example}\n"),
    )
    .unwrap();
    let config = source.config("", "a");
    run(&DownloadConfig {
        source: None,
        sources: Some(sources),
        dataset: "mirror".into(),
        ..config
    })
    .unwrap();
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
fn sources_and_datasets_that_make_no_sense_are_errors_with_a_hint() {
    let source = Source::new(3);
    let sources = source.out("sources.toml");
    fs::write(&sources, "[datasets]\nx = 3\n").unwrap();
    let broken = DownloadConfig {
        sources: Some(sources),
        ..source.config("https://unused.invalid", "a")
    };
    let error = run(&broken).unwrap_err();
    assert!(matches!(error, DownloadError::Sources { .. }));
    assert!(error.hint().is_some());
    let unknown = DownloadConfig {
        sources: None,
        dataset: "kinetics-1".into(),
        ..broken
    };
    assert!(matches!(run(&unknown), Err(DownloadError::Dataset { .. })));
}

#[test]
fn an_unreadable_index_stops_the_run_before_anything_is_written() {
    let mut source = Source::new(3);
    source
        .files
        .insert("train/k700_2020_train_path.txt".into(), vec![0xff; 9]);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    assert!(matches!(run(&config), Err(DownloadError::Text { .. })));
    source.files.remove("train/k700_2020_train_path.txt");
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let error = run(&config).unwrap_err();
    assert!(matches!(error, DownloadError::Remote(_)), "{error}");
    assert!(!config.ledger.exists() && tree(&config.raw).is_empty());
}
