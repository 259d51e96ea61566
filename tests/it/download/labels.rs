//! `incdec-download labels`: published tables, pinned; tables made by a rule; frames and
//! annotations.

use std::fs;

use incdec::download::DownloadError;
use incdec::download::labels::{LabelsConfig, Tables, labels, sha256};
use incdec::download::source::{HttpConfig, RetryConfig};
use incdec::exit::Exit;
use incdec::hint::Hint;
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
        labels_source: Some(url.into()),
        source: Some(url.into()),
        force: false,
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
        labels_source: Some(server.url().into()),
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

#[test]
fn a_class_without_clips_and_a_folder_without_clips_are_errors_that_name_them() {
    let (source, _server, mut config) = published();
    let taxonomy = source.out("classes.csv");
    let classes = "Category,Subcategory\nfatigue,yawning\nfood,eating soup\n";
    fs::write(&taxonomy, classes).unwrap();
    let rule = |existing| Tables::First {
        taxonomy: taxonomy.clone(),
        counts: "2/1/1".parse().unwrap(),
        existing,
    };
    config.tables = rule(None);
    let error = labels(&config).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has no clips of \"eating soup\""),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--taxonomy"));
    let empty = source.out("no-clips");
    fs::create_dir_all(&empty).unwrap();
    config.tables = rule(Some(empty.clone()));
    let error = labels(&config).unwrap_err();
    assert!(
        error.to_string().contains("no-clips holds no clips"),
        "{error}"
    );
    assert!(error.hint().unwrap().contains("--existing"));
    assert!(!config.out.join("train.csv").exists());
    // Fewer than were asked for, under any ending: a warning that names the class.
    fs::write(&taxonomy, "Category,Subcategory\nfatigue,yawning\n").unwrap();
    let clip = source
        .clips
        .keys()
        .find(|name| name.starts_with("yawning"))
        .unwrap();
    let clip = empty.join(clip.rsplit('/').next().unwrap());
    fs::write(clip.with_extension("webm"), "video").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_incdec-download"));
    command
        .arg("labels")
        .arg("--out")
        .arg(&config.out)
        .arg("--taxonomy")
        .arg(&taxonomy);
    command
        .arg("--existing")
        .arg(&empty)
        .args(["--per-class", "2/1/1"]);
    let Some(url) = &config.source else { panic!() };
    let output = command.args(["--source", url.reveal()]).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    assert!(said.contains("\"yawning\" has 1/0/0 clips"), "{said}");
}

#[test]
fn tables_of_ones_own_are_replaced_by_force_alone() {
    let (source, server, config) = published();
    let own = "label,youtube_id,time_start,time_end\nyawning,mine,1,11\n";
    fs::create_dir_all(&config.out).unwrap();
    for name in ["train.csv", "test.csv", "classes.csv"] {
        fs::write(config.out.join(name), own).unwrap();
    }
    let rule = Tables::First {
        taxonomy: source.folder.path().join("Info/classes.csv"),
        counts: "2/1/1".parse().unwrap(),
        existing: None,
    };
    for (tables, names) in [
        (Tables::Published, &["train.csv", "test.csv"][..]),
        (rule, &["train.csv", "test.csv", "classes.csv"]),
    ] {
        let config = LabelsConfig {
            tables,
            ..config.clone()
        };
        let error = labels(&config).unwrap_err();
        assert!(matches!(error, DownloadError::OwnTables { .. }), "{error}");
        assert_eq!(error.exit(), Exit::Failed);
        assert!(error.hint().unwrap().contains("--force"));
        for name in names {
            assert!(error.to_string().contains(name), "{error}");
        }
        assert!(!config.out.join("validation.csv").exists());
        for name in ["train.csv", "test.csv", "classes.csv"] {
            assert_eq!(fs::read_to_string(config.out.join(name)).unwrap(), own);
        }
    }
    let forced = LabelsConfig {
        force: true,
        ..config.clone()
    };
    labels(&forced).unwrap();
    assert_ne!(
        fs::read_to_string(config.out.join("train.csv")).unwrap(),
        own
    );
    // Published ones may be replaced by published ones, as when a table was taken for another.
    let train = fs::read(config.out.join("train.csv")).unwrap();
    fs::write(config.out.join("test.csv"), &train).unwrap();
    labels(&config).unwrap();
    assert_ne!(fs::read(config.out.join("test.csv")).unwrap(), train);
    drop(server);
}

#[test]
fn annotations_do_not_replace_a_table_of_that_name() {
    let (source, _server, mut config) = published();
    let folder = source.out("mine");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("test.csv"), "mine").unwrap();
    fs::write(folder.join("train.csv"), "mine").unwrap();
    config.annotations = Some(folder.clone());
    // The source lacks those of test and val, so those of train are alone at first.
    let mut files = source.files.clone();
    for name in ["test", "validate", "val"] {
        let path = format!("annotations/{name}.csv");
        files.insert(path, source.files["annotations/train.csv"].clone());
    }
    let server = Server::start(files);
    config.source = Some(server.url().into());
    let error = labels(&config).unwrap_err();
    assert!(matches!(error, DownloadError::OwnTables { .. }), "{error}");
    assert_eq!(fs::read_to_string(folder.join("test.csv")).unwrap(), "mine");
    config.force = true;
    labels(&config).unwrap();
    assert_ne!(
        fs::read_to_string(folder.join("train.csv")).unwrap(),
        "mine"
    );
}

#[test]
fn the_command_names_the_tables_that_it_does_not_replace() {
    let (_source, server, config) = published();
    fs::create_dir_all(&config.out).unwrap();
    fs::write(config.out.join("train.csv"), "mine").unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_incdec-download"));
    command.arg("labels").arg("--out").arg(&config.out);
    command.arg("--sources").arg(config.sources.unwrap());
    command.args(["--labels-source", &server.url()]);
    let refused = command.output().unwrap();
    let text = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1), "{text}");
    assert!(
        text.contains("train.csv") && text.contains("--force"),
        "{text}"
    );
    assert_eq!(fs::read(config.out.join("train.csv")).unwrap(), b"mine");
    assert!(command.arg("--force").status().unwrap().success());
    assert_ne!(fs::read(config.out.join("train.csv")).unwrap(), b"mine");
}
