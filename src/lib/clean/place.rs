//! What each stage leaves, and where.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::proof::{Candidate, Proof};
use super::run_files::run_files;
use super::{CleanConfig, CleanError, Stage};
use crate::artifact::ArtifactError;
use crate::download::ledger::{self, ClipState, Kind, LedgerRow};
use crate::manifest::{self, CROISSANT_FILE, DATA_CARD_FILE, StoredRow};
use crate::parquet_file::Table;
use crate::report::run_pages;
use crate::shard::{IndexRow, parts_place, shard_files};
use crate::tables::{AvailabilityRow, ClipRow, ScheduleRow};

/// The names that the Makefile gives to what lies beside others: the ledger's log, the page.
const DOWNLOAD_LOG: &str = "download.jsonl";
const PAGE_FILE: &str = "report.html";
/// The folder of the clips, beside the ledger.
const CLIPS_FOLDER: &str = "raw";
/// What make leaves beside a record: that the stage has succeeded, and the settings that it was
/// asked to take.
pub(super) const MADE: [&str; 2] = [".made", ".made-by"];
/// The same of a report.
pub(super) const REPORTED: [&str; 2] = [".reported", ".reported-by"];

/// Where a stage's work lies.
#[derive(Clone, Debug)]
pub(super) struct Place {
    stage: Stage,
    folder: PathBuf,
    /// Everything in it is looked at; folders in it that cleaning has emptied go, itself included.
    pub(super) root: PathBuf,
    /// Folders with a record, each with the lock and the stamps of its stage.
    pub(super) records: BTreeSet<PathBuf>,
}

impl Place {
    /// Where the work lies that `config` names.
    ///
    /// # Errors
    /// When a folder cannot be listed.
    pub(super) fn new(config: &CleanConfig) -> Result<Self, ArtifactError> {
        let folder = config.folder.clone();
        let root = match config.stage {
            Stage::Download => config
                .clips
                .clone()
                .unwrap_or_else(|| folder.join(CLIPS_FOLDER)),
            _ => folder.clone(),
        };
        let mut records = BTreeSet::from([folder.clone()]);
        if config.stage == Stage::Decode {
            records.extend(parts_place(&folder).folders()?);
        }
        if config.stage == Stage::Manifest {
            records.extend(manifest::parts_place(&folder.join(ClipRow::FILE)).folders()?);
        }
        if config.stage == Stage::Tasks {
            let tables = [AvailabilityRow::FILE, ScheduleRow::FILE, MADE[0], MADE[1]];
            let is_table = |path: &PathBuf| {
                path.file_name()
                    .is_some_and(|name| tables.iter().any(|t| name == *t))
            };
            let files = files_in(&folder)?.into_iter().filter(is_table);
            records.extend(files.filter_map(|path| path.parent().map(Path::to_owned)));
        }
        Ok(Self {
            stage: config.stage,
            folder,
            root,
            records,
        })
    }

    /// The folders to lock, each once: those of records, and of clips.
    ///
    /// # Errors
    /// When a folder cannot be found.
    pub(super) fn locked(&self) -> Result<BTreeSet<PathBuf>, ArtifactError> {
        // A page is published by a rename, and nobody who writes reads it.
        if self.stage == Stage::Report {
            return Ok(BTreeSet::new());
        }
        let folders = self.records.iter().chain([&self.root]);
        folders
            .filter(|folder| folder.is_dir())
            .map(|folder| fs::canonicalize(folder).map_err(ArtifactError::at("find", folder)))
            .collect()
    }

    /// The stamps of make.
    pub(super) fn stamps(&self) -> Vec<PathBuf> {
        let names: &[&str] = match self.stage {
            Stage::Report => &REPORTED,
            Stage::Train => &[MADE[0], MADE[1], REPORTED[0], REPORTED[1]],
            _ => &MADE,
        };
        let of = |folder: &PathBuf| {
            names
                .iter()
                .map(|name| folder.join(name))
                .collect::<Vec<_>>()
        };
        self.records.iter().flat_map(of).collect()
    }

