//! What is known from before: the ledger of the last run, the records of one that was killed, the clips on disk.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};

use super::DownloadError;
use super::closing::ABSENT;
use super::ledger::{
    ArchiveRecord, ArchiveState, ClipState, KeptClip, Kind, LedgerRow, RefusedMember,
};
use crate::artifact::{self, ArtifactError};
use crate::table;

/// The folder below `raw` where a run keeps what is not finished.
const WORK_FOLDER: &str = ".incdec-download";

/// How often the lock is asked for again, and how long after.
const LOCK_TRIES: u32 = 20;
const LOCK_PAUSE: Duration = Duration::from_millis(50);

/// The right to change a folder of clips, and the place where unfinished work lies.
pub(super) struct Workplace {
    root: PathBuf,
    /// Held as long as the run lasts; the system lets go of it even when the process is killed.
    _lock: File,
}

impl Workplace {
    /// Takes `raw` for this process.
    pub(super) fn open(raw: &Path) -> Result<Self, DownloadError> {
        fs::create_dir_all(raw).map_err(ArtifactError::at("create folder", raw))?;
        let lock = File::open(raw).map_err(ArtifactError::at("open", raw))?;
        // A process that is just ending, or a child of ours that has not begun its own program yet, may hold it a moment more.
        let mut tries = 0;
        while flock(&lock, FlockOperation::NonBlockingLockExclusive).is_err() {
            if tries == LOCK_TRIES {
                return Err(DownloadError::Busy {
                    path: raw.to_owned(),
                });
            }
            tries += 1;
            thread::sleep(LOCK_PAUSE);
        }
        Ok(Self {
            root: raw.join(WORK_FOLDER),
            _lock: lock,
        })
    }

    /// An empty folder for the clips of one archive.
    pub(super) fn staging(&self, archive: &str) -> Result<PathBuf, ArtifactError> {
        let folder = self.staging_path(archive);
        remove(&folder)?;
        fs::create_dir_all(&folder).map_err(ArtifactError::at("create folder", &folder))?;
        Ok(folder)
    }

    /// Archives that a run had begun and not finished.
    pub(super) fn begun(&self) -> usize {
        fs::read_dir(self.root.join("staging")).map_or(0, Iterator::count)
    }

    /// Removes what unfinished archives left; what is finished stays written down.
    pub(super) fn clear_staging(&self) -> Result<(), ArtifactError> {
        remove(&self.root.join("staging"))
    }

    /// Where the clips of one archive are staged.
    pub(super) fn staging_path(&self, archive: &str) -> PathBuf {
        self.root.join("staging").join(file_name(archive))
    }

    /// Writes down that an archive is finished.
    pub(super) fn record(&self, record: &ArchiveRecord) -> Result<(), ArtifactError> {
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

    /// The archives that a run finished before it was killed.
    pub(super) fn unfinished(&self) -> Result<Vec<ArchiveRecord>, ArtifactError> {
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
    pub(super) fn clear(&self) -> Result<(), ArtifactError> {
        remove(&self.root)
    }
}

fn remove(folder: &Path) -> Result<(), ArtifactError> {
    match fs::remove_dir_all(folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(ArtifactError::at("remove", folder)(e)),
        _ => Ok(()),
    }
}

/// A path as one file name.
fn file_name(path: &str) -> String {
    path.replace('/', "__")
}

/// What earlier runs found out.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// The archives by path.
    pub(super) archives: BTreeMap<String, ArchiveRecord>,
    /// Subcategories of the clips that the ledger has.
    pub(super) subcategories: BTreeMap<String, String>,
    /// The clips of the ledger that no archive gave: as frames, or missing.
    pub(super) others: BTreeMap<String, ClipState>,
}

impl Known {
    /// Reads the ledger, if there is one.
    pub(super) fn read(ledger: &Path) -> Result<Self, DownloadError> {
        if !ledger.exists() {
            return Ok(Self::default());
        }
        Ok(Self::from_rows(table::read(ledger)?))
    }

