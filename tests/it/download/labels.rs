//! `incdec-download labels`: published tables, pinned; tables made by a rule; frames and annotations.

use std::fs;

use incdec::download::DownloadError;
use incdec::download::fetch::{LabelsConfig, Tables, labels, sha256};
use incdec::download::http::HttpConfig;
use incdec::download::pace::RetryConfig;
use incdec::labels::Labels;

use super::server::Server;
use super::source::Source;

fn config(source: &Source, url: &str) -> LabelsConfig {
    LabelsConfig {
        out: source.out("Info-fetched"),
        tables: Tables::Published,
        frame_folders: None,
        annotations: None,
        dataset: "kinetics-700-2020".into(),
        sources: None,
        labels_source: Some(url.to_owned()),
        source: Some(url.to_owned()),
        retry: RetryConfig::default(),
        http: HttpConfig::default(),
    }
}

/// The source with label tables and frames of its own, and a `sources.toml` that pins them.
fn published() -> (Source, Server, LabelsConfig) {
    let mut source = Source::new(3);
    let mut pins = String::new();
    for name in ["train", "validation", "test"] {
        let bytes = fs::read(source.folder.path().join(format!("Info/{name}.csv"))).unwrap();
        pins += &format!(
            "[[labels.files]]\npath = \"Info/{name}.csv\"\nsha256 = \"{}\"\n",
            sha256(&bytes)
        );
        source.files.insert(format!("Info/{name}.csv"), bytes);
    }
    for frame in 1..=2 {
        let path = format!("Videos/id_abc_000001_000011/jpgs/image_{frame:05}.jpg");
        source
            .files
            .insert(path, vec![0xff, 0xd8, frame, 0xff, 0xd9]);
    }
    let text = fs::read_to_string(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/kinetics_download/sources.toml"
    ))
    .unwrap_or_else(|_| include_str!("../../../kinetics_download/sources.toml").to_owned());
    let (datasets, _) = text.split_once("[[labels.files]]").unwrap();
    let frames = "[[labels.frame_folders]]\nclip = \"abc_000001_000011\"\nframes = 2\n";
    let sources = source.out("sources.toml");
    fs::write(&sources, format!("{datasets}{pins}{frames}")).unwrap();
    let server = Server::start(source.files.clone());
    let config = LabelsConfig {
        sources: Some(sources),
        ..config(&source, &server.url())
    };
    (source, server, config)
}

#[test]
fn the_published_tables_come_with_frames_and_annotations_and_only_once() {
    let (source, _server, mut config) = published();
    config.frame_folders = Some(source.out("Videos"));
    let fetched = labels(&config).unwrap();
    // Three tables, three carried ones, two frames.
    assert_eq!((fetched.written.len(), fetched.unchanged), (8, 0));
    let again = labels(&config).unwrap();
    assert_eq!((again.written.len(), again.unchanged), (0, 5));
    fs::copy(
        source.folder.path().join("Info/classes.csv"),
        config.out.join("classes.csv"),
    )
    .unwrap();
    assert_eq!(Labels::read(&config.out).unwrap().len(), 9);
    config.annotations = Some(source.out("annotations"));
    let error = labels(&config).unwrap_err();
    // This source has those of train alone.
    assert!(
        error
            .to_string()
            .contains("test.csv: the server answers 404"),
        "{error}"
    );
}

#[test]
fn a_table_that_is_not_the_pinned_one_is_refused() {
    let (source, _, config) = published();
    let mut files = source.files.clone();
    files.get_mut("Info/test.csv").unwrap().push(b'\n');
    let server = Server::start(files);
    let config = LabelsConfig {
        labels_source: Some(server.url()),
        ..config
    };
    assert!(matches!(labels(&config), Err(DownloadError::Pinned { .. })));
    assert!(!config.out.join("test.csv").exists());
}

#[test]
fn tables_are_made_by_rule_from_the_annotations() {
    let (source, _server, mut config) = published();
    config.tables = Tables::First {
        taxonomy: source.folder.path().join("Info/classes.csv"),
        counts: "2/1/1".parse().unwrap(),
        existing: None,
    };
    labels(&config).unwrap();
    let made = Labels::read(&config.out).unwrap();
    assert_eq!(made.len(), 3 * 4);
    let first = fs::read(config.out.join("train.csv")).unwrap();
    labels(&config).unwrap();
    assert_eq!(fs::read(config.out.join("train.csv")).unwrap(), first);
}
