//! The clips on disk against the ledger: every byte is hashed again, and what is damaged is fetched
//! again.

use std::fmt;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;

use super::record::{ClipState, KeptClip, clip_path, find_clip};
use super::table;
use super::workplace::Workplace;
use crate::artifact::{ArtifactError, hash_file};
use crate::download::config::DownloadConfig;
use crate::download::error::DownloadError;
use crate::download::run::run_in;
use crate::download::summary::DownloadSummary;
use crate::parallel;
use crate::progress::{Progress, Unit};
use crate::tables::Kind;

/// A clip that is not as the ledger says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The clip's id.
    pub clip_id: String,
    /// Its file below the folder of the clips.
    pub name: String,
    /// What is wrong.
    pub fault: &'static str,
}

/// What the check found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Clips that are as the ledger says.
    pub sound: usize,
    /// Clips that are gone or have other bytes.
    pub damaged: Vec<Damage>,
    /// Sound clips whose container is incomplete, with what is wrong: so they are at the source.
    pub incomplete: Vec<(String, String)>,
}

impl Findings {
    /// An error where anything is damaged, for the exit status.
    ///
    /// # Errors
    /// When a clip is damaged or gone.
    pub fn into_result(self) -> Result<(), DownloadError> {
        damaged(&self.damaged.iter().collect::<Vec<_>>())
    }
}

fn damaged(clips: &[&Damage]) -> Result<(), DownloadError> {
    match clips.first() {
        None => Ok(()),
        Some(first) => Err(DownloadError::Damaged {
            damaged: clips.len(),
            first: format!("{} {}", first.name, first.fault),
        }),
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for damage in &self.damaged {
            writeln!(f, "damaged\t{}\t{}", damage.name, damage.fault)?;
        }
        for (name, container) in &self.incomplete {
            writeln!(f, "odd\t{name}\t{container}")?;
        }
        let (sound, damaged, incomplete) = (self.sound, self.damaged.len(), self.incomplete.len());
        writeln!(
            f,
            "{sound} clips sound ({incomplete} with an incomplete container), {damaged} damaged or gone"
        )
    }
}

/// Compares the clips below `raw` with the ledger, `jobs` at a time. Changes nothing.
///
/// # Errors
/// When the ledger cannot be read.
pub fn verify(raw: &Path, ledger: &Path, jobs: usize) -> Result<Findings, DownloadError> {
    let mut rows = table::read(ledger)?;
    rows.retain(|row| row.kind == Kind::Clip);
    let on_disk = rows.into_iter().filter_map(|row| {
        let subcategory = row.subcategory.clone().unwrap_or_default();
        match table::clip_of(row) {
            ClipState::Present { clip, .. } | ClipState::Adopted { clip } => {
                let path = find_clip(raw, &subcategory, &clip.clip_id, |m| m.len() == clip.bytes)
                    .unwrap_or_else(|| clip_path(raw, &subcategory, &clip.clip_id));
                let file = path.file_name().unwrap_or_default().to_string_lossy();
                Some((format!("{subcategory}/{file}"), clip))
            }
            ClipState::Frames | ClipState::Missing { .. } => None,
        }
    });
    let clips: Vec<(String, KeptClip)> = on_disk.collect();
    let total = Some(clips.len() as u64);
    let progress = Progress::new("verifying", total, Unit::Count("clips"));
    let faults = parallel::each(&clips, jobs, |(name, clip)| {
        let fault = match hash_file(&raw.join(name)) {
            Err(error) if error.source.kind() == ErrorKind::NotFound => Some("is gone"),
            Err(_) => Some("cannot be read"),
            Ok(hash) if hash != clip.blake3 => Some("has other bytes"),
            Ok(_) => None,
        };
        progress.inc(1);
        fault
    });
    progress.finish();
    let mut findings = Findings::default();
    for ((name, clip), fault) in clips.into_iter().zip(faults) {
        if let Some(fault) = fault {
            let clip_id = clip.clip_id;
            let damage = Damage {
                clip_id,
                name,
                fault,
            };
            findings.damaged.push(damage);
            continue;
        }
        findings.sound += 1;
        if !matches!(clip.container.as_str(), "ok" | "") {
            findings.incomplete.push((name, clip.container));
        }
    }
    Ok(findings)
}

/// Checks the clips as [`verify`] does, reports what it found, removes the damaged ones and fetches
/// them again: these alone, whatever else is missing. No other program changes clips or ledger
/// meanwhile. `None` where nothing was damaged.
///
/// # Errors
/// As [`verify`] and [`crate::download::run()`], and when a clip stays away, because the label
/// tables no longer name it.
pub fn mend(
    config: &DownloadConfig,
    tell: impl FnOnce(&Findings),
) -> Result<Option<DownloadSummary>, DownloadError> {
    let workplace = Workplace::open(config)?;
    let findings = verify(&config.raw, &config.ledger, config.jobs)?;
    tell(&findings);
    if findings.damaged.is_empty() {
        return Ok(None);
    }
    let path = |damage: &Damage| config.raw.join(&damage.name);
    for damage in &findings.damaged {
        let path = path(damage);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(ArtifactError::at("remove", &path)(e).into());
            }
            _ => {}
        }
    }
    let damaged_clips = findings.damaged.iter();
    let only_damaged = DownloadConfig {
        only: Some(damaged_clips.map(|d| d.clip_id.clone()).collect()),
        ..config.clone()
    };
    let summary = run_in(&only_damaged, &workplace)?;
    let left: Vec<&Damage> = findings
        .damaged
        .iter()
        .filter(|d| !path(d).is_file())
        .collect();
    damaged(&left)?;
    Ok(Some(summary))
}
