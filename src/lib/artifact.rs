//! Publishing files so that nobody ever meets half of one: written beside the target under a temporary name, synced,
//! renamed. A stage that is killed leaves at most a temporary file, which its next run sweeps away. Whoever writes a
//! temporary file holds its lock, so that sweeping takes only what nobody writes any more.

mod hash;

use std::fs::{self, File, TryLockError};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::exit::Exit;
use crate::hint::Hint;

pub use hash::{hash_file, hexadecimal, read_pieces};

/// Prefix of the names of files being written. The next run of the stage removes what a killed one left.
const TEMPORARY_PREFIX: &str = ".incdec-";
/// Suffix of the names of files being written.
const TEMPORARY_SUFFIX: &str = ".tmp";

/// Why a file could not be published or read.
#[derive(Debug, thiserror::Error)]
#[error("{action} {path}: {source}")]
pub struct ArtifactError {
    /// What was being done, as a verb.
    pub action: &'static str,
    /// The file or folder concerned.
    pub path: PathBuf,
    /// What the system said.
    pub source: io::Error,
}

impl ArtifactError {
    /// An error about `path` while doing `action` ("write", "read", ...). Fits `map_err`.
    pub fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self {
            action,
            path,
            source,
        }
    }
}

impl Hint for ArtifactError {
    fn hint(&self) -> Option<String> {
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                Some("free some space on that disk and run the same command again: what was finished is kept".into())
            }
            io::ErrorKind::PermissionDenied => Some("choose an output folder that you may write to".into()),
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        match self.source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Exit::TryAgain,
            _ => Exit::Failed,
        }
    }
}

/// A file that is being written and becomes visible under its name only by [`Draft::publish`]. Dropped before, it is
/// removed.
#[derive(Debug)]
pub struct Draft {
    file: tempfile::NamedTempFile,
    target: PathBuf,
}

impl Draft {
    /// Starts a draft of `target`, in the same folder, which is made if it is missing. Of a link, what it leads to is
    /// replaced, so that the link stays as somebody laid it and nothing old is left behind it.
    ///
    /// # Errors
    /// When the folder or the temporary file cannot be made.
    pub fn new(target: &Path) -> Result<Self, ArtifactError> {
        let led = fs::read_link(target).and_then(|_| fs::canonicalize(target));
        let target = led.unwrap_or_else(|_| target.to_owned());
        let folder = parent(&target);
        fs::create_dir_all(folder).map_err(ArtifactError::at("create folder", folder))?;
        let mut builder = tempfile::Builder::new();
        builder.prefix(TEMPORARY_PREFIX).suffix(TEMPORARY_SUFFIX);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            // Temporary files are private by default; what we publish is meant to be read. The umask still applies.
            builder.permissions(fs::Permissions::from_mode(0o666));
        }
        let refused = ArtifactError::at("create a file in", folder);
        loop {
            let file = match builder.tempfile_in(folder) {
                Ok(file) => file,
                Err(e) => return Err(refused(e)),
            };
            match file.as_file().try_lock() {
                // Somebody sweeps the folder and has got hold of it first.
                Err(TryLockError::WouldBlock) => {}
                Ok(()) if !is_at(file.as_file(), file.path()) => {}
                // Where the file system has no locks, nothing is swept either.
                Ok(()) | Err(TryLockError::Error(_)) => {
                    return Ok(Self { file, target });
                }
            }
        }
    }

    /// The open file, for writing.
    pub fn file(&mut self) -> &mut File {
        self.file.as_file_mut()
    }

    /// A second handle of the same open file, for writers that want to own one.
    ///
    /// # Errors
    /// When the system has no handle left.
    pub fn handle(&self) -> Result<File, ArtifactError> {
        self.file
            .as_file()
            .try_clone()
            .map_err(ArtifactError::at("open", &self.target))
    }

    /// Where the unfinished bytes lie, for libraries that open files by name.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Syncs the bytes, gives them their name, replacing what had it, and syncs the folder.
    ///
    /// # Errors
    /// When syncing or renaming fails; the target is then as it was.
    pub fn publish(self) -> Result<(), ArtifactError> {
        self.file
            .as_file()
            .sync_all()
            .map_err(ArtifactError::at("sync", &self.target))?;
        self.file
            .persist(&self.target)
            .map_err(|e| ArtifactError::at("rename to", &self.target)(e.error))?;
        sync_folder_of(&self.target)
    }
}

