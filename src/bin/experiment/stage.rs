//! A stage of the pipeline that is run where it is due, by the stamps that make keeps beside its record.
//!
//! `.made` is touched when the stage has succeeded, `.made-by` holds the settings that it was last asked to take, one a
//! line. make and this program read and write the same two files, so neither runs what the other has done.

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::time::SystemTime;

use anyhow::Context;

use crate::program;

const MADE: &str = ".made";
const MADE_BY: &str = ".made-by";

/// A stage, where it writes, and what decides whether it is due.
pub(crate) struct Stage {
    /// What messages call it.
    pub(crate) name: String,
    /// The binary.
    pub(crate) program: &'static str,
    /// What it reads: it is due where one of these is newer than its last success.
    pub(crate) inputs: Vec<PathBuf>,
    /// The folder that it writes.
    pub(crate) folder: PathBuf,
    /// The last file of that folder that it publishes.
    pub(crate) record: &'static str,
    /// Arguments that say where things lie.
    pub(crate) places: Vec<String>,
    /// Arguments that say what is made.
    pub(crate) settings: Vec<String>,
    /// What `.made-by` says before the settings, if anything.
    pub(crate) made_from: Option<PathBuf>,
}

/// Why a stage is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    /// Its program ended with another status than success; it has said why.
    #[error("{program} ended with {status}")]
    Ended {
        program: &'static str,
        status: ExitStatus,
    },
    /// It could not be started, or its stamps could not be written.
    #[error("{0:#}")]
    NotStarted(#[from] anyhow::Error),
}

impl Stage {
    /// Runs the stage where it is due.
    pub(crate) fn run(&self) -> Result<(), StageError> {
        if !self.is_due() {
            return Ok(());
        }
        self.note_settings()
            .with_context(|| format!("note the settings in {}", self.folder.display()))?;
        let arguments = [&self.places[..], &self.settings].concat();
        let status = program::run(self.program, &arguments)?;
        if !status.success() {
            let program = self.program;
            return Err(StageError::Ended { program, status });
        }
        let made = self.folder.join(MADE);
        File::create(&made).with_context(|| format!("touch {}", made.display()))?;
        Ok(())
    }

    /// Whether something asks for the stage: a record that is absent, other settings, or an input that is newer. An input
    /// that is absent asks for it too; the program says what is missing.
    fn is_due(&self) -> bool {
        let Some(made) = modified(&self.folder.join(MADE)) else {
            return true;
        };
        let is_newer = |input: &PathBuf| modified(input).is_none_or(|changed| changed > made);
        !self.folder.join(self.record).exists()
            || self.has_other_settings()
            || self.inputs.iter().any(is_newer)
    }

    fn has_other_settings(&self) -> bool {
        fs::read_to_string(self.folder.join(MADE_BY)).ok() != Some(self.made_by())
    }

    /// Keeps the settings, which only their owner reads, and forgets a success that had others.
    fn note_settings(&self) -> anyhow::Result<()> {
        if !self.has_other_settings() {
            return Ok(());
        }
        fs::create_dir_all(&self.folder)?;
        match fs::remove_file(self.folder.join(MADE)) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error.into()),
            _ => {}
        }
        // Half-written settings are others: the stage is due once more, and finds itself complete.
        let mut file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o600)
            .open(self.folder.join(MADE_BY))?;
        file.write_all(self.made_by().as_bytes())?;
        Ok(())
    }

    fn made_by(&self) -> String {
        let from = self
            .made_from
            .as_ref()
            .map(|f| format!("{}\n", f.display()));
        let settings = self.settings.iter().map(|setting| format!("{setting}\n"));
        from.into_iter().chain(settings).collect()
    }
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|file| file.modified()).ok()
}
