//! Links that lead nowhere. What one led to may have been erased before the link was: the work was
//! stopped between the two.

use std::fs;
use std::path::Path;

use super::Search;
use crate::erase::held::{Action, Place, What};

impl Search<'_> {
    /// Notes a link below `root` that leads nowhere and has the name of a clip, or leads to such a
    /// name. Says whether it did.
    pub(super) fn dangling(&mut self, place: Place, root: &Path, path: &Path) -> bool {
        let Ok(target) = fs::read_link(path) else {
            return false;
        };
        if path.exists() {
            return false;
        }
        let relative = path.strip_prefix(root).unwrap_or(path);
        let named = |path: &Path| self.of_member(path).or_else(|| self.ids.of_folder(path));
        let Some(id) = named(relative).or_else(|| named(&target)) else {
            return false;
        };
        let note = Some("a link that leads nowhere".to_owned());
        self.hold(place, path, &id, What::Video, 0, Action::Erase, note);
        true
    }
}
