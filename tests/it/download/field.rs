//! What people bring to a download: archives of every kind, mirrors that change.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use incdec::download::{DownloadConfig, DownloadError, plan_only, run};
use incdec::exit::Exit;
use incdec::hint::Hint;

use super::ledger;
use super::server::Server;
use super::source::{Source, archive, binary, tree};

pub(super) type Members = Vec<(String, Vec<u8>)>;

/// The source's wanted clips of a class, with their names in an archive.
pub(super) fn members(source: &Source, class: &str) -> Members {
    let clips = source.clips.iter();
    let clips = clips.filter(|(name, _)| name.starts_with(class));
    clips.map(|(n, b)| (n.clone(), b.clone())).collect()
}

fn tar_of(members: &Members) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap()
}

fn zip_of(members: &Members) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::FileOptions::default();
    zip.add_directory("yawning", options).unwrap();
    for (n, (name, bytes)) in members.iter().enumerate() {
        let method = if n % 2 == 0 {
            zip::CompressionMethod::Deflated
        } else {
            zip::CompressionMethod::Stored
        };
        zip.start_file(name, options.compression_method(method))
            .unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// A folder with these files, as a source.
pub(super) fn folder(source: &Source, name: &str, files: &[(&str, Vec<u8>)]) -> String {
    let root = source.out(name);
    for (path, bytes) in files {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    root.to_str().unwrap().to_owned()
}

#[test]
fn archives_are_read_by_what_they_are_and_not_by_their_names() {
    let source = Source::new(3);
    let [beer, texting, yawning] =
        ["tasting beer", "texting", "yawning"].map(|class| members(&source, class));
    let zstd = zstd::stream::encode_all(&tar_of(&texting)[..], 1).unwrap();
    let kinds = [
        // A plain tar under the name of a gzip file, as one of the official archives was.
        ("a.tar.gz", "b.tar.zst", "c.zip", "d"),
        ("a.tar", "b.tar.gz", "c.tar.gz", "e"),
        ("a.zip", "b.tar", "c.TAR", "f"),
    ];
    for (plain, packed, zipped, out) in kinds {
        let files = [
            (plain, tar_of(&beer)),
            (packed, zstd.clone()),
            (zipped, zip_of(&yawning)),
        ];
        let at = folder(&source, &format!("{out}-source"), &files);
        let config = source.config(&at, out);
        let summary = run(&config).unwrap();
        assert_eq!((summary.present, summary.archives), (9, 3), "{summary}");
        source.assert_tree(out);
        for row in ledger(&config).iter().filter(|r| r.state == "complete") {
            let (_, bytes) = files.iter().find(|(name, _)| *name == row.name).unwrap();
            let hash = blake3::hash(bytes).to_hex().to_string();
            assert_eq!(row.blake3, Some(hash), "{}", row.name);
        }
        let again = run(&config).unwrap();
        assert_eq!((again.fetched, again.archives), (0, 0));
    }
    // The same from a server, in the official layout.
    let mut served = Source::new(3);
    for (n, bytes) in [(2, tar_of(&beer)), (3, zstd), (4, zip_of(&yawning))] {
        let path = format!("train/k700_train_{n:03}.tar.gz");
        served.files.insert(path, bytes);
    }
    let server = Server::start(served.files.clone());
    run(&served.config(&server.url(), "a")).unwrap();
    served.assert_tree("a");
}

#[test]
fn what_is_not_read_is_said_at_once() {
    let source = Source::new(3);
    for (n, (bytes, word)) in [
        (&b"\xfd7zXZ\0\0rest"[..], "an xz archive"),
        (b"BZh91AY", "a bzip2 archive"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "git lfs pull",
        ),
        (b"<!DOCTYPE html><html>", "a web page"),
        (b"", "an empty file"),
        (b"no archive at all", "neither gzip, zstd, tar nor zip"),
    ]
    .into_iter()
    .enumerate()
    {
        let mut files = source.files.clone();
        files.insert("train/k700_train_003.tar.gz".into(), bytes.to_vec());
        let server = Server::start(files);
        let config = source.config(&server.url(), &format!("a{n}"));
        let error = run(&config).unwrap_err();
        assert!(error.to_string().contains(word), "{error}");
        assert_eq!(error.exit(), Exit::Hopeless);
        let gets = server.requests().into_iter();
        let gets = gets.filter(|r| *r == "GET train/k700_train_003.tar.gz");
        assert_eq!(gets.count(), 1, "read once: {word}");
        let lenient = DownloadConfig {
            max_missing: 0.5,
            ..config
        };
        let summary = run(&lenient).unwrap();
        assert_eq!((summary.present, summary.missing), (6, 3));
        let rows = ledger(&lenient);
        let missing = rows.iter().find(|r| r.state == "missing").unwrap();
        assert!(
            missing
                .reason
                .as_ref()
                .unwrap()
                .contains("kind that is not read")
        );
        assert!(rows.iter().any(|r| r.state == "not readable"));
    }
}

#[test]
fn a_cut_or_hostile_zip_file_keeps_nothing() {
    let source = Source::new(3);
    let whole = zip_of(&members(&source, "yawning"));
    let mut flipped = whole.clone();
    // In the last member, which is stored: its checksum is wrong.
    let at = whole.len() / 2;
    flipped[at] ^= 1;
    for (n, bytes) in [whole[..whole.len() - 9].to_vec(), flipped]
        .into_iter()
        .enumerate()
    {
        let at = folder(&source, &format!("source-{n}"), &[("x.zip", bytes)]);
        let config = source.config(&at, &format!("a{n}"));
        let error = run(&config).unwrap_err();
        assert!(matches!(error, DownloadError::Archives { .. }), "{error}");
        assert!(tree(&config.raw).is_empty());
    }
}

#[test]
fn a_folder_of_unpacked_clips_is_a_source() {
    let source = Source::new(3);
    for (n, prefix) in ["", "train/", "k700/train/"].into_iter().enumerate() {
        let named: Vec<_> = source
            .clips
            .iter()
            .map(|(name, b)| (format!("{prefix}{name}"), b.clone()))
            .collect();
        let mut files: Vec<_> = named.iter().map(|(n, b)| (n.as_str(), b.clone())).collect();
        files.push(("notes.txt", b"x".to_vec()));
        files.push((".incdec-download/staging/ab/yawning.mp4", b"x".to_vec()));
        let at = folder(&source, &format!("source-{n}"), &files);
        let out = format!("a{n}");
        let config = source.config(&at, &out);
        let (plan, _) = plan_only(&config).unwrap();
        assert_eq!(plan.archives.len(), 3);
        run(&config).unwrap();
        source.assert_tree(&out);
        assert_eq!(run(&config).unwrap().fetched, 0);
    }
    // All in one folder, one of them behind a link.
    let files: Vec<_> = source
        .clips
        .iter()
        .map(|(name, b)| (name.rsplit('/').next().unwrap(), b.clone()))
        .collect();
    let (linked, rest) = files.split_first().unwrap();
    let at = folder(&source, "flat", rest);
    let elsewhere = folder(&source, "elsewhere", std::slice::from_ref(linked));
    let original = Path::new(&elsewhere).join(linked.0);
    std::os::unix::fs::symlink(original, Path::new(&at).join(linked.0)).unwrap();
    std::os::unix::fs::symlink("/nowhere", Path::new(&at).join("lost.tar.gz")).unwrap();
    run(&source.config(&at, "b")).unwrap();
    source.assert_tree("b");
}

#[test]
fn a_clip_that_was_not_found_is_sought_again_where_archives_differ() {
    let source = Source::new(3);
    let (mut first, mut second) = (members(&source, "yawning"), members(&source, "yawning"));
    let lost = first.pop().unwrap();
    // Of the same size as the whole one, as a tar is of so many blocks.
    let stranger = (
        "yawning/stranger_000001_000011.mp4".to_owned(),
        lost.1.clone(),
    );
    first.push(stranger);
    let filtered = |source: &Source, at: &str, out: &str| DownloadConfig {
        classes: vec!["yawning".into()],
        max_missing: 0.5,
        ..source.config(at, out)
    };
    let whole = tar_of(&second);
    assert_eq!(tar_of(&first).len(), whole.len());
    let lacking = folder(&source, "lacking", &[("x.tar", tar_of(&first))]);
    let other_content = folder(&source, "other-content", &[("x.tar", whole)]);
    second.drain(..2);
    let other_archive = folder(&source, "other-archive", &[("y.tar.gz", archive(&second))]);
    for (out, then) in [("a", &other_content), ("b", &other_archive)] {
        let config = filtered(&source, &lacking, out);
        assert_eq!(run(&config).unwrap().missing, 1);
        let again = run(&config).unwrap();
        assert_eq!(
            (again.missing, again.archives),
            (1, 0),
            "nothing has changed"
        );
        let config = filtered(&source, then, out);
        let (plan, summary) = plan_only(&config).unwrap();
        assert_eq!((plan.archives.len(), summary.absent), (1, 1));
        let summary = run(&config).unwrap();
        assert_eq!((summary.missing, summary.archives), (0, 1), "{summary}");
        assert_eq!(tree(&config.raw).len(), 3);
    }
    // An archive that is replaced where it lies; and what is forced is read once more.
    let config = filtered(&source, &lacking, "c");
    run(&config).unwrap();
    let forced = DownloadConfig {
        seek_again: true,
        ..config.clone()
    };
    assert_eq!(run(&forced).unwrap().archives, 1);
    fs::write(
        Path::new(&lacking).join("x.tar"),
        archive(&members(&source, "yawning")),
    )
    .unwrap();
    assert_eq!(run(&config).unwrap().missing, 0);
}

#[test]
fn another_tag_of_a_server_is_another_archive_and_the_message_says_how_to_force() {
    let mut source = Source::new(3);
    let path = "train/k700_train_004.tar.gz";
    let mut lacking = members(&source, "yawning");
    lacking.pop();
    let whole = source.files.insert(path.into(), archive(&lacking)).unwrap();
    let server = Server::start(source.files.clone());
    let refused = binary(&source, &server.url(), "a").output().unwrap();
    assert_eq!(refused.status.code(), Some(65));
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("--again") && said.contains("--source"),
        "{said}"
    );
    let mut command = binary(&source, &server.url(), "a");
    let refused = command.output().unwrap();
    let said = String::from_utf8(refused.stderr).unwrap();
    assert!(
        said.contains("1 clips are not looked for") && said.contains("--again"),
        "{said}"
    );
    let before = server.requests().len();
    assert_eq!(command.arg("--again").status().unwrap().code(), Some(65));
    let asked = server.requests()[before..].to_vec();
    assert!(asked.contains(&format!("GET {path}")), "{asked:?}");
    // The mirror is mended.
    source.files.insert(path.into(), whole);
    let mirror = Server::start(source.files.clone());
    let config = source.config(&mirror.url(), "a");
    assert_eq!(run(&config).unwrap().archives, 1);
    source.assert_tree("a");
}
