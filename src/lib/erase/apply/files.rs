//! Files that go as a whole, and texts that lose lines.

use std::collections::BTreeSet;

use super::Work;
use crate::artifact;
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
                (Action::Erase | Action::Rebuild, _) => artifact::remove(&path)?,
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
