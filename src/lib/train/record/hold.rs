//! The run directory while a run works in it: locked against others, and looked after, since
//! publishing a file makes the folders that it lacks and would bring back a directory that somebody
//! has removed.

use std::path::{Path, PathBuf};

use crate::lock::Lock;
use crate::train::TrainError;
use crate::train::settings::TrainConfig;

/// Who holds the lock, for messages.
const HOLDER: &str = "incdec-train";

/// A run directory that this run alone writes to.
#[derive(Debug)]
pub(in crate::train) struct Hold(Lock);

impl Hold {
    /// Locks the run directory of `config`, which is made if it is missing; the first thing that a
    /// run does there.
    ///
    /// # Errors
    /// When another program holds it and the settings say not to wait.
    pub(in crate::train) fn take(config: &TrainConfig) -> Result<Self, TrainError> {
        Ok(Self(Lock::folder(&config.out, HOLDER, config.wait)?))
    }

    /// Looks whether the directory is still the one that was locked, and has `files`.
    ///
    /// # Errors
    /// When it or one of them has gone.
    pub(in crate::train) fn check<'a>(
        &self,
        folder: &Path,
        files: impl Iterator<Item = &'a PathBuf>,
    ) -> Result<(), TrainError> {
        let gone = |path: &Path| TrainError::Vanished {
            path: path.to_owned(),
        };
        if !self.0.holds() {
            return Err(gone(folder));
        }
        match files.into_iter().find(|file| !file.exists()) {
            Some(file) => Err(gone(file)),
            None => Ok(()),
        }
    }
}