/// Removes a file or a folder, if it is there; of a link, what it leads to, too: that is what the pipeline reads.
///
/// # Errors
/// When the system refuses.
pub fn remove(path: &Path) -> Result<(), ArtifactError> {
    let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if gone(&e) => return Ok(()),
        Err(e) => return Err(ArtifactError::at("look at", path)(e)),
    };
    if metadata.is_symlink()
        && let Ok(target) = fs::canonicalize(path)
    {
        remove(&target)?;
    }
    let removed = if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(e) if !gone(&e) => Err(ArtifactError::at("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Gives a published file or a folder another name on the same disk, replacing a file that has it.
///
/// # Errors
/// When renaming or syncing fails.
pub fn rename(from: &Path, to: &Path) -> Result<(), ArtifactError> {
    fs::rename(from, to).map_err(ArtifactError::at("rename to", to))?;
    sync_folder_of(to)
}

fn sync_folder_of(path: &Path) -> Result<(), ArtifactError> {
    let folder = parent(path);
    File::open(folder)
        .and_then(|f| f.sync_all())
        .map_err(ArtifactError::at("sync folder", folder))
}

/// Whether `path` still names the open `file`.
pub(crate) fn is_at(file: &File, path: &Path) -> bool {
    let same = |there: fs::Metadata, here: fs::Metadata| {
        (there.dev(), there.ino()) == (here.dev(), here.ino())
    };
    match (fs::metadata(path), file.metadata()) {
        (Ok(there), Ok(here)) => same(there, here),
        _ => false,
    }
}

/// The folder that holds `path`; `.` for a bare name.
#[must_use]
pub fn parent(path: &Path) -> &Path {
    or_here(path.parent().unwrap_or(Path::new("")))
}

/// A folder as the system opens it: the parent of a bare name is empty and means `.`.
fn or_here(folder: &Path) -> &Path {
    if folder.as_os_str().is_empty() {
        Path::new(".")
    } else {
        folder
    }
}

/// Publishes what `write` writes as `target`.
///
/// # Errors
/// When any step fails; the target is then as it was.
pub fn publish(
    target: &Path,
    write: impl FnOnce(&mut dyn Write) -> io::Result<()>,
) -> Result<(), ArtifactError> {
    let mut draft = Draft::new(target)?;
    {
        let mut buffered = BufWriter::new(draft.file());
        write(&mut buffered)
            .and_then(|()| buffered.flush())
            .map_err(ArtifactError::at("write", target))?;
    }
    draft.publish()
}

/// Publishes `target` only where its bytes would change, so that an unchanged file keeps its time and `make` rests.
/// Says whether it wrote.
///
/// # Errors
/// When any step of writing fails.
pub fn publish_if_changed(target: &Path, bytes: &[u8]) -> Result<bool, ArtifactError> {
    if fs::read(target).is_ok_and(|present| present == bytes) {
        return Ok(false);
    }
    publish(target, |w| w.write_all(bytes))?;
    Ok(true)
}

/// Whether a file of this name is a draft, being written or left by a killed run.
#[must_use]
pub fn is_draft(name: &str) -> bool {
    name.starts_with(TEMPORARY_PREFIX) && name.ends_with(TEMPORARY_SUFFIX)
}

/// Removes the unfinished files that a killed run left in `folder` (not below it). A missing folder has none, and a file
/// that somebody writes at this moment stays.
///
/// # Errors
/// When the folder cannot be listed or a file cannot be removed.
pub fn sweep(folder: &Path) -> Result<(), ArtifactError> {
    let folder = or_here(folder);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(ArtifactError::at("list", folder)(e)),
    };
    for entry in entries {
        let entry = entry.map_err(ArtifactError::at("list", folder))?;
        let name = entry.file_name();
        if is_draft(&name.to_string_lossy()) {
            remove_abandoned(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a temporary file whose lock nobody holds.
fn remove_abandoned(path: &Path) -> Result<(), ArtifactError> {
    let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if gone(&e) => return Ok(()),
        Err(e) => return Err(ArtifactError::at("open", path)(e)),
    };
    // Locked, or no locks on this file system: then nobody can say whether it is still being written.
    if file.try_lock().is_err() {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(e) if !gone(&e) => Err(ArtifactError::at("remove", path)(e)),
        _ => Ok(()),
    }
}

/// Free bytes on the disk of `folder` or, where it is not made yet, of the nearest folder above it; `None` where the system
/// does not say.
#[must_use]
pub fn free_bytes(folder: &Path) -> Option<u64> {
    let existing = folder
        .ancestors()
        .find(|a| a.exists() && !a.as_os_str().is_empty());
    let stat = rustix::fs::statvfs(existing.unwrap_or(Path::new("."))).ok()?;
    Some(stat.f_bavail * stat.f_frsize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_other() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("table");
        publish(&target, |w| w.write_all(b"old")).unwrap();
        let failed = publish(&target, |w| {
            w.write_all(b"new")?;
            Err(io::Error::from(io::ErrorKind::StorageFull))
        })
        .unwrap_err();
        assert!(failed.hint().unwrap().contains("free some space"));
        assert_eq!(fs::read(&target).unwrap(), b"old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[cfg(unix)]
    #[test]
    fn what_a_link_leads_to_is_replaced_and_removed_and_the_link_stays_a_link() {
        let folder = tempfile::tempdir().unwrap();
        let [there, link] = ["elsewhere", "link"].map(|name| folder.path().join(name));
        fs::write(&there, "old").unwrap();
        std::os::unix::fs::symlink(&there, &link).unwrap();
        publish(&link, |w| w.write_all(b"new")).unwrap();
        assert!(link.is_symlink());
        assert_eq!(fs::read(&there).unwrap(), b"new");
        remove(&link).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn an_unchanged_file_is_not_written_again() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("settings");
        assert!(publish_if_changed(&target, b"a").unwrap());
        assert!(!publish_if_changed(&target, b"a").unwrap());
        assert!(publish_if_changed(&target, b"b").unwrap());
    }

    #[test]
    fn sweeping_spares_what_is_being_written() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("table");
        let mut draft = Draft::new(&target).unwrap();
        draft.file().write_all(b"half").unwrap();
        sweep(folder.path()).unwrap();
        draft.publish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"half");
    }

    #[test]
    fn drafts_and_sweeps_at_the_same_time_lose_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        std::thread::scope(|scope| {
            let sweeper = scope.spawn(|| (0..500).try_for_each(|_| sweep(folder.path())));
            for i in 0..500 {
                publish(&at(&format!("{}", i % 5)), |w| w.write_all(b"x")).unwrap();
            }
            sweeper.join().unwrap().unwrap();
        });
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 5);
    }

    #[test]
    fn sweeping_takes_our_leftovers_alone() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(".incdec-x.tmp"), b"").unwrap();
        fs::write(folder.path().join("kept.tmp"), b"").unwrap();
        sweep(folder.path()).unwrap();
        sweep(&folder.path().join("absent")).unwrap();
        let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
        assert_eq!(left.len(), 1);
    }
}
