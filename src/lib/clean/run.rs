//! Looking at what a stage left, and removing what is proven.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::place::{MADE, Place, REPORTED, files_in};
use super::proof::Candidate;
use super::{CleanConfig, CleanError, CleanSummary, Stage};
use crate::artifact::{self, ArtifactError};
use crate::lock::{LOCK_FILE, Lock};

/// What an error calls the holder of the locks.
const HOLDER: &str = "incdec-clean";

/// Removes what is proven to be the stage's work, and says what stays.
///
/// # Errors
/// When another program works in the folder, a record cannot be read, or a file cannot be removed.
pub fn run(config: &CleanConfig) -> Result<CleanSummary, CleanError> {
    let place = Place::new(config)?;
    let locks = if config.dry_run {
        Vec::new()
    } else {
        let locks = place.locked()?;
        let locks = locks
            .iter()
            .map(|folder| Lock::folder(folder, HOLDER, config.wait));
        locks.collect::<Result<_, _>>()?
    };
    let candidates = place.candidates()?;
    let (mut summary, proven) = look(config, &place, &candidates)?;
    if config.dry_run {
        return Ok(summary);
    }
    // First, so that make runs the stage again even where this is stopped half-way.
    let mut emptied = BTreeSet::new();
    for path in place.stamps().iter().chain(&proven) {
        if remove(path)? {
            emptied.extend(path.parent().map(Path::to_owned));
        }
    }
    summary.removed = proven;
    // A lock lies in the folder that it is for, which is empty only without it.
    drop(locks);
    for folder in &emptied {
        artifact::sweep(folder)?;
        remove_empty(folder, &place.root)?;
    }
    Ok(summary)
}

/// What is proven to be ours, in the order in which it is to go, and what stays.
fn look(
    config: &CleanConfig,
    place: &Place,
    candidates: &[Candidate],
) -> Result<(CleanSummary, Vec<PathBuf>), CleanError> {
    // Of a run, only the page is looked for where only the page goes.
    let mut others = match config.stage {
        Stage::Report => BTreeSet::new(),
        _ => files_in(&place.root)?,
    };
    let mut summary = CleanSummary {
        dry_run: config.dry_run,
        ..CleanSummary::default()
    };
    let mut proven = Vec::new();
    for Candidate { path, proof } in candidates {
        others.remove(path);
        match fs::symlink_metadata(path) {
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => return Err(ArtifactError::at("look at", path)(e).into()),
            Ok(metadata)
                if metadata.is_file() && is_below(path, &place.root) && proof.holds(path)? =>
            {
                proven.push(path.clone());
            }
            Ok(_) => summary.changed.push(path.clone()),
        }
    }
    summary.unknown = others
        .into_iter()
        .filter(|path| !is_passing(path))
        .collect();
    if config.dry_run {
        summary.removed.clone_from(&proven);
    }
    Ok((summary, proven))
}

/// Whether no folder between the file and `root` is a link to elsewhere.
fn is_below(path: &Path, root: &Path) -> bool {
    let folders = path
        .ancestors()
        .skip(1)
        .take_while(|folder| *folder != root && folder.starts_with(root));
    folders
        .into_iter()
        .all(|folder| fs::symlink_metadata(folder).is_ok_and(|m| m.is_dir()))
}

/// Whether a file is none that lasts: a lock, a stamp of make, or one that is being written.
fn is_passing(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let stamps = MADE.iter().chain(&REPORTED);
    name == LOCK_FILE || stamps.into_iter().any(|stamp| name == *stamp) || artifact::is_draft(&name)
}

/// Removes a file and says whether it was there.
fn remove(path: &Path) -> Result<bool, ArtifactError> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(false),
        Err(e) => Err(ArtifactError::at("remove", path)(e)),
    }
}

/// Removes `folder` and those above it up to `root`, as far as they are empty.
fn remove_empty(folder: &Path, root: &Path) -> Result<(), ArtifactError> {
    for folder in folder
        .ancestors()
        .take_while(|folder| folder.starts_with(root))
    {
        match fs::remove_dir(folder) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) if e.kind() == ErrorKind::DirectoryNotEmpty => return Ok(()),
            Err(e) => return Err(ArtifactError::at("remove folder", folder)(e)),
        }
    }
    Ok(())
}