    /// Everything that the stage makes here, the records last.
    ///
    /// # Errors
    /// When a record cannot be read.
    pub(super) fn candidates(&self) -> Result<Vec<Candidate>, CleanError> {
        let at = |name: &str, proof| Candidate {
            path: self.folder.join(name),
            proof,
        };
        // Those of single runs first: the page leads to them.
        let pages = || -> Result<Vec<Candidate>, ArtifactError> {
            let page = self.folder.join(PAGE_FILE);
            let paths = run_pages(&page)?.into_iter().chain([page]);
            let proven = |path| Candidate {
                path,
                proof: Proof::Page,
            };
            Ok(paths.map(proven).collect())
        };
        Ok(match self.stage {
            Stage::Download => {
                let ledger = self.folder.join(LedgerRow::FILE);
                let mut found = clips(&ledger, &self.root)?;
                found.push(at(DOWNLOAD_LOG, Proof::Log));
                found.push(at(LedgerRow::FILE, Proof::Table(LedgerRow::FORMAT)));
                found
            }
            Stage::Decode => {
                let mut found = Vec::new();
                // The folder's own record, and those of parts that were never merged.
                for folder in self.records.iter().rev() {
                    found.extend(shards(folder)?);
                    found.push(Candidate {
                        path: folder.join(IndexRow::FILE),
                        proof: Proof::Table(IndexRow::FORMAT),
                    });
                }
                found
            }
            Stage::Manifest => {
                // Those of parts that were never merged first.
                let parts = self.records.iter().filter(|folder| **folder != self.folder);
                let of_part = |folder: &PathBuf| Candidate {
                    path: folder.join(StoredRow::FILE),
                    proof: Proof::Table(StoredRow::FORMAT),
                };
                let mut found: Vec<Candidate> = parts.map(of_part).collect();
                found.push(at(CROISSANT_FILE, Proof::Document));
                found.push(at(DATA_CARD_FILE, Proof::Card));
                found.push(at(ClipRow::FILE, Proof::Table(ClipRow::FORMAT)));
                found
            }
            Stage::Tasks => self
                .records
                .iter()
                .flat_map(|folder| tasks(folder))
                .collect(),
            Stage::Train => {
                let mut found = pages()?;
                found.extend(run_files(&self.folder)?);
                found
            }
            Stage::Report => pages()?,
        })
    }
}

/// The clips that the ledger says were downloaded, not those that it found.
fn clips(ledger: &Path, root: &Path) -> Result<Vec<Candidate>, CleanError> {
    if !ledger.exists() {
        return Ok(Vec::new());
    }
    let rows = ledger::read(ledger)?.into_iter();
    let downloaded = rows.filter(|row| row.kind == Kind::Clip).filter_map(|row| {
        let subcategory = row.subcategory.clone()?;
        let ClipState::Present { clip, .. } = ledger::clip_of(row) else {
            return None;
        };
        Some(Candidate {
            path: ledger::clip_path(root, &subcategory, &clip.clip_id),
            proof: Proof::Hash(clip.blake3),
        })
    });
    Ok(downloaded.collect())
}

fn shards(folder: &Path) -> Result<Vec<Candidate>, CleanError> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let names = shard_files(folder)?;
    let shard = |name: String| Candidate {
        path: folder.join(name),
        proof: Proof::Shard,
    };
    Ok(names.into_values().map(shard).collect())
}

fn tasks(folder: &Path) -> [Candidate; 2] {
    let table = |name, format| Candidate {
        path: folder.join(name),
        proof: Proof::Table(format),
    };
    [
        table(ScheduleRow::FILE, ScheduleRow::FORMAT),
        table(AvailabilityRow::FILE, AvailabilityRow::FORMAT),
    ]
}

/// Every file in `folder` and below, links included; none where the folder is absent.
///
/// # Errors
/// When a folder cannot be listed.
pub(super) fn files_in(folder: &Path) -> Result<BTreeSet<PathBuf>, ArtifactError> {
    if !folder.exists() {
        return Ok(BTreeSet::new());
    }
    let mut files = BTreeSet::new();
    for entry in WalkDir::new(folder) {
        let entry = entry.map_err(|e| ArtifactError {
            action: "list",
            path: e.path().unwrap_or(folder).to_owned(),
            source: e.into(),
        })?;
        if !entry.file_type().is_dir() {
            files.insert(entry.into_path());
        }
    }
    Ok(files)
}
