//! The folder of what was fetched: its size, and who reads what in it. Every process of the host may
//! use it at the same time.
//!
//! A file in use is locked for reading, so that no other process takes it away. Whoever counts the
//! bytes, takes files away or begins one holds the lock of the whole folder for that moment.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::artifact::{self, ArtifactError, is_at, is_draft};

/// The file that is locked while the folder's bytes are counted.
const COUNTING: &str = ".incdec-counting";

/// A folder of fetched files of bounded size. The files lie one folder deeper, in that of their
/// index.
#[derive(Debug)]
pub(super) struct Cache {
    root: PathBuf,
    /// Most bytes of all files together.
    pub(super) limit_bytes: u64,
}

/// A file in the cache.
#[derive(Debug)]
pub(super) struct CachedFile {
    pub(super) path: PathBuf,
    pub(super) bytes: u64,
    pub(super) modified: SystemTime,
}

impl Cache {
    /// The cache in this folder, which is made if it is missing.
    pub(super) fn open(root: &Path, limit_bytes: u64) -> Result<Self, ArtifactError> {
        fs::create_dir_all(root).map_err(ArtifactError::at("create folder", root))?;
        Ok(Self {
            root: root.to_owned(),
            limit_bytes,
        })
    }

    /// The folder for what belongs to the index of this hash.
    pub(super) fn folder(&self, hash: &str) -> PathBuf {
        self.root.join(hash)
    }

    /// Waits until nobody else counts; the lock ends when the file is dropped.
    pub(super) fn counting(&self) -> Result<File, ArtifactError> {
        let path = self.root.join(COUNTING);
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(ArtifactError::at("open", &path))?;
        match file.lock() {
            Err(e) if e.kind() != io::ErrorKind::Unsupported => {
                Err(ArtifactError::at("lock", &path)(e))
            }
            _ => Ok(file),
        }
    }

    /// All files, those that are being fetched with the size that they are going to have. Removes
    /// what a killed process was fetching.
    pub(super) fn files(&self) -> Result<Vec<CachedFile>, ArtifactError> {
        let mut files = Vec::new();
        for folder in entries(&self.root)?.iter().filter(|path| path.is_dir()) {
            artifact::sweep(folder)?;
            for path in entries(folder)? {
                // One that has gone meanwhile takes no room.
                let Ok(metadata) = fs::metadata(&path) else {
                    continue;
                };
                files.push(CachedFile {
                    path,
                    bytes: metadata.len(),
                    modified: metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH),
                });
            }
        }
        Ok(files)
    }
}

impl CachedFile {
    /// Whether it is being fetched.
    pub(super) fn is_draft(&self) -> bool {
        let name = self.path.file_name().unwrap_or_default();
        is_draft(&name.to_string_lossy())
    }

    /// Takes it away, unless somebody reads it.
    pub(super) fn remove(&self) -> Result<bool, ArtifactError> {
        match File::open(&self.path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(true),
            Err(e) => return Err(ArtifactError::at("open", &self.path)(e)),
            Ok(file) => {
                if let Err(TryLockError::WouldBlock) = file.try_lock() {
                    return Ok(false);
                }
                remove(&self.path)?;
            }
        }
        Ok(true)
    }
}

/// Removes a file that may have gone already, and its folder with the last one.
pub(super) fn remove(path: &Path) -> Result<(), ArtifactError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => {
            return Err(ArtifactError::at("remove", path)(e));
        }
        _ => {}
    }
    if let Some(folder) = path.parent() {
        // It stays as long as there is something in it.
        let _ = fs::remove_dir(folder);
    }
    Ok(())
}

/// Opens a cached file and locks it for reading; none where it is not there, or is being taken away.
pub(super) fn open_locked(path: &Path) -> Result<Option<File>, ArtifactError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(ArtifactError::at("open", path)(e)),
    };
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => return Ok(None),
        // Where the file system has no locks, a file that is taken away stays mapped all the same.
        Ok(()) | Err(TryLockError::Error(_)) => {}
    }
    Ok(is_at(&file, path).then_some(file))
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>, ArtifactError> {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(ArtifactError::at("list", folder)(e)),
    };
    let paths = entries.map(|entry| entry.map(|entry| entry.path()));
    paths
        .collect::<io::Result<_>>()
        .map_err(ArtifactError::at("list", folder))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_somebody_reads_stays_and_any_other_goes_with_its_folder() {
        let root = tempfile::tempdir().unwrap();
        let cache = Cache::open(root.path(), 10).unwrap();
        let folder = cache.folder("abc");
        fs::create_dir(&folder).unwrap();
        let path = folder.join("train-00000.arrow");
        fs::write(&path, "12345").unwrap();
        let reader = open_locked(&path).unwrap().unwrap();
        let files = cache.files().unwrap();
        assert_eq!((files.len(), files[0].bytes), (1, 5));
        assert!(!files[0].remove().unwrap());
        drop(reader);
        assert!(files[0].remove().unwrap());
        assert!(open_locked(&path).unwrap().is_none());
        assert!(!folder.exists());
        assert!(cache.files().unwrap().is_empty());
    }
}
