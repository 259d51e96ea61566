//! The clips on disk against the ledger: every byte is hashed again.

use std::fmt;
use std::path::Path;

use super::DownloadError;
use super::lanes;
use super::ledger::{Kind, LedgerRow};
use crate::artifact::hash_file;
use crate::progress::{Progress, Unit};
use crate::table;

/// What the check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Clips that are as the ledger says.
    pub sound: usize,
    /// Clips that are gone or have other bytes, as `<subcategory>/<clip>.mp4`, with what is wrong.
    pub damaged: Vec<(String, &'static str)>,
    /// Sound clips whose container is incomplete, with what is wrong: so they are at the source.
    pub odd: Vec<(String, String)>,
}

impl Findings {
    /// An error where anything is damaged, so that the exit status tells.
    ///
    /// # Errors
    /// When a clip is damaged or gone.
    pub fn into_result(self) -> Result<(), DownloadError> {
        match self.damaged.first() {
            None => Ok(()),
            Some((name, fault)) => Err(DownloadError::Damaged {
                damaged: self.damaged.len(),
                first: format!("{name} {fault}"),
            }),
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, fault) in &self.damaged {
            writeln!(f, "damaged\t{name}\t{fault}")?;
        }
        for (name, container) in &self.odd {
            writeln!(f, "odd\t{name}\t{container}")?;
        }
        let (sound, damaged, odd) = (self.sound, self.damaged.len(), self.odd.len());
        writeln!(
            f,
            "{sound} clips sound ({odd} with an incomplete container), {damaged} damaged or gone"
        )
    }
}

/// Compares the clips below `raw` with the ledger. Damaged files are removed, so that the next run fetches them again.
///
/// # Errors
/// When the ledger cannot be read or a damaged file cannot be removed.
pub fn verify(raw: &Path, ledger: &Path, jobs: usize) -> Result<Findings, DownloadError> {
    let mut rows: Vec<LedgerRow> = table::read(ledger)?;
    rows.retain(|row| row.kind == Kind::Clip && row.state == "present");
    let progress = Progress::new("verifying", Some(rows.len() as u64), Unit::Count("clips"));
    let faults = lanes::each(&rows, jobs, |row| {
        let path = raw.join(relative(row));
        let fault = match hash_file(&path) {
            Err(_) => Some("cannot be read"),
            Ok(hash) if Some(&hash) != row.blake3.as_ref() => Some("has other bytes"),
            Ok(_) => None,
        };
        progress.inc(1);
        fault
    });
    progress.finish();
    let mut findings = Findings::default();
    for (row, fault) in rows.iter().zip(faults) {
        let name = relative(row);
        match fault {
            None => {
                findings.sound += 1;
                if let Some(container) = row.container.as_deref().filter(|c| *c != "ok") {
                    findings.odd.push((name, container.to_owned()));
                }
            }
            Some(fault) => {
                let path = raw.join(&name);
                if path.exists() {
                    std::fs::remove_file(&path)
                        .map_err(crate::artifact::ArtifactError::at("remove", &path))?;
                }
                findings.damaged.push((name, fault));
            }
        }
    }
    Ok(findings)
}

fn relative(row: &LedgerRow) -> String {
    let subcategory = row.subcategory.as_deref().unwrap_or_default();
    format!("{subcategory}/{}.mp4", row.name)
}