    fn from_rows(rows: Vec<LedgerRow>) -> Self {
        let mut known = Self::default();
        // Archives come first, so every other row finds its own.
        for row in rows {
            match row.kind {
                Kind::Archive => {
                    let record = archive_of(row);
                    known.archives.insert(record.path.clone(), record);
                }
                Kind::Clip => known.add_clip(row),
                Kind::Refused => {
                    let path = row.archive.unwrap_or_default();
                    if let Some(record) = known.archives.get_mut(&path) {
                        record.refused.push(RefusedMember {
                            name: row.name,
                            bytes: unsigned(row.bytes),
                            reason: row.reason.unwrap_or_default(),
                        });
                    }
                }
            }
        }
        for record in known.archives.values_mut() {
            if record.state == ArchiveState::Complete {
                record.sought = known.subcategories.keys().cloned().collect();
            }
        }
        known
    }

    fn add_clip(&mut self, row: LedgerRow) {
        let subcategory = row.subcategory.unwrap_or_default();
        self.subcategories.insert(row.name.clone(), subcategory);
        match row.state.as_str() {
            "present" => {
                let path = row.archive.unwrap_or_default();
                if let Some(record) = self.archives.get_mut(&path) {
                    record.kept.push(KeptClip {
                        clip_id: row.name,
                        bytes: unsigned(row.bytes),
                        blake3: row.blake3.unwrap_or_default(),
                        container: row.container.unwrap_or_default(),
                    });
                }
            }
            "frames" => {
                self.others.insert(row.name, ClipState::Frames);
            }
            _ => {
                let reason = row.reason.unwrap_or_default();
                self.others.insert(row.name, ClipState::Missing { reason });
            }
        }
    }

    /// Adds what became of an archive, in a killed run or this one. Clips that an earlier reading of it kept stay its own where
    /// this one did not seek them or did not get to its end.
    pub(super) fn add(&mut self, mut record: ArchiveRecord) {
        if let Some(before) = self.archives.remove(&record.path) {
            let read = record.state == ArchiveState::Complete;
            let others = before.kept.into_iter();
            let others: Vec<_> = others
                .filter(|k| !read || !record.sought.contains(&k.clip_id))
                .collect();
            record.members_kept += others.len() as u64;
            record.kept.extend(others);
            if read {
                record.sought.extend(before.sought);
            }
        }
        self.archives.insert(record.path.clone(), record);
    }

    /// Whether the archives that could hold the clip are known not to.
    pub(super) fn is_absent(&self, clip: &str) -> bool {
        matches!(self.others.get(clip), Some(ClipState::Missing { reason }) if reason == ABSENT)
    }

    /// Where each kept clip comes from: of several archives the first by path.
    pub(super) fn kept(&self) -> BTreeMap<&str, (&str, &KeptClip)> {
        let mut kept = BTreeMap::new();
        for record in self.archives.values() {
            for clip in &record.kept {
                kept.entry(clip.clip_id.as_str())
                    .or_insert((record.path.as_str(), clip));
            }
        }
        kept
    }
}

fn unsigned(n: Option<i64>) -> u64 {
    n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

fn archive_of(row: LedgerRow) -> ArchiveRecord {
    let state = ArchiveState::ALL
        .into_iter()
        .find(|s| s.name() == row.state);
    ArchiveRecord {
        path: row.archive.unwrap_or_default(),
        url: row.url.unwrap_or_default(),
        state: state.unwrap_or_default(),
        first_class: row.subcategory,
        bytes: row.bytes.map(|n| unsigned(Some(n))),
        etag: row.etag,
        blake3: row.blake3,
        members_seen: unsigned(row.members_seen),
        members_kept: unsigned(row.members_kept),
        members_refused: unsigned(row.members_refused),
        reason: row.reason,
        ..ArchiveRecord::default()
    }
}
