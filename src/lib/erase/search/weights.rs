//! Checkpoints and states: the names that stand in them, and the clips whose rows a replay buffer keeps there.

use std::collections::BTreeSet;
use std::path::Path;

use super::Search;
use crate::artifact::ArtifactError;
use crate::erase::held::{Action, Place, What};
use crate::run_record::{buffered, is_state, is_task_checkpoint};

impl Search<'_> {
    /// Looks into a file of weights.
    pub(super) fn weights(&mut self, place: Place, path: &Path) -> Result<(), ArtifactError> {
        self.text(place, path)?;
        let keys = buffered(path).map_err(ArtifactError::at("read", path))?;
        let ids = self.ids;
        let found = keys.into_iter().filter_map(|key| ids.of_buffer(key));
        let found: BTreeSet<&String> = found.collect();
        let action = match place {
            // The task begins anew.
            _ if is_task_checkpoint(path) => Action::Erase,
            Place::Runs if is_state(path) => Action::Rewrite,
            _ => Action::ByHand,
        };
        for id in found {
            self.hold(place, path, id, What::Buffered, 0, action, None);
        }
        Ok(())
    }
}
