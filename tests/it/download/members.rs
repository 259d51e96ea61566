//! What archives hold: clips in any layout, and members that must never get out.

use flate2::Compression;
use flate2::write::GzEncoder;
use incdec::download::ledger::Kind;
use incdec::download::{DownloadError, run};
use proptest::prelude::*;
use tar::EntryType as T;

use super::ledger;
use super::server::Server;
use super::source::{Source, archive, fake_mp4, tree};

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

type Packer = tar::Builder<GzEncoder<Vec<u8>>>;

fn packer() -> Packer {
    tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()))
}

fn packed(tar: Packer) -> Vec<u8> {
    tar.into_inner().unwrap().finish().unwrap()
}

/// Puts a member in by hand: the builder refuses most of such names.
fn put(tar: &mut Packer, name: &str, kind: T, body: &[u8]) {
    let mut header = tar::Header::new_gnu();
    header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(body.len() as u64);
    if matches!(kind, T::Symlink | T::Link) {
        header.set_link_name("/etc/passwd").unwrap();
    }
    header.set_cksum();
    tar.append(&header, body).unwrap();
}

/// Puts a member in whose real name stands in a GNU or pax header before it.
fn put_long(tar: &mut Packer, name: &str, pax: bool, body: &[u8]) {
    if pax {
        tar.append_pax_extensions([("path", name.as_bytes())])
            .unwrap();
    } else {
        put(
            tar,
            "././@LongLink",
            T::GNULongName,
            format!("{name}\0").as_bytes(),
        );
    }
    put(tar, "harmless.mp4", T::Regular, body);
}

#[test]
fn hostile_members_stay_outside_and_are_written_down() {
    let mut source = Source::new(3);
    let wanted: Vec<_> = source
        .clips
        .iter()
        .filter(|(n, _)| n.starts_with("tasting beer"))
        .collect();
    let stem = wanted[0].0.rsplit_once('/').unwrap().1;
    let evil = fake_mp4(1, 50);
    let mut tar = packer();
    for name in [format!("../{stem}"), format!("a/../../{stem}")] {
        put(&mut tar, &name, T::Regular, &evil);
        put_long(&mut tar, &name, false, &evil);
        put_long(&mut tar, &name, true, &evil);
    }
    put(&mut tar, &format!("/tmp/{stem}"), T::Regular, &evil);
    put_long(&mut tar, &format!("/tmp/{stem}"), true, &evil);
    put(
        &mut tar,
        &format!("tasting beer/._{stem}"),
        T::Regular,
        &evil,
    );
    let inside = format!("tasting beer/{stem}");
    for kind in [T::Symlink, T::Link, T::Char, T::Block, T::Fifo, T::Regular] {
        put(&mut tar, &inside, kind, &[]);
    }
    // Neither a clip nor a danger: passed over.
    put(&mut tar, "-rf", T::Regular, b"x");
    for (name, bytes) in &wanted {
        put(&mut tar, name, T::Regular, bytes);
    }
    put(&mut tar, &inside, T::Regular, &evil);
    let path = "train/k700_train_002.tar.gz";
    source.files.insert(path.into(), packed(tar));
    let server = Server::start(source.files.clone());
    let config = source.config(&server.url(), "deep/er/a");
    let summary = run(&config).unwrap();
    source.assert_tree("deep/er/a");
    let refused: Vec<_> = ledger(&config)
        .into_iter()
        .filter(|r| r.kind == Kind::Refused)
        .collect();
    assert_eq!((summary.refused, refused.len()), (16, 16));
    for (word, times) in [
        ("leads out", 6),
        ("absolute", 2),
        ("link", 2),
        ("device or pipe", 3),
        ("AppleDouble", 1),
        ("empty", 1),
        ("second", 1),
    ] {
        let reasons = refused.iter().filter_map(|r| r.reason.as_deref());
        assert_eq!(
            reasons.filter(|r| r.contains(word)).count(),
            times,
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

/// What paths of hostile members are made of.
const PIECES: [&str; 12] = [
    "..",
    ".",
    "",
    "yawning",
    "tasting beer",
    "-rf",
    "C:",
    "x\\..",
    "\\",
    "._yawning",
    "a\u{1b}b",
    ".incdec-download",
];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn whatever_members_are_called_only_wanted_clips_get_in(
        members in prop::collection::vec(
            (prop::collection::vec(prop::sample::select(&PIECES[..]), 0..4), 0..6_usize, any::<bool>(), any::<u8>()),
            1..12,
        ),
    ) {
        let mut source = Source::new(2);
        let clips: Vec<_> = source.clips.keys().map(|n| n.rsplit_once('/').unwrap().1.to_owned()).collect();
        let mut tar = packer();
        for (pieces, clip, odd_type, kind) in &members {
            let name = format!("{}/{}", pieces.join("/"), clips[*clip]);
            let kind = if *odd_type { T::new(*kind) } else { T::Regular };
            // Headers that describe the next member have a form of their own.
            prop_assume!(!matches!(kind, T::GNULongName | T::GNULongLink | T::XHeader | T::GNUSparse));
            put(&mut tar, &name, kind, &fake_mp4(9, 20));
        }
        source.files.insert("train/k700_train_002.tar.gz".into(), packed(tar));
        let folder = source.write("mirror");
        let before = tree(source.folder.path());
        let mut config = source.config(folder.to_str().unwrap(), "a");
        config.max_missing = 1.0;
        run(&config).unwrap();
        for (path, bytes) in tree(source.folder.path()) {
            let inside = path.strip_prefix("a/raw/");
            prop_assert!(
                path == "a/downloads.parquet"
                    || before.get(&path) == Some(&bytes)
                    || inside.is_some_and(|clip| source.clips.contains_key(clip)),
                "{}", path
            );
        }
    }
}

#[test]
fn an_absurd_size_or_a_contradicting_one_fails_its_archive_alone() {
    for header_size in [1_u64 << 62, 40] {
        let mut source = Source::new(3);
        let mut tar = packer();
        if header_size == 40 {
            tar.append_pax_extensions([("size", b"99999".as_slice())])
                .unwrap();
        }
        let mut header = tar::Header::new_gnu();
        header.set_path("yawning/abc_000001_000011.mp4").unwrap();
        header.set_size(header_size);
        header.set_cksum();
        tar.append(&header, &[0_u8; 40][..]).unwrap();
        let path = "train/k700_train_004.tar.gz";
        source.files.insert(path.into(), packed(tar));
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
