//! Published weights: fetched from a loopback copy, with the right content and with a wrong one.

use std::fs;
use std::path::Path;
use std::time::Duration;

use assert_cmd::Command;
use incdec::exit::Exit;
use incdec::hint::Hint;
use incdec::store::{HttpConfig, Link, RetryConfig};
use incdec::toy::serve::Server;
use incdec::weights::{
    Fetched, PUBLISHED, PublishedWeights, WeightsConfig, WeightsError, blob_id, fetch, held_in,
};

const PATH: &str = "weights/model";

/// An entry for `content` as a loopback copy has it below `folder`.
fn published(folder: &Path, content: &[u8]) -> &'static PublishedWeights {
    let file = folder.join(PATH);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, content).unwrap();
    let blob = blob_id(&file).unwrap();
    Box::leak(Box::new(PublishedWeights {
        name: "test",
        what: "a test's weights",
        base: "http://127.0.0.1:1",
        path: PATH,
        blob: blob.leak(),
        file: "model.pt",
        variant: "A0",
        geometry: "tf",
        licence: "none",
    }))
}

fn config(weights: &'static PublishedWeights, out: &Path, source: &str) -> WeightsConfig {
    WeightsConfig {
        weights,
        out: out.to_owned(),
        source: Some(Link::new(source)),
        retry: RetryConfig {
            tries: 1,
            first_wait: Duration::from_millis(1),
        },
        http: HttpConfig::default(),
    }
}

#[test]
fn the_right_blob_is_fetched_once_and_goes_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let content: Vec<u8> = (0..300_000_u32).flat_map(u32::to_le_bytes).collect();
    let weights = published(folder.path(), &content);
    let server = Server::start(folder.path(), 0).unwrap();
    let out = folder.path().join("here/model.pt");
    // What an attempt before left.
    fs::create_dir_all(out.parent().unwrap()).unwrap();
    let partial = out.with_file_name(format!(".incdec-weights-{}.partial", weights.blob));
    fs::write(&partial, &content[..700_001]).unwrap();
    let config = config(weights, &out, &server.url());
    let fetched = fetch(&config).unwrap();
    let (bytes, resumed) = (1_200_000, 700_001);
    assert_eq!(fetched, Fetched::Written { bytes, resumed });
    assert_eq!(fs::read(&out).unwrap(), content);
    assert!(!partial.exists());
    assert_eq!(fetch(&config).unwrap(), Fetched::Unchanged);
    // All of it was there, and only the name was missing.
    fs::rename(&out, &partial).unwrap();
    let resumed = bytes;
    assert_eq!(fetch(&config).unwrap(), Fetched::Written { bytes, resumed });
}

#[test]
fn a_wrong_blob_is_refused_and_nothing_of_it_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let weights = published(folder.path(), b"published");
    fs::write(folder.path().join(PATH), b"something else").unwrap();
    let server = Server::start(folder.path(), 0).unwrap();
    let out = folder.path().join("here/model.pt");
    let config = config(weights, &out, &server.url());
    let error = fetch(&config).unwrap_err();
    assert!(matches!(error, WeightsError::Content { .. }), "{error}");
    assert!(error.to_string().contains(weights.blob), "{error}");
    assert!(error.hint().unwrap().contains("--source"));
    assert_eq!(error.exit(), Exit::Failed);
    let left: Vec<_> = fs::read_dir(out.parent().unwrap()).unwrap().collect();
    assert!(
        left.iter()
            .flatten()
            .all(|e| !e.file_name().to_string_lossy().contains("weights-"))
    );
    // A person's own file at the place is never replaced.
    fs::write(&out, b"mine").unwrap();
    let error = fetch(&config).unwrap_err();
    assert!(matches!(error, WeightsError::Occupied { .. }), "{error}");
    assert_eq!(fs::read(&out).unwrap(), b"mine");
}

#[test]
fn published_weights_are_known_by_their_content_under_any_name() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let weights = published(folder.path(), b"published");
    let entries = [&PUBLISHED[0], weights];
    let found = |name: &str| held_in(&at(name), entries).map(|entry| entry.name);
    fs::copy(at(PATH), at("mine.pt")).unwrap();
    assert_eq!(found("mine.pt"), Some("test"));
    fs::write(at("mine.pt"), b"publishes").unwrap();
    assert_eq!(found("mine.pt"), None);
    assert_eq!(found("absent.pt"), None);
}

#[test]
fn a_source_that_is_not_there_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let weights = published(folder.path(), b"published");
    let out = folder.path().join("here/model.pt");
    let error = fetch(&config(weights, &out, "http://127.0.0.1:1")).unwrap_err();
    assert_eq!(error.exit(), Exit::TryAgain, "{error}");
}

#[test]
fn the_command_lists_what_there_is_with_geometry_and_licence_and_refuses_other_names() {
    let command = || Command::cargo_bin("incdec-weights").unwrap();
    let output = command().arg("list").assert().success();
    let text = String::from_utf8(output.get_output().stdout.clone()).unwrap();
    let seed = text
        .lines()
        .find(|line| line.starts_with("seed\t"))
        .unwrap();
    assert!(seed.contains("--geometry seed"), "{seed}");
    for line in text
        .lines()
        .filter(|line| line.starts_with("kinetics-600-"))
    {
        assert!(
            line.contains("--geometry tf") && line.contains("Apache-2.0"),
            "{line}"
        );
    }
    assert_eq!(text.lines().count(), 4);
    let output = command().args(["fetch", "movinet"]).assert().code(2);
    let text = String::from_utf8(output.get_output().stderr.clone()).unwrap();
    assert!(text.contains("kinetics-600-a0"), "{text}");
}
