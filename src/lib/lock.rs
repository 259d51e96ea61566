//! One program at a time: what a stage owns (a run's record, a ledger, a folder of shards) is locked while it is written.
//!
//! The lock is the operating system's on a small file, so a program that is killed holds nothing. The file says who holds it
//! and is removed when the holder ends.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::artifact::{ArtifactError, is_at};
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;

/// The name of the file that stands for a folder's lock.
pub const LOCK_FILE: &str = ".incdec.lock";

/// Longest text about a holder that is read.
const MAX_HOLDER_BYTES: u64 = 1000;

/// How long a lock that is held is looked at a second time: [`holder`] has it for a moment only.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What to do where another program holds the lock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Wait {
    /// Name the holder and end.
    #[default]
    No,
    /// Say who holds it and wait until it is free.
    Yes,
}

impl From<bool> for Wait {
    /// What a `--wait` that was given or not means.
    fn from(is_asked: bool) -> Self {
        if is_asked { Self::Yes } else { Self::No }
    }
}

/// Why a lock could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another program holds it.
    #[error("{path} is in use by {holder}")]
    Held {
        /// What is locked.
        path: PathBuf,
        /// Who holds it, in its own words.
        holder: String,
    },
    /// The file of the lock cannot be made or locked.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
}

impl Hint for LockError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Held { .. } => {
                Some("let it end, or give --wait to begin when it has ended".into())
            }
            Self::Artifact(e) => e.hint(),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Held { .. } => Exit::TryAgain,
            Self::Artifact(e) => e.exit(),
        }
    }
}

/// A lock that is held until it is dropped.
#[derive(Debug)]
pub struct Lock {
    /// Closing it gives the lock back.
    file: File,
    path: PathBuf,
}

impl Lock {
    /// Locks `folder`, which is made if it is missing. `holder` says who asks: `incdec-train`.
    ///
    /// # Errors
    /// When another program holds it and `wait` is [`Wait::No`], or the file of the lock cannot be made.
    pub fn folder(folder: &Path, holder: &str, wait: Wait) -> Result<Self, LockError> {
        fs::create_dir_all(folder).map_err(ArtifactError::at("create folder", folder))?;
        Self::take(&folder.join(LOCK_FILE), folder, holder, wait)
    }

    /// Locks the file `path`, made for this alone; `what` is what an error calls locked.
    ///
    /// # Errors
    /// As [`Lock::folder`].
    pub fn take(path: &Path, what: &Path, holder: &str, wait: Wait) -> Result<Self, LockError> {
        loop {
            let mut file = OpenOptions::new()
                .read(true)
                .write(true)
                .create(true)
                .truncate(false)
                .open(path)
                .map_err(ArtifactError::at("open", path))?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    let held = read_holder(&mut file);
                    if wait == Wait::No {
                        std::thread::sleep(LOOK_AGAIN);
                        if file.try_lock().is_err() {
                            return Err(LockError::Held {
                                path: what.to_owned(),
                                holder: held,
                            });
                        }
                        continue;
                    }
                    tracing::info!("waiting for {}: in use by {held}", what.display());
                    file.lock().map_err(ArtifactError::at("lock", path))?;
                }
                Err(TryLockError::Error(e)) if e.kind() == io::ErrorKind::Unsupported => {
                    tracing::warn!(
                        "{}: this file system has no locks; see to it that nothing else writes here",
                        what.display()
                    );
                }
                Err(TryLockError::Error(e)) => {
                    return Err(ArtifactError::at("lock", path)(e).into());
                }
            }
            // The holder before may have removed the file between our opening and locking it: then this is nobody's lock.
            if is_at(&file, path) {
                let holds_text = file.metadata().is_ok_and(|metadata| metadata.len() > 0);
                // Whoever ends by itself removes the file.
                if holds_text && file.rewind().is_ok() {
                    tracing::info!(
                        "{} was in use by {}, which did not end by itself: it was killed, or its host went down",
                        what.display(),
                        read_holder(&mut file)
                    );
                }
                let text = format!("{holder}, process {}", std::process::id());
                file.set_len(0)
                    .and_then(|()| file.rewind())
                    .and_then(|()| file.write_all(text.as_bytes()))
                    .map_err(ArtifactError::at("write", path))?;
                return Ok(Self {
                    file,
                    path: path.to_owned(),
                });
            }
        }
    }
}

/// Who holds the lock of `folder` now, in its own words; `None` where nobody does. Writes nothing and waits for nobody.
///
/// # Errors
/// When the file of the lock cannot be opened.
pub fn holder(folder: &Path) -> Result<Option<String>, ArtifactError> {
    let path = folder.join(LOCK_FILE);
    let mut file = match File::open(&path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(e) => return Err(ArtifactError::at("open", &path)(e)),
    };
    // A file that a killed program left can be locked; that lock ends with this look.
    Ok(match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Some(read_holder(&mut file)),
        Ok(()) | Err(TryLockError::Error(_)) => None,
    })
}

impl Lock {
    /// Whether the file of the lock is still in its place. It is not where somebody has removed the folder; another program
    /// may then hold a lock of its own there.
    #[must_use]
    pub fn holds(&self) -> bool {
        is_at(&self.file, &self.path)
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        if self.holds() {
            // A file that stays behind locks nothing.
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn read_holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(MAX_HOLDER_BYTES).read_to_string(&mut text);
    match read {
        Ok(n) if n > 0 => printable(&text).into_owned(),
        _ => "another program".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_by_the_name_of_the_first_until_it_ends() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::folder(folder.path(), "incdec-train", Wait::No).unwrap();
        let refused = Lock::folder(folder.path(), "incdec-train", Wait::No).unwrap_err();
        let text = refused.to_string();
        let holder = format!("incdec-train, process {}", std::process::id());
        assert!(text.ends_with(&holder), "{text}");
        assert_eq!(refused.exit(), Exit::TryAgain);
        assert_eq!(super::holder(folder.path()).unwrap(), Some(holder));
        drop(first);
        assert_eq!(super::holder(folder.path()).unwrap(), None);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
        Lock::folder(folder.path(), "incdec-train", Wait::No).unwrap();
    }

    #[test]
    fn a_lock_whose_folder_went_holds_nothing_and_leaves_the_next_ones_alone() {
        let folder = tempfile::tempdir().unwrap();
        let run = folder.path().join("run");
        let first = Lock::folder(&run, "a", Wait::No).unwrap();
        assert!(first.holds());
        fs::remove_dir_all(&run).unwrap();
        assert!(!first.holds());
        let second = Lock::folder(&run, "b", Wait::No).unwrap();
        drop(first);
        assert!(second.holds());
    }

    #[test]
    fn one_that_waits_gets_the_lock_when_it_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let first = Lock::folder(folder.path(), "a", Wait::No).unwrap();
        let path = folder.path().to_owned();
        let second = std::thread::spawn(move || Lock::folder(&path, "b", Wait::Yes).is_ok());
        std::thread::sleep(std::time::Duration::from_millis(50));
        assert!(!second.is_finished());
        drop(first);
        assert!(second.join().unwrap());
    }

    #[test]
    fn a_file_that_a_killed_program_left_locks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(LOCK_FILE), "incdec-train, process 1").unwrap();
        assert_eq!(holder(folder.path()).unwrap(), None);
        Lock::folder(folder.path(), "b", Wait::No).unwrap();
    }
}
