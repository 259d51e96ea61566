//! What is known from before: the ledger of the last run, the records of one that was killed, the clips on disk.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::super::DownloadError;
use super::super::config::DownloadConfig;
use super::super::ledger::closing::ABSENT;
use super::super::ledger::table::{
    self as ledger, ArchiveRecord, ArchiveState, ClipState, KeptClip, Kind, LedgerRow,
    RefusedMember,
};
use crate::artifact::{self, ArtifactError};
use crate::lock::Lock;

/// The folder below `raw` where a run keeps what is not finished.
const WORK_FOLDER: &str = ".incdec-download";
/// What an error calls the holder of the locks.
const HOLDER: &str = "incdec-download";

/// The right to change a ledger and its folder of clips, and the place where unfinished work lies.
pub(in crate::download) struct Workplace {
    root: PathBuf,
    /// Held as long as the run lasts: that of the ledger's folder and, where it is another, that of the clips'.
    _locks: [Option<Lock>; 2],
}

impl Workplace {
    /// Takes the ledger and the clips for this process.
    pub(in crate::download) fn open(config: &DownloadConfig) -> Result<Self, DownloadError> {
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
            _locks: [Some(ledger_lock), clips_lock],
        })
    }

    /// An empty folder for the clips of one archive.
    pub(in crate::download) fn staging(&self, archive: &str) -> Result<PathBuf, ArtifactError> {
        let folder = self.staging_path(archive);
        remove(&folder)?;
        fs::create_dir_all(&folder).map_err(ArtifactError::at("create folder", &folder))?;
        Ok(folder)
    }

    /// Archives that a run had begun and not finished.
    pub(in crate::download) fn begun(&self) -> usize {
        fs::read_dir(self.root.join("staging")).map_or(0, Iterator::count)
    }

    /// Removes what unfinished archives left; what is finished stays written down.
    pub(in crate::download) fn clear_staging(&self) -> Result<(), ArtifactError> {
        remove(&self.root.join("staging"))
    }

    /// Where the clips of one archive are staged.
    pub(in crate::download) fn staging_path(&self, archive: &str) -> PathBuf {
        self.root.join("staging").join(file_name(archive))
    }

    /// Writes down that an archive is finished.
    pub(in crate::download) fn record(&self, record: &ArchiveRecord) -> Result<(), ArtifactError> {
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
    pub(in crate::download) fn unfinished(&self) -> Result<Vec<ArchiveRecord>, ArtifactError> {
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
    pub(in crate::download) fn clear(&self) -> Result<(), ArtifactError> {
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

/// What earlier runs found out.
#[derive(Debug, Default)]
pub(in crate::download) struct Known {
    /// The archives by path.
    pub(in crate::download) archives: BTreeMap<String, ArchiveRecord>,
    /// Subcategories of the clips that the ledger has.
    pub(in crate::download) subcategories: BTreeMap<String, String>,
    /// The clips of the ledger that no archive gave: adopted, as frames, or missing.
    pub(in crate::download) others: BTreeMap<String, ClipState>,
}

impl Known {
    /// Reads the ledger, if there is one.
    pub(in crate::download) fn read(ledger: &Path) -> Result<Self, DownloadError> {
        if !ledger.exists() {
            return Ok(Self::default());
        }
        Ok(Self::from_rows(ledger::read(ledger)?))
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
        // Of a clip that was adopted nobody knows which archives hold it.
        let adopted = |id: &str| matches!(known.others.get(id), Some(ClipState::Adopted { .. }));
        let ids = known.subcategories.keys().filter(|id| !adopted(id));
        let sought: BTreeSet<String> = ids.cloned().collect();
        for record in known.archives.values_mut() {
            if record.state == ArchiveState::Complete {
                record.sought.clone_from(&sought);
            }
        }
        known
    }

    fn add_clip(&mut self, row: LedgerRow) {
        let subcategory = row.subcategory.clone().unwrap_or_default();
        self.subcategories.insert(row.name.clone(), subcategory);
        let clip = |row: LedgerRow| KeptClip {
            clip_id: row.name,
            bytes: unsigned(row.bytes),
            blake3: row.blake3.unwrap_or_default(),
            container: row.container.unwrap_or_default(),
        };
        match row.state.as_str() {
            "present" => {
                let path = row.archive.as_deref().unwrap_or_default();
                if let Some(record) = self.archives.get_mut(path) {
                    record.kept.push(clip(row));
                }
            }
            "adopted" => {
                let id = row.name.clone();
                self.others
                    .insert(id, ClipState::Adopted { clip: clip(row) });
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
    pub(in crate::download) fn add(&mut self, mut record: ArchiveRecord) {
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
    pub(in crate::download) fn is_absent(&self, clip: &str) -> bool {
        matches!(self.others.get(clip), Some(ClipState::Missing { reason }) if reason == ABSENT)
    }

    /// Where each kept clip comes from: of several archives the first by path.
    pub(in crate::download) fn kept(&self) -> BTreeMap<&str, (&str, &KeptClip)> {
        let mut kept = BTreeMap::new();
        for record in self.archives.values() {
            for clip in &record.kept {
                kept.entry(clip.clip_id.as_str())
                    .or_insert((record.path.as_str(), clip));
            }
        }
        kept
    }

    /// The clips that lie below `raw` as this says.
    pub(in crate::download) fn on_disk<'a>(&'a self, raw: &'a Path) -> OnDisk<'a> {
        OnDisk {
            raw,
            kept: self.kept(),
            others: &self.others,
        }
    }
}

/// The clips on disk, as far as they are known.
pub(in crate::download) struct OnDisk<'a> {
    raw: &'a Path,
    kept: BTreeMap<&'a str, (&'a str, &'a KeptClip)>,
    others: &'a BTreeMap<String, ClipState>,
}

impl OnDisk<'_> {
    /// The clip, where its file is there with the size that it should have.
    pub(in crate::download) fn clip(&self, subcategory: &str, id: &str) -> Option<ClipState> {
        let is_there = |clip: &KeptClip| {
            let path = self.raw.join(subcategory).join(format!("{id}.mp4"));
            path.metadata()
                .is_ok_and(|m| m.is_file() && m.len() == clip.bytes)
        };
        if let Some(ClipState::Adopted { clip }) = self.others.get(id)
            && is_there(clip)
        {
            return Some(ClipState::Adopted { clip: clip.clone() });
        }
        let (archive, clip) = self.kept.get(id)?;
        is_there(clip).then(|| ClipState::Present {
            archive: (*archive).to_owned(),
            clip: (*clip).clone(),
        })
    }
}

fn unsigned(n: Option<i64>) -> u64 {
    n.and_then(|n| u64::try_from(n).ok()).unwrap_or(0)
}

fn archive_of(row: LedgerRow) -> ArchiveRecord {
    ArchiveRecord {
        path: row.archive.unwrap_or_default(),
        url: row.url.unwrap_or_default(),
        state: row.state.parse().unwrap_or_default(),
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
