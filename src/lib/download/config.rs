//! Settings of the download stage.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::artifact;
use crate::clip::Split;
use crate::lock::Wait;
use crate::store::{HttpConfig, Link, RetryConfig};

/// Settings of the download stage.
#[derive(Clone, Debug)]
pub struct DownloadConfig {
    /// Folder of classes.csv, train.csv, validation.csv, test.csv.
    pub labels: PathBuf,
    /// Folder of the clips.
    pub raw: PathBuf,
    /// The ledger's file.
    pub ledger: PathBuf,
    /// Replaces the dataset's base: a URL or a folder. Default none.
    pub source: Option<Link>,
    /// Entry of `sources.toml`. Default `kinetics-700-2020`.
    pub dataset: String,
    /// Another `sources.toml`. Default none.
    pub sources: Option<PathBuf>,
    /// Subcategories to fetch, each text one or several with commas between them; all where empty.
    pub classes: Vec<String>,
    /// Splits to fetch; all where empty.
    pub splits: Vec<Split>,
    /// Clips of each subcategory and split, the first of the table. Default all.
    pub limit: Option<usize>,
    /// The ids of the clips to fetch, of those that the filters let through; all where none.
    /// Default none.
    pub only: Option<BTreeSet<String>>,
    /// Folder of `id_<clip>/jpgs` folders whose clips count as present.
    pub frame_folders: Option<PathBuf>,
    /// Folder that keeps a copy of every archive read. Default none.
    pub keep_archives: Option<PathBuf>,
    /// Archives at once. Default 4.
    pub jobs: usize,
    /// Bytes a second of all archives together. Default no limit.
    pub bytes_per_second: Option<u64>,
    /// Share of the clips that may be missing, 0 to 1: those that no archive holds, and those of
    /// archives that are absent or damaged at their source. Default 0.01.
    pub max_missing: f64,
    /// Read archives again for clips that earlier runs did not find in them, though they have not
    /// changed. Default no.
    pub seek_again: bool,
    /// What to do where another program works on this ledger or these clips. Default name it and
    /// end.
    pub wait: Wait,
    /// How failures are retried.
    pub retry: RetryConfig,
    /// The connection.
    pub http: HttpConfig,
}

impl Default for DownloadConfig {
    fn default() -> Self {
        Self {
            labels: PathBuf::from("Kinetics/Info"),
            raw: PathBuf::from("Kinetics/raw"),
            ledger: PathBuf::from("Kinetics/downloads.parquet"),
            source: None,
            dataset: "kinetics-700-2020".into(),
            sources: None,
            classes: Vec::new(),
            splits: Vec::new(),
            limit: None,
            only: None,
            frame_folders: None,
            keep_archives: None,
            jobs: 4,
            bytes_per_second: None,
            max_missing: 0.01,
            seek_again: false,
            wait: Wait::No,
            retry: RetryConfig::default(),
            http: HttpConfig::default(),
        }
    }
}

impl DownloadConfig {
    /// The folder that the ledger lies in.
    pub(super) fn ledger_folder(&self) -> &Path {
        artifact::parent(&self.ledger)
    }
}
