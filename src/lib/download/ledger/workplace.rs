//! The right to change a ledger and its clips, and the unfinished work of a run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::record::ArchiveRecord;
use crate::artifact::{self, ArtifactError};
use crate::download::config::DownloadConfig;
use crate::download::error::DownloadError;
use crate::lock::Lock;
use crate::part::{self, Part};

/// The folder below `raw` where a run keeps what is not finished.
const WORK_FOLDER: &str = ".incdec-download";
/// The folder there of the places of parts.
const PARTS_FOLDER: &str = "parts";
/// The file of a part that says what it is made from.
const PART_FILE: &str = "part.json";
/// The file that says from what the parts are made that are being merged.
const MERGING_FILE: &str = "merging.json";
/// What the folder of the parts is called when all of them are merged, until it is gone.
const MERGED_FOLDER: &str = "merged";
/// What an error calls the holder of the locks.
const HOLDER: &str = "incdec-download";

/// The right to change a ledger and its folder of clips, and the place where unfinished work lies.
pub(crate) struct Workplace {
    root: PathBuf,
    /// Where runs over all write down what is finished.
    records: PathBuf,
    /// Whether it is a part's, which leaves ledger and clips as they are: the clips that it fetches
    /// stay staged until all parts are merged.
    is_parts: bool,
    /// Held as long as the run lasts: that of the ledger's folder and, where it is another, that of
    /// the clips'. A part holds that of its own place.
    locks: (Lock, Option<Lock>),
}

/// The place of a part's work.
pub(crate) fn part_folder(raw: &Path, part: Part) -> PathBuf {
    parts_folder(raw).join(part.folder_name())
}

/// The folder of the places of all parts of a download into `raw`.
#[must_use]
pub fn parts_folder(raw: &Path) -> PathBuf {
    raw.join(WORK_FOLDER).join(PARTS_FOLDER)
}

impl Workplace {
    /// Takes the ledger and the clips for this process.
    pub(crate) fn open(config: &DownloadConfig) -> Result<Self, DownloadError> {
        let (ledger, raw) = (config.ledger_folder(), config.raw.as_path());
        let ledger_lock = Lock::folder(ledger, HOLDER, config.wait)?;
        fs::create_dir_all(raw).map_err(ArtifactError::at("create folder", raw))?;
        let absolute =
            |path: &Path| fs::canonicalize(path).map_err(ArtifactError::at("find", path));
        let clips_lock = (absolute(ledger)? != absolute(raw)?)
            .then(|| Lock::folder(raw, HOLDER, config.wait))
            .transpose()?;
        Ok(Self {
            root: raw.join(WORK_FOLDER),
            records: records(raw),
            is_parts: false,
            locks: (ledger_lock, clips_lock),
        })
    }

    /// Takes the place of a part for this process, where nobody changes ledger or clips.
    pub(crate) fn of_part(config: &DownloadConfig, part: Part) -> Result<Self, DownloadError> {
        let root = part_folder(&config.raw, part);
        let beside = [config.ledger_folder(), &config.raw];
        let lock = part::enter(&root, HOLDER, config.wait, &beside)?;
        Ok(Self {
            root,
            records: records(&config.raw),
            is_parts: true,
            locks: (lock, None),
        })
    }

    /// Whether it is a part's.
    pub(crate) fn is_parts(&self) -> bool {
        self.is_parts
    }

    /// An empty folder for the clips of one archive.
    pub(crate) fn staging(&self, archive: &str) -> Result<PathBuf, ArtifactError> {
        let folder = self.staging_path(archive);
        remove(&folder)?;
        fs::create_dir_all(&folder).map_err(ArtifactError::at("create folder", &folder))?;
        Ok(folder)
    }

    /// Says how many archives an earlier run had begun and not finished, and of parts that this run
    /// does not look at.
    pub(crate) fn report_begun(&self) {
        let parts = part::folders(&self.root.join(PARTS_FOLDER));
        let parts = parts.map_or(0, |(parts, _)| parts.len());
        if parts > 0 {
            tracing::warn!(
                "{parts} parts of a download were never merged; this run fetches for itself, and where it fetches something they have to be run again"
            );
        }
        let begun = fs::read_dir(self.root.join("staging")).map_or(0, Iterator::count);
        if begun > 0 {
            tracing::info!(
                "an earlier run was stopped in the middle of {begun} archives: these are read again from their start"
            );
        }
    }

    /// Removes what unfinished archives left; what is finished stays written down.
    pub(crate) fn clear_staging(&self) -> Result<(), ArtifactError> {
        remove(&self.root.join("staging"))
    }

    /// Removes what an archive left that was not finished.
    pub(crate) fn abandon(&self, archive: &str) -> Result<(), ArtifactError> {
        if outcome_path(&self.root, archive).exists() {
            return Ok(());
        }
        remove(&self.staging_path(archive))
    }

    /// Where the clips of one archive are staged.
    pub(crate) fn staging_path(&self, archive: &str) -> PathBuf {
        self.root.join("staging").join(file_name(archive))
    }

    /// Writes down that an archive is finished.
    pub(crate) fn record(&self, record: &ArchiveRecord) -> Result<(), ArtifactError> {
        let name = format!("{}.json", file_name(&record.path));
        write_json(&self.records.join(name), record)
    }

