//! Files that go as a whole, and texts that lose lines.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::Work;
use crate::artifact::{self, ArtifactError};
use crate::erase::EraseError;
use crate::erase::held::{Action, HeldRow, What};
use crate::erase::search::{has_text, without_lines};

impl Work<'_> {
    /// Deletes videos, folders of frames, archives that may go, records of a download and pages, and
    /// takes lines out of texts.
    pub(super) fn files(&self, held: &[HeldRow]) -> Result<(), EraseError> {
        let mut done = BTreeSet::new();
        for row in held {
            if self.is_left(row) || !done.insert(&row.file) {
                continue;
            }
            let path = self.config.places.path_of(&row.file);
            match (row.action, row.what) {
                (Action::Erase | Action::Rebuild, _) => remove(&path)?,
                (Action::Rewrite, What::Lines) if has_text(&path) && path.exists() => {
                    let bytes = without_lines(&path, &self.ids)?;
                    artifact::publish_if_changed(&path, &bytes)?;
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Removes a file or a folder; of a link, what it leads to, too: that is what the pipeline reads.
fn remove(path: &Path) -> Result<(), ArtifactError> {
    let gone = |e: &io::Error| e.kind() == io::ErrorKind::NotFound;
    let refused = |e| ArtifactError::at("remove", path)(e);
    let metadata = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if gone(&e) => return Ok(()),
        Err(e) => return Err(ArtifactError::at("look at", path)(e)),
    };
    if metadata.is_symlink()
        && let Ok(target) = fs::canonicalize(path)
    {
        remove(&target)?;
    }
    let removed = if metadata.is_dir() {
        fs::remove_dir_all(path)
    } else {
        fs::remove_file(path)
    };
    match removed {
        Err(e) if !gone(&e) => Err(refused(e)),
        _ => Ok(()),
    }
}
