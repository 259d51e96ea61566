//! What people bring to a download: archives of every kind, mirrors that change, clips that lie there
//! already, indexes of any system.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use incdec::download::ledger::verify;
use incdec::download::{DownloadConfig, DownloadError, plan_only, run};
use incdec::exit::Exit;
use incdec::hint::Hint;

use super::server::Server;
use super::source::{BASE, Source, archive, binary, fake_mp4, tree};
use super::{clip_states, ledger};

type Members = Vec<(String, Vec<u8>)>;

/// The source's wanted clips of a class, with their names in an archive.
fn members(source: &Source, class: &str) -> Members {
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
fn folder(source: &Source, name: &str, files: &[(&str, Vec<u8>)]) -> String {
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

#[test]
fn clips_that_lie_in_the_folder_are_checked_counted_and_taken() {
    let source = Source::new(3);
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "a");
    let mut names = source.clips.keys();
    let [own, cut] = [names.next().unwrap(), names.next_back().unwrap()];
    let bytes = fake_mp4(99, 500);
    for (name, bytes) in [(own, &bytes[..]), (cut, &source.clips[cut][..900])] {
        fs::create_dir_all(config.raw.join(name).parent().unwrap()).unwrap();
        fs::write(config.raw.join(name), bytes).unwrap();
    }
    let (_, planned) = plan_only(&config).unwrap();
    assert_eq!(
        (planned.present, planned.adopted, planned.missing),
        (1, 1, 8)
    );
    let summary = run(&config).unwrap();
    assert_eq!(
        (summary.present, summary.adopted, summary.fetched),
        (9, 1, 8)
    );
    assert!(summary.to_string().contains("1 adopted as they lay there"));
    assert_eq!(fs::read(config.raw.join(own)).unwrap(), bytes);
    assert_eq!(fs::read(config.raw.join(cut)).unwrap(), source.clips[cut]);
    let states = clip_states(&config);
    assert_eq!(states.iter().filter(|(_, s)| s == "adopted").count(), 1);
    assert_eq!(verify(&config.raw, &config.ledger, 1).unwrap().sound, 9);
    // One that no archive has, and that a person brings as it is.
    let mut lacking = source.files.clone();
    let path = "train/k700_train_004.tar.gz";
    let mut rest = members(&source, "yawning");
    let lost = rest.pop().unwrap();
    lacking.insert(path.into(), archive(&rest));
    let server = Server::start(lacking);
    let config = DownloadConfig {
        max_missing: 0.2,
        ..source.config(&server.url(), "b")
    };
    assert_eq!(run(&config).unwrap().missing, 1);
    let brought = config.raw.join(&lost.0).with_extension("mkv");
    let mkv = [
        &[
            0x1a, 0x45, 0xdf, 0xa3, 0x81, 0, 0x18, 0x53, 0x80, 0x67, 0x84,
        ][..],
        &[0; 4],
    ]
    .concat();
    fs::write(&brought, &mkv).unwrap();
    let summary = run(&config).unwrap();
    assert_eq!((summary.missing, summary.adopted), (0, 1));
    assert_eq!(fs::read(&brought).unwrap(), mkv);
    assert_eq!(verify(&config.raw, &config.ledger, 1).unwrap().sound, 9);
}

#[test]
fn videos_of_other_kinds_are_kept_under_their_endings_and_strange_names_are_listed() {
    let source = Source::new(3);
    let mut renamed = members(&source, "yawning");
    let mkv = [
        &[
            0x1a, 0x45, 0xdf, 0xa3, 0x81, 0, 0x18, 0x53, 0x80, 0x67, 0x84,
        ][..],
        &[7; 4],
    ]
    .concat();
    for ((name, bytes), ending) in renamed.iter_mut().zip(["MP4", "mkv", "webm"]) {
        *name = format!(
            "some_folder/{}",
            name.rsplit_once('/').unwrap().1.replace("mp4", ending)
        );
        if ending != "MP4" {
            bytes.clone_from(&mkv);
        }
    }
    renamed.push(("some_folder/abc_1_11.mp4".into(), b"x".to_vec()));
    let [beer, texting] = ["tasting beer", "texting"].map(|class| members(&source, class));
    // Classes with underscores for spaces, as many write them.
    let beer: Members = beer
        .into_iter()
        .map(|(n, b)| (n.replace(' ', "_"), b))
        .collect();
    let at = folder(
        &source,
        "mirror",
        &[
            ("tasting_beer.tar.gz", archive(&beer)),
            ("texting.tar.gz", archive(&texting)),
            ("some_folder.tar.gz", archive(&renamed)),
        ],
    );
    let config = source.config(&at, "a");
    let summary = run(&config).unwrap();
    assert_eq!((summary.present, summary.refused), (9, 1));
    let yawning: Vec<_> = tree(&config.raw.join("yawning")).into_keys().collect();
    for ending in ["mp4", "mkv", "webm"] {
        assert!(
            yawning.iter().any(|name| name.ends_with(ending)),
            "{yawning:?}"
        );
    }
    let rows = ledger(&config);
    let refused = rows.iter().find(|r| r.state == "refused").unwrap();
    assert!(refused.reason.as_ref().unwrap().contains("no clip id"));
    let beer = rows
        .iter()
        .find(|r| r.name == "tasting_beer.tar.gz")
        .unwrap();
    assert_eq!(beer.subcategory.as_deref(), Some("tasting beer"));
    assert_eq!(verify(&config.raw, &config.ledger, 1).unwrap().sound, 9);
    let again = run(&config).unwrap();
    assert_eq!((again.present, again.fetched, again.archives), (9, 0, 0));
}

#[test]
fn indexes_of_any_system_and_names_with_any_letter_work() {
    let mut source = Source::new(3);
    let names = ["a #b.tar.gz", "what?.tar.gz", "für 100%.tar.gz"];
    let mut index = "\u{feff}".to_owned();
    for (n, name) in (2..=4).zip(names) {
        let bytes = source
            .files
            .remove(&format!("train/k700_train_{n:03}.tar.gz"));
        source.files.insert(format!("train/{name}"), bytes.unwrap());
        index += &match n {
            2 => format!("\"{BASE}/train/{name}\"\r\n"),
            _ => format!("{name}\r\n"),
        };
    }
    let path = "train/k700_2020_train_path.txt";
    source.files.insert(path.into(), index.into_bytes());
    let server = Server::start(source.files.clone());
    run(&source.config(&server.url(), "a")).unwrap();
    source.assert_tree("a");
    let mirror = source.write("mirror");
    run(&source.config(mirror.to_str().unwrap(), "b")).unwrap();
    source.assert_tree("b");
    fs::remove_file(mirror.join(path)).unwrap();
    run(&source.config(mirror.to_str().unwrap(), "c")).unwrap();
    source.assert_tree("c");
}

#[test]
fn a_class_may_have_a_comma_in_its_name() {
    let source = Source::new(3);
    let class = "cutting, \"peeling\"";
    let info = source.folder.path().join("Info");
    for name in ["classes.csv", "train.csv", "validation.csv", "test.csv"] {
        let text = fs::read_to_string(info.join(name)).unwrap();
        let quoted = "\"cutting, \"\"peeling\"\"\"";
        fs::write(info.join(name), text.replace("yawning", quoted)).unwrap();
    }
    let clips: Members = members(&source, "yawning");
    let clips = clips
        .into_iter()
        .map(|(n, b)| (n.replace("yawning", class), b));
    let clips: Members = clips.collect();
    let at = folder(&source, "mirror", &[("x.tar.gz", archive(&clips))]);
    let mut command = binary(&source, &at, "a");
    let output = command.args(["--classes", class]).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        tree(&source.out("a").join("raw"))
            .into_iter()
            .collect::<Members>(),
        clips
    );
}