    /// The archives that a killed run had finished, and those whose clips it was giving their names:
    /// they are not complete.
    pub(crate) fn finished(&self) -> Result<Vec<ArchiveRecord>, ArtifactError> {
        let folder = self.records.as_path();
        artifact::sweep(folder)?;
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(ArtifactError::at("list", folder)(e)),
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.map_err(ArtifactError::at("list", folder))?.path();
            let text = fs::read(&path).map_err(ArtifactError::at("read", &path))?;
            // One that another version wrote is of no use; its archive is read again.
            records.extend(serde_json::from_slice::<ArchiveRecord>(&text).ok());
        }
        Ok(records)
    }

    /// Removes all unfinished work but that of parts that are not merged.
    pub(crate) fn clear(&self) -> Result<(), ArtifactError> {
        self.clear_staging()?;
        remove(&self.records)?;
        for name in [MERGED_FOLDER, MERGING_FILE] {
            remove(&self.root.join(name))?;
        }
        artifact::sweep(&self.root)?;
        let _ = fs::remove_dir(self.root.join(PARTS_FOLDER));
        match fs::remove_dir(&self.root) {
            Err(e) if !matches!(e.kind(), ErrorKind::NotFound | ErrorKind::DirectoryNotEmpty) => {
                Err(ArtifactError::at("remove", &self.root)(e))
            }
            _ => Ok(()),
        }
    }

    /// Gives a part's place back, and removes it where nothing lies there.
    pub(crate) fn leave(self) {
        let Self { root, locks, .. } = self;
        drop(locks);
        let _ = fs::remove_dir(root);
    }

    /// Removes everything of a part but its lock.
    pub(crate) fn clear_part(&self) -> Result<(), ArtifactError> {
        self.clear_staging()?;
        remove(&self.root.join(PART_FILE))?;
        remove(&outcomes(&self.root))
    }

    /// Writes down what a part is made from.
    pub(crate) fn begin_part(&self, begun: &impl Serialize) -> Result<(), ArtifactError> {
        write_json(&self.root.join(PART_FILE), begun)
    }

    /// Writes down what became of an archive of a part.
    pub(crate) fn keep(
        &self,
        archive: &str,
        outcome: &impl Serialize,
    ) -> Result<(), ArtifactError> {
        write_json(&outcome_path(&self.root, archive), outcome)
    }

    /// Writes down that parts are being merged that are made from this.
    pub(crate) fn begin_merge(&self, made_from: &impl Serialize) -> Result<(), ArtifactError> {
        write_json(&self.root.join(MERGING_FILE), made_from)
    }

    /// Sets the places of all parts aside: they are merged.
    pub(crate) fn set_parts_aside(&self, raw: &Path) -> Result<(), ArtifactError> {
        let aside = self.root.join(MERGED_FOLDER);
        remove(&aside)?;
        artifact::rename(&parts_folder(raw), &aside)
    }
}

fn records(raw: &Path) -> PathBuf {
    raw.join(WORK_FOLDER).join("records")
}

/// What the parts are made from whose merging was begun and not finished.
pub(crate) fn merging<T: DeserializeOwned>(raw: &Path) -> Result<Option<T>, ArtifactError> {
    read_json(&raw.join(WORK_FOLDER).join(MERGING_FILE))
}

/// What the part in `folder` is made from; none where it was not begun.
pub(crate) fn part_begun<T: DeserializeOwned>(folder: &Path) -> Result<Option<T>, ArtifactError> {
    read_json(&folder.join(PART_FILE))
}

/// What became of an archive of the part in `folder`; none where nothing is known.
pub(crate) fn outcome<T: DeserializeOwned>(
    folder: &Path,
    archive: &str,
) -> Result<Option<T>, ArtifactError> {
    read_json(&outcome_path(folder, archive))
}

/// Where the clips of an archive of the part in `folder` are staged.
pub(crate) fn staged_by_part(folder: &Path, archive: &str) -> PathBuf {
    folder.join("staging").join(file_name(archive))
}

fn outcomes(folder: &Path) -> PathBuf {
    folder.join("outcomes")
}

fn outcome_path(folder: &Path, archive: &str) -> PathBuf {
    outcomes(folder).join(format!("{}.json", file_name(archive)))
}

fn write_json(path: &Path, value: &impl Serialize) -> Result<(), ArtifactError> {
    artifact::publish(path, |w| {
        serde_json::to_writer(w, value).map_err(std::io::Error::from)
    })
}

/// What the file holds; none where it is absent or another version wrote it.
fn read_json<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, ArtifactError> {
    match fs::read(path) {
        Ok(text) => Ok(serde_json::from_slice(&text).ok()),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(None),
        Err(e) => Err(ArtifactError::at("read", path)(e)),
    }
}

/// Removes a file, or a folder with all that it holds, where there is one.
fn remove(folder: &Path) -> Result<(), ArtifactError> {
    let removed = if folder.is_dir() {
        fs::remove_dir_all(folder)
    } else {
        fs::remove_file(folder)
    };
    match removed {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(ArtifactError::at("remove", folder)(e)),
        _ => Ok(()),
    }
}

/// A file name for whatever an archive is called, another one for each.
fn file_name(path: &str) -> String {
    blake3::hash(path.as_bytes()).to_hex().to_string()
}
