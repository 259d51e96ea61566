//! Every number that comes from outside has a limit: what has no end, or claims to have none, ends
//! in an error.

use std::fs;

use incdec::download::{DownloadConfig, DownloadError, plan_only, run};
use incdec::exit::Exit;
use incdec::hint::Hint;

use super::mischief::Mischief;
use super::server::{Server, Terms};
use super::source::{Source, archive, binary, tree};

const ANNOTATIONS: &str = "annotations/train.csv";
const INDEX: &str = "train/k700_2020_train_path.txt";

fn endless(source: &Source, path: &'static str, again: Vec<u8>) -> Server {
    let terms = Terms {
        endless: Some((path, again)),
        ..Terms::default()
    };
    Server::start_on(source.files.clone(), terms)
}

#[test]
fn an_index_or_annotations_without_an_end_are_given_up() {
    let source = Source::new(3);
    // Rows of more and more bytes; one row without an end; one of many lines in quotes.
    let rows = b"a class,0123456789a,1,11,train\n".repeat(1 << 15);
    for (path, again, words) in [
        (INDEX, rows.clone(), "larger than the 4194304 bytes"),
        (ANNOTATIONS, rows, "larger than the 134217728 bytes"),
        (
            ANNOTATIONS,
            vec![b'x'; 1 << 20],
            "row of more than 1048576 bytes",
        ),
    ] {
        let server = endless(&source, path, again);
        let error = plan_only(&source.config(&server.url(), "a")).unwrap_err();
        assert!(error.to_string().contains(words), "{error}");
        assert!(error.to_string().len() < 500, "{error}");
    }
}

#[test]
fn zeros_behind_an_archive_end_and_the_archive_counts_as_damaged() {
    let source = Source::new(3);
    let server = endless(&source, "train/k700_train_003.tar.gz", vec![0; 1 << 20]);
    let config = DownloadConfig {
        max_missing: 0.4,
        ..source.config(&server.url(), "a")
    };
    let summary = run(&config).unwrap();
    assert_eq!((summary.present, summary.passed_over), (6, 1));
    let rows = super::ledger(&config);
    let damaged = rows.iter().find(|r| r.state == "damaged").unwrap();
    let reason = damaged.reason.as_ref().unwrap();
    assert!(reason.contains("unpack to nothing"), "{reason}");
}

#[test]
fn absurd_lengths_and_headers_fail_their_archive_alone() {
    for (mischief, words) in [
        (Mischief::HugeHead(1 << 20), "header"),
        (Mischief::AbsurdLength, "disconnected"),
    ] {
        let source = Source::new(3);
        let server = Server::start(source.files.clone());
        let config = DownloadConfig {
            jobs: 1,
            ..source.config(&server.url(), "a")
        };
        server.plan(vec![mischief; 8]);
        let error = run(&config).unwrap_err();
        assert!(
            matches!(&error, DownloadError::Archives { failed: 1, first, .. } if first.contains(words)),
            "{error}"
        );
        assert_eq!(error.exit(), Exit::TryAgain);
        assert_eq!(tree(&config.raw).len(), 6);
        run(&config).unwrap();
        source.assert_tree("a");
    }
}

#[test]
fn connections_that_give_next_to_nothing_are_not_patience_without_end() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = DownloadConfig {
        jobs: 1,
        ..source.config(&server.url(), "a")
    };
    // A byte each, again and again: as many tries as nothing at all would get.
    server.plan(vec![Mischief::EndAfter(1); 6]);
    let error = run(&config).unwrap_err();
    assert!(
        matches!(error, DownloadError::Archives { failed: 1, .. }),
        "{error}"
    );
    assert_eq!(server.left(), 0);
}

#[test]
fn lines_of_an_index_that_lead_elsewhere_are_refused_before_anything_is_fetched() {
    for line in [
        "/{out}/victim.tar.gz",
        "../victim.tar.gz",
        "https://else.invalid/../../victim.tar.gz",
        "train/\u{1b}]0;owned\u{7}x.tar.gz",
    ] {
        let mut source = Source::new(3);
        let victim = source.out("victim.tar.gz");
        fs::write(&victim, b"mine").unwrap();
        let mine = source.folder.path().to_str().unwrap().to_owned();
        let line = line.replace("{out}", mine.trim_start_matches('/'));
        let mut index = source.files[INDEX].clone();
        index.extend(line.as_bytes());
        source.files.insert(INDEX.into(), index);
        // A server that gives the same archive whatever it is asked for.
        let any = source.files["train/k700_train_002.tar.gz"].clone();
        let asked = line.trim_start_matches('/').to_owned();
        source.files.insert(asked, any);
        let server = Server::start(source.files.clone());
        let mut command = binary(&source, &server.url(), "a");
        command.arg("--keep-archives").arg(source.out("a/kept"));
        let output = command.output().unwrap();
        let text = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(65), "{line:?}: {text}");
        assert!(
            text.contains("k700_2020_train_path.txt, line 5: "),
            "{text}"
        );
        assert!(
            !text.contains('\u{1b}') && text.contains("hint: "),
            "{text}"
        );
        assert_eq!(fs::read(&victim).unwrap(), b"mine");
        assert!(!source.out("a/kept").exists());
    }
}

#[test]
fn what_steers_a_terminal_is_shown_nowhere() {
    let mut source = Source::new(3);
    let clip = source.clips.keys().next().unwrap().clone();
    let mut members = vec![("\u{1b}[2J\u{202e}/x.txt".to_owned(), vec![1])];
    members.push((clip.clone(), source.clips[&clip].clone()));
    let path = "train/k700_train_002.tar.gz";
    source.files.insert(path.into(), archive(&members));
    // Characters that turn the direction of writing are no control characters, and so no reason to
    // refuse a line.
    let mut index = source.files[INDEX].clone();
    index.extend("train/\u{202e}x.tar.gz".as_bytes());
    source.files.insert(INDEX.into(), index);
    let server = Server::start(source.files.clone());
    for task in [&["plan"][..], &[]] {
        let whole = binary(&source, &server.url(), "a");
        let mut command = std::process::Command::new(whole.get_program());
        command.args(task).args(whole.get_args());
        let output = command.output().unwrap();
        let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
        assert!(
            !text.contains('\u{1b}') && !text.contains('\u{202e}'),
            "{text:?}"
        );
        assert!(text.contains("train/\\u{202e}x.tar.gz"), "{text}");
    }
}

#[test]
fn a_system_that_refuses_threads_makes_it_slow_and_no_more() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let inner = binary(&source, &server.url(), "a");
    // As many threads as a user of this machine may have is a number that tests cannot know; stacks
    // beyond all memory are refused to everyone.
    let mut shell = std::process::Command::new("bash");
    shell.args(["-c", "ulimit -v 4000000; exec \"$0\" \"$@\""]);
    shell.arg(inner.get_program()).args(inner.get_args());
    let output = shell
        .env("RUST_MIN_STACK", "1000000000000")
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(!text.contains("panicked"), "{text}");
    assert!(output.status.success(), "{text}");
    assert!(text.contains("no more than 1 of"), "{text}");
    source.assert_tree("a");
}
