//! A small source in the official layout, made of fake clips, and what a download of it must give.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use incdec::download::DownloadConfig;
use incdec::download::source::{HttpConfig, RetryConfig};
use incdec::random::stream;
use rand::Rng;
use tempfile::TempDir;

pub(crate) const CLASSES: [&str; 4] = ["abseiling", "tasting beer", "texting", "yawning"];
pub(crate) const BASE: &str = "https://s3.amazonaws.com/kinetics/700_2020";

/// Bytes of a file with an MP4's boxes around noise.
pub(crate) fn fake_mp4(key: u64, payload: usize) -> Vec<u8> {
    let mut noise = vec![0; payload];
    stream(7, "fake clip", &[key]).fill_bytes(&mut noise);
    let mut file = Vec::new();
    for (kind, content) in [
        (b"ftyp", &b"isom0000"[..]),
        (b"moov", &b"index"[..]),
        (b"mdat", &noise),
    ] {
        let size = u32::try_from(content.len() + 8).unwrap();
        file.extend(size.to_be_bytes());
        file.extend(kind);
        file.extend(content);
    }
    file
}

/// A gzipped tar of (name, bytes).
pub(crate) fn archive(members: &[(String, Vec<u8>)]) -> Vec<u8> {
    let mut tar = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for (name, bytes) in members {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, name, bytes.as_slice())
            .unwrap();
    }
    tar.into_inner().unwrap().finish().unwrap()
}

/// The source's files, the labels and the tree that a download must leave.
pub(crate) struct Source {
    pub(crate) files: BTreeMap<String, Vec<u8>>,
    pub(crate) clips: BTreeMap<String, Vec<u8>>,
    pub(crate) folder: TempDir,
}

impl Source {
    /// `wanted` labelled clips and two others in each of four classes' archives; the first class is
    /// not labelled.
    pub(crate) fn new(wanted: usize) -> Self {
        Self::with_payload(wanted, 9_000)
    }

    pub(crate) fn with_payload(wanted: usize, payload: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (mut files, mut clips) = (BTreeMap::new(), BTreeMap::new());
        let mut tables = [const { String::new() }; 3];
        let mut annotations = "label,youtube_id,time_start,time_end,split\n".to_owned();
        let mut index = String::new();
        for (c, class) in CLASSES.iter().enumerate() {
            let mut members = Vec::new();
            for k in 0..wanted + 2 {
                let youtube_id = format!("{}v{c}-{k:02}_", if k == 0 { "-" } else { "x" });
                let key = (c * 1000 + k) as u64;
                let bytes = fake_mp4(key, payload + 137 * k);
                let row = format!("{class},{youtube_id},{k},{},train\n", k + 10);
                annotations += &row;
                let name = format!("{youtube_id}_{k:06}_{:06}.mp4", k + 10);
                if c > 0 && k < wanted {
                    tables[k % 3] += &row;
                    clips.insert(format!("{class}/{name}"), bytes.clone());
                }
                members.push((format!("{class}/{name}"), bytes));
            }
            let path = format!("train/k700_train_{:03}.tar.gz", c + 1);
            writeln!(index, "{BASE}/{path}").unwrap();
            files.insert(path, archive(&members));
        }
        files.insert("train/k700_2020_train_path.txt".into(), index.into_bytes());
        files.insert("annotations/train.csv".into(), annotations.into_bytes());
        let info = folder.path().join("Info");
        fs::create_dir(&info).unwrap();
        let taxonomy = "Category,Subcategory\nfood,tasting beer\nphone,texting\nfatigue,yawning\n";
        fs::write(info.join("classes.csv"), taxonomy).unwrap();
        for (name, rows) in ["train", "validation", "test"].iter().zip(tables) {
            let table = format!("label,youtube_id,time_start,time_end,split\n{rows}");
            fs::write(info.join(format!("{name}.csv")), table).unwrap();
        }
        Self {
            files,
            clips,
            folder,
        }
    }

    /// Settings of a download from `source` into `name` of the fixture's folder, quick to lose
    /// patience.
    pub(crate) fn config(&self, source: &str, name: &str) -> DownloadConfig {
        let out = self.out(name);
        DownloadConfig {
            labels: self.folder.path().join("Info"),
            raw: out.join("raw"),
            ledger: out.join("downloads.parquet"),
            source: Some(source.into()),
            jobs: 2,
            retry: RetryConfig {
                tries: 6,
                first_wait: Duration::from_millis(1),
            },
            http: HttpConfig {
                stall: Duration::from_millis(400),
                ..HttpConfig::default()
            },
            ..DownloadConfig::default()
        }
    }

    pub(crate) fn out(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Bytes of the archives that hold labelled clips.
    pub(crate) fn archive_bytes(&self) -> u64 {
        (2..=4)
            .map(|n| self.files[&format!("train/k700_train_{n:03}.tar.gz")].len() as u64)
            .sum()
    }

    /// Writes the source as a folder.
    pub(crate) fn write(&self, name: &str) -> PathBuf {
        let root = self.out(name);
        for (path, bytes) in &self.files {
            let path = root.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::File::create(path).unwrap().write_all(bytes).unwrap();
        }
        root
    }

    pub(crate) fn assert_tree(&self, name: &str) {
        assert_eq!(
            tree(&self.out(name).join("raw")).keys().collect::<Vec<_>>(),
            self.clips.keys().collect::<Vec<_>>()
        );
        assert!(
            tree(&self.out(name).join("raw")) == self.clips,
            "bytes differ"
        );
    }
}

/// The stage's binary, from `url` into `name` of the fixture's folder; what the machine's
/// environment says of proxies and credentials does not reach it.
pub(crate) fn binary(source: &Source, url: &str, name: &str) -> Command {
    let out = source.out(name);
    let mut command = Command::new(env!("CARGO_BIN_EXE_incdec-download"));
    command
        .arg("--labels")
        .arg(source.folder.path().join("Info"))
        .arg("--out")
        .arg(out.join("raw"))
        .arg("--ledger")
        .arg(out.join("downloads.parquet"))
        .args(["--source", url, "--first-wait", "0.01"]);
    for name in ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"] {
        command.env_remove(name).env_remove(name.to_lowercase());
    }
    for name in [
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ] {
        command.env_remove(name);
    }
    command
}

/// All files below a folder, hidden ones too.
pub(crate) fn tree(root: &Path) -> BTreeMap<String, Vec<u8>> {
    walkdir::WalkDir::new(root)
        .into_iter()
        .map(Result::unwrap)
        .filter(|e| !e.file_type().is_dir())
        .map(|e| {
            let below = e.path().strip_prefix(root).unwrap();
            (
                below.to_str().unwrap().to_owned(),
                fs::read(e.path()).unwrap_or_default(),
            )
        })
        .collect()
}
