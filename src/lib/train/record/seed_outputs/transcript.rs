//! `stdout-<date>.txt` and `stderr-<date>.txt`: copies of what was printed.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

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
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |d| d.as_secs());
        let minute = minute_of(seconds);
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

/// `<year>-<month>-<day>-<hour>-<minute>` of seconds since 1970, in UTC. (Days to a date: Howard Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`.)
fn minute_of(seconds: u64) -> String {
    let (days, rest) = (seconds / 86_400, seconds % 86_400);
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 {
        shifted_month + 3
    } else {
        shifted_month - 9
    };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!(
        "{year}-{month:02}-{day:02}-{:02}-{:02}",
        rest / 3600,
        rest % 3600 / 60
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_become_dates() {
        assert_eq!(minute_of(0), "1970-01-01-00-00");
        assert_eq!(minute_of(951_782_400 + 3600 + 120), "2000-02-29-01-02");
        assert_eq!(minute_of(1_735_689_599), "2024-12-31-23-59");
    }
}
