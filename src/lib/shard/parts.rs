//! Where the parts of a decoding lie until they are merged: each in a folder of shards of its own, below the folder of
//! shards that they will become.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use crate::artifact::ArtifactError;
use crate::part::{self, Part};

/// The folder that holds those of the parts.
#[must_use]
pub fn parts_folder(shards: &Path) -> PathBuf {
    shards.join("parts")
}

/// The folder of a part's shards.
#[must_use]
pub fn part_folder(shards: &Path, part: Part) -> PathBuf {
    parts_folder(shards).join(part.folder_name())
}

/// The folders of all parts that are not merged yet, whatever number of parts they are of.
///
/// # Errors
/// When the folder cannot be listed.
pub fn part_folders(shards: &Path) -> Result<Vec<PathBuf>, ArtifactError> {
    let (parts, _) = part::folders(&parts_folder(shards))?;
    let folder = |part| part_folder(shards, part);
    Ok(parts.into_iter().map(folder).collect())
}

/// What the folder of the parts is called from when all of them are merged until it is gone.
#[must_use]
pub fn merged_folder(shards: &Path) -> PathBuf {
    shards.join(".incdec-merged-parts")
}

/// Removes the parts that are merged, where a merge was stopped before it did.
///
/// # Errors
/// When the disk refuses.
pub fn remove_merged(shards: &Path) -> Result<(), ArtifactError> {
    let folder = merged_folder(shards);
    match fs::remove_dir_all(&folder) {
        Err(e) if e.kind() != ErrorKind::NotFound => Err(ArtifactError::at("remove", &folder)(e)),
        _ => Ok(()),
    }
}
