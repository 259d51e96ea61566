//! The right to change a ledger and its clips, and the unfinished work of a run.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::record::ArchiveRecord;
use crate::artifact::{self, ArtifactError};
use crate::download::config::DownloadConfig;
use crate::download::error::DownloadError;
use crate::lock::Lock;

/// The folder below `raw` where a run keeps what is not finished.
const WORK_FOLDER: &str = ".incdec-download";
/// What an error calls the holder of the locks.
const HOLDER: &str = "incdec-download";

/// The right to change a ledger and its folder of clips, and the place where unfinished work lies.
pub(crate) struct Workplace {
    root: PathBuf,
    /// Held as long as the run lasts: that of the ledger's folder and, where it is another, that of
    /// the clips'.
    _locks: (Lock, Option<Lock>),
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
            _locks: (ledger_lock, clips_lock),
        })
    }

    /// An empty folder for the clips of one archive.
    pub(crate) fn staging(&self, archive: &str) -> Result<PathBuf, ArtifactError> {
        let folder = self.staging_path(archive);
        remove(&folder)?;
        fs::create_dir_all(&folder).map_err(ArtifactError::at("create folder", &folder))?;
        Ok(folder)
    }

    /// Says how many archives an earlier run had begun and not finished.
    pub(crate) fn report_begun(&self) {
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

    /// Where the clips of one archive are staged.
    pub(crate) fn staging_path(&self, archive: &str) -> PathBuf {
        self.root.join("staging").join(file_name(archive))
    }

    /// Writes down that an archive is finished.
    pub(crate) fn record(&self, record: &ArchiveRecord) -> Result<(), ArtifactError> {
        let path = self
            .records()
            .join(format!("{}.json", file_name(&record.path)));
        artifact::publish(&path, |w| {
            serde_json::to_writer(w, record).map_err(std::io::Error::from)
        })
    }

    fn records(&self) -> PathBuf {
        self.root.join("records")
    }

    /// The archives that a killed run had finished, and those whose clips it was giving their names:
    /// they are not complete.
    pub(crate) fn finished(&self) -> Result<Vec<ArchiveRecord>, ArtifactError> {
        let folder = self.records();
        artifact::sweep(&folder)?;
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(e) if e.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(e) => return Err(ArtifactError::at("list", &folder)(e)),
        };
        let mut records = Vec::new();
        for entry in entries {
            let path = entry.map_err(ArtifactError::at("list", &folder))?.path();
            let text = fs::read(&path).map_err(ArtifactError::at("read", &path))?;
            // One that another version wrote is of no use; its archive is read again.
            records.extend(serde_json::from_slice::<ArchiveRecord>(&text).ok());
        }
        Ok(records)
    }

    /// Removes all unfinished work.
    pub(crate) fn clear(&self) -> Result<(), ArtifactError> {
        remove(&self.root)
    }
}

fn remove(folder: &Path) -> Result<(), ArtifactError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(ArtifactError::at("remove", folder)(e)),
        _ => Ok(()),
    }
}

/// A file name for whatever an archive is called, another one for each.
fn file_name(path: &str) -> String {
    blake3::hash(path.as_bytes()).to_hex().to_string()
}
