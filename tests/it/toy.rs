//! The toy source: its layout, its bytes, and its way through the download stage.

use std::fs;
use std::path::Path;

use incdec::clip::Split;
use incdec::download::{self, DownloadConfig};
use incdec::labels::Labels;
use incdec::toy::ToyError;
use incdec::toy::serve::Server;
use incdec::toy::source::{Layout, SourceConfig, run};

fn small(out: &Path) -> SourceConfig {
    SourceConfig {
        out: out.to_owned(),
        train: 1,
        validation: 1,
        test: 1,
        seconds: 0.4,
        size: 16,
        fps: 5,
        ..SourceConfig::default()
    }
}

fn bytes(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut files: Vec<_> = walkdir::WalkDir::new(folder)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| e.file_type().is_file())
        .map(|e| {
            let below = e.path().strip_prefix(folder).unwrap();
            (below.display().to_string(), fs::read(e.path()).unwrap())
        })
        .collect();
    files.sort();
    files
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| small(&folder.path().join(name));
    let summary = run(&at("a")).unwrap();
    assert_eq!((summary.archives, summary.labelled), (39, 37 * 3));
    assert!(!summary.unchanged);
    assert!(run(&at("a")).unwrap().unchanged);
    run(&at("b")).unwrap();
    assert!(bytes(&folder.path().join("a")) == bytes(&folder.path().join("b")));
    run(&SourceConfig { seed: 1, ..at("b") }).unwrap();
    let (a, b) = (
        bytes(&folder.path().join("a")),
        bytes(&folder.path().join("b")),
    );
    assert_eq!(a.len(), b.len());
    assert!(a != b);
}

#[test]
fn its_layout_is_the_official_one_and_its_labels_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("toy");
    run(&small(&root)).unwrap();
    let index = fs::read_to_string(root.join("train/k700_2020_train_path.txt")).unwrap();
    let lines: Vec<_> = index.lines().collect();
    assert_eq!(lines.len(), 39);
    assert_eq!(
        lines[1],
        "https://s3.amazonaws.com/kinetics/700_2020/train/k700_train_002.tar.gz"
    );
    let labels = Labels::read(&root.join("Info")).unwrap();
    assert!(Split::ALL.into_iter().all(|s| labels.of(s).len() == 37));
    let mut classes: Vec<_> = labels.taxonomy.subcategories().map(|(_, s)| s).collect();
    classes.extend(["abseiling", "zumba"]);
    classes.sort_unstable();
    for (i, class) in classes.iter().enumerate() {
        let path = root.join(format!("train/k700_train_{:03}.tar.gz", i + 1));
        let gzip = flate2::read::GzDecoder::new(fs::File::open(path).unwrap());
        for entry in tar::Archive::new(gzip).entries().unwrap() {
            let entry = entry.unwrap();
            assert!(entry.path().unwrap().starts_with(class), "{class}");
        }
    }
}

#[test]
fn its_clips_come_through_the_download_stage_in_both_layouts() {
    let folder = tempfile::tempdir().unwrap();
    for (name, layout) in [("official", Layout::Official), ("flat", Layout::Flat)] {
        let root = folder.path().join(name);
        run(&SourceConfig {
            layout,
            ..small(&root)
        })
        .unwrap();
        let server = Server::start(&root, 0).unwrap();
        let data = folder.path().join(format!("{name}-data"));
        let config = DownloadConfig {
            labels: root.join("Info"),
            raw: data.join("raw"),
            ledger: data.join("downloads.parquet"),
            source: Some(server.url().into()),
            ..DownloadConfig::default()
        };
        let summary = download::run(&config).unwrap();
        assert_eq!(
            (summary.present, summary.missing, summary.archives),
            (111, 0, 37)
        );
        let labels = Labels::read(&root.join("Info")).unwrap();
        for (_, _, label) in labels.iter() {
            let path = data
                .join("raw")
                .join(&label.subcategory)
                .join(label.clip.file_name());
            assert_eq!(&fs::read(path).unwrap()[4..8], b"ftyp");
        }
    }
}

#[test]
fn settings_out_of_range_and_foreign_folders_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let good = small(&folder.path().join("toy"));
    for bad in [
        SourceConfig {
            train: 0,
            validation: 0,
            test: 0,
            ..good.clone()
        },
        SourceConfig {
            seconds: 0.0,
            ..good.clone()
        },
        SourceConfig {
            size: 33,
            ..good.clone()
        },
        SourceConfig {
            fps: 0,
            ..good.clone()
        },
    ] {
        assert!(
            matches!(run(&bad), Err(ToyError::Setting { .. })),
            "{bad:?}"
        );
    }
    fs::create_dir(&good.out).unwrap();
    fs::write(good.out.join("thesis.tex"), "mine").unwrap();
    assert!(matches!(run(&good), Err(ToyError::Occupied { .. })));
    let absent = folder.path().join("absent");
    assert!(matches!(
        Server::start(&absent, 0),
        Err(ToyError::NoFolder { .. })
    ));
}
