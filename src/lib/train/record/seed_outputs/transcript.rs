//! `stdout-<date>.txt` and `stderr-<date>.txt`: copies of what was printed.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use crate::artifact::ArtifactError;

/// The two files of one start of the program. Outside every promise of equal bytes.
///
/// They stay open, so that a run directory that was removed is not brought back by what is printed.
#[derive(Debug)]
pub(crate) struct Transcript {
    stdout: Copy,
    stderr: Copy,
}

impl Transcript {
    /// Files in `folder` named by the minute (UTC) at which the run was started; both are there from the start.
    pub(crate) fn start(folder: &Path) -> Result<Self, ArtifactError> {
        let minute = minute_of(Timestamp::now());
        Ok(Self {
            stdout: Copy::open(folder.join(format!("stdout-{minute}.txt")))?,
            stderr: Copy::open(folder.join(format!("stderr-{minute}.txt")))?,
        })
    }

    /// Copies what goes to stdout.
    pub(crate) fn stdout(&self, text: &str) -> Result<(), ArtifactError> {
        self.stdout.append(text)
    }

    /// Copies what goes to stderr.
    pub(crate) fn stderr(&self, text: &str) -> Result<(), ArtifactError> {
        self.stderr.append(text)
    }
}

/// A file that is appended to.
#[derive(Debug)]
struct Copy {
    path: PathBuf,
    file: File,
}

impl Copy {
    fn open(path: PathBuf) -> Result<Self, ArtifactError> {
        let file = OpenOptions::new()
            .create(true)
            .append(true)
            .open(&path)
            .map_err(ArtifactError::at("open", &path))?;
        Ok(Self { path, file })
    }

    fn append(&self, text: &str) -> Result<(), ArtifactError> {
        writeln!(&self.file, "{text}").map_err(ArtifactError::at("write", &self.path))
    }
}

/// `<year>-<month>-<day>-<hour>-<minute>` of a moment, in UTC.
fn minute_of(moment: Timestamp) -> String {
    moment.strftime("%Y-%m-%d-%H-%M").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        let minute_of = |seconds| minute_of(Timestamp::from_second(seconds).unwrap());
        assert_eq!(minute_of(0), "1970-01-01-00-00");
        assert_eq!(minute_of(951_782_400 + 3600 + 120), "2000-02-29-01-02");
        assert_eq!(minute_of(1_735_689_599), "2024-12-31-23-59");
    }
}
