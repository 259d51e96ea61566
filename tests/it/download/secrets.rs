//! What opens a source (a signature, a password, a token) is sent and shown nowhere.

use std::fs;
use std::process::Command;

use super::ledger;
use super::mischief::Mischief;
use super::server::{Server, Terms};
use super::source::{Source, binary};

const SECRET: &str = "hu5h-5ecret";

/// Runs the command, and holds everything it printed and left behind against the secret. Gives the
/// exit status and what it printed.
fn spied_on(source: &Source, command: &mut Command) -> (Option<i32>, String) {
    let output = command.args(["--tries", "2"]).output().unwrap();
    let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(!text.contains(SECRET), "{text}");
    for entry in walkdir::WalkDir::new(source.out("a")) {
        // Nothing was made where nothing could begin.
        let Ok(entry) = entry else { continue };
        let name = entry.file_name().to_string_lossy();
        assert!(!name.contains(SECRET), "{name}");
        if entry.file_type().is_file() {
            let bytes = fs::read(entry.path()).unwrap();
            let found = bytes.windows(SECRET.len()).any(|w| w == SECRET.as_bytes());
            assert!(!found, "{}", entry.path().display());
        }
    }
    (output.status.code(), text)
}

fn signed(server: &Server) -> String {
    format!(
        "{}?X-Amz-Credential=a%2Fb&X-Amz-Signature={SECRET}",
        server.url()
    )
}

fn with_password(server: &Server) -> String {
    format!("http://user:{SECRET}@{}", server.address())
}

/// What a server demands to see: the signature, or user and password in base64.
const SIGNATURE: &str = "X-Amz-Signature=hu5h-5ecret";
const PASSWORD: &str = "Basic dXNlcjpodTVoLTVlY3JldA==";

#[test]
fn signed_and_password_sources_are_read_and_leave_no_trace() {
    for (key, url) in [
        (SIGNATURE, signed as fn(&Server) -> String),
        (PASSWORD, with_password),
    ] {
        let source = Source::new(3);
        let terms = Terms {
            key: Some(key),
            ..Terms::default()
        };
        let server = Server::start_on(source.files.clone(), terms);
        let (code, text) = spied_on(&source, &mut binary(&source, &url(&server), "a"));
        assert_eq!(code, Some(0), "{text}");
        source.assert_tree("a");
        let debug = format!("{:?}", source.config(&url(&server), "a"));
        assert!(!debug.contains(SECRET), "{debug}");
    }
}

#[test]
fn no_failure_of_the_source_tells_what_opens_it() {
    let elsewhere = format!("http://127.0.0.1:1/a?sig={SECRET}");
    let broken = format!("http://[broken/a?sig={SECRET}");
    for mischief in [
        Mischief::Status(403),
        Mischief::Status(404),
        Mischief::Status(503),
        Mischief::ResetAfter(100),
        Mischief::RedirectTo(elsewhere),
        Mischief::RedirectTo(broken),
        Mischief::RedirectLoop,
    ] {
        for url in [signed, with_password] {
            let source = Source::new(3);
            let server = Server::start(source.files.clone());
            server.plan(vec![mischief.clone(); 60]);
            let (code, text) = spied_on(&source, &mut binary(&source, &url(&server), "a"));
            assert!(matches!(code, Some(1 | 65 | 75)), "{mischief:?}: {text}");
        }
    }
}

#[test]
fn an_unreachable_or_senseless_source_is_named_without_its_secrets() {
    for url in [
        format!("http://127.0.0.1:1?X-Amz-Signature={SECRET}"),
        format!("http://user:{SECRET}@127.0.0.1:1"),
        format!("http://user:{SECRET}@nowhere.invalid/x?sig={SECRET}"),
        format!("http://user:{SECRET}/x@nowhere.invalid"),
        format!("http://bad host?sig={SECRET}"),
        format!("gopher://user:{SECRET}@host?sig={SECRET}"),
        format!("user:{SECRET}@host/x?sig={SECRET}"),
        format!("s3://bucket/x?sig={SECRET}"),
    ] {
        let source = Source::new(3);
        let mut command = binary(&source, &url, "a");
        let (code, text) = spied_on(&source, &mut command);
        assert!(matches!(code, Some(1 | 75)), "{url}: {text}");
        let mut command = binary(&source, "s3://bucket", "a");
        command.arg("--endpoint").arg(&url);
        let (code, text) = spied_on(&source, &mut command);
        assert!(matches!(code, Some(1 | 75)), "{url}: {text}");
        let mut command = binary(&source, "http://nowhere.invalid", "a");
        command.env("HTTP_PROXY", &url);
        let (code, text) = spied_on(&source, &mut command);
        assert!(matches!(code, Some(1 | 75)), "{url}: {text}");
    }
}

#[test]
fn signed_lines_of_an_index_are_followed_and_written_down_without_signature() {
    let mut source = Source::new(3);
    let server = Server::start(source.files.clone());
    let lines = (1..=4).map(|n| {
        let path = format!("train/k700_train_{n:03}.tar.gz");
        format!("{}/{path}?X-Amz-Signature={SECRET}\n", server.url())
    });
    let index: String = lines.collect();
    let path = "train/k700_2020_train_path.txt";
    source.files.insert(path.into(), index.into_bytes());
    let folder = source.write("mirror");
    let signed_archives = Terms {
        key: Some(SIGNATURE),
        ..Terms::default()
    };
    let archives = Server::start_on(source.files.clone(), signed_archives);
    let text = fs::read_to_string(folder.join(path)).unwrap();
    let text = text.replace(&server.url(), &archives.url());
    source.files.insert(path.into(), text.into_bytes());
    let front = Server::start(source.files.clone());
    let mut command = binary(&source, &front.url(), "a");
    command
        .arg("--keep-archives")
        .arg(source.out("a").join("kept"));
    let (code, text) = spied_on(&source, &mut command);
    assert_eq!(code, Some(0), "{text}");
    source.assert_tree("a");
    let config = source.config(&front.url(), "a");
    let first = ledger(&config).into_iter().next().unwrap();
    assert!(first.archive.unwrap().ends_with("k700_train_002.tar.gz"));
}

#[test]
fn a_sources_toml_that_cannot_be_read_is_not_quoted() {
    let source = Source::new(3);
    let sources = source.out("sources.toml");
    fs::write(
        &sources,
        format!("[datasets.x]\nbase = \"https://user:{SECRET}@host?sig={SECRET}\n"),
    )
    .unwrap();
    let mut command = binary(&source, "https://unused.invalid", "a");
    command.arg("--sources").arg(&sources);
    let (code, text) = spied_on(&source, &mut command);
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("sources.toml, line 2: "), "{text}");
}
