//! Where the parts of a stage's work lie until they are merged.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use super::Part;
use super::gather::folders;
use crate::artifact::{self, ArtifactError};

/// Where the parts of a stage's work lie until they are merged: each in a folder of its own, all of these in one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartsPlace {
    folder: PathBuf,
    merged: PathBuf,
}

impl PartsPlace {
    /// The place of parts whose folders lie in `folder`, which is called `merged` from when all of them are merged until it is
    /// gone. Both lie on one disk.
    #[must_use]
    pub fn new(folder: PathBuf, merged: PathBuf) -> Self {
        Self { folder, merged }
    }

    /// The folder that holds those of the parts.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What that folder is called from when all parts are merged until it is gone.
    #[must_use]
    pub fn merged(&self) -> &Path {
        &self.merged
    }

    /// The folder of a part's work.
    #[must_use]
    pub fn of(&self, part: Part) -> PathBuf {
        self.folder.join(part.folder_name())
    }

    /// The folders of all parts that are not merged yet, whatever number of parts they are of.
    ///
    /// # Errors
    /// When the folder cannot be listed.
    pub fn folders(&self) -> Result<Vec<PathBuf>, ArtifactError> {
        let (parts, _) = folders(&self.folder)?;
        Ok(parts.into_iter().map(|part| self.of(part)).collect())
    }

    /// Removes the parts, all of which are merged. Where this is stopped half-way, none of them counts as one any more, and
    /// [`PartsPlace::remove_merged`] removes what is left.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn set_aside(&self) -> Result<(), ArtifactError> {
        artifact::rename(&self.folder, &self.merged)?;
        self.remove_merged()
    }

    /// Removes the parts that are merged, where a merge was stopped before it did.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn remove_merged(&self) -> Result<(), ArtifactError> {
        match fs::remove_dir_all(&self.merged) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                Err(ArtifactError::at("remove", &self.merged)(e))
            }
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_that_are_set_aside_are_parts_no_more() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let place = PartsPlace::new(at("parts"), at("merged"));
        assert!(place.folders().unwrap().is_empty());
        place.remove_merged().unwrap();
        for name in ["1-of-2", "0-of-2"] {
            fs::create_dir_all(at("parts").join(name)).unwrap();
        }
        let parts = [at("parts/0-of-2"), at("parts/1-of-2")];
        assert_eq!(place.folders().unwrap(), parts);
        place.set_aside().unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
