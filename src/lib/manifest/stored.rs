//! What lies in the shards and should not: clips that nothing names, and withdrawn ones.

use std::collections::BTreeSet;
use std::path::Path;

use super::ManifestError;
use crate::labels::Labels;
use crate::shard::{IndexRow, strays};

/// Stored clips that should not be there.
#[derive(Default)]
pub(super) struct Stored {
    /// Those that no label table names.
    pub(super) unlabelled: BTreeSet<String>,
    /// Those that have been withdrawn.
    pub(super) withdrawn: BTreeSet<String>,
}

impl Stored {
    /// Looks at the index and at the stored rows that it does not name.
    pub(super) fn look(
        &mut self,
        labels: &Labels,
        shards: &Path,
        index: &[IndexRow],
    ) -> Result<(), ManifestError> {
        let labelled: BTreeSet<String> =
            labels.iter().map(|(_, _, l)| l.clip.to_string()).collect();
        for stray in strays(shards, index)? {
            if labels.withdrawn.contains(&stray.clip_id) {
                self.withdrawn.insert(stray.clip_id);
            } else if !labelled.contains(&stray.clip_id) {
                self.unlabelled.insert(stray.clip_id);
            }
        }
        let named = index.iter().filter(|row| row.shard.is_some());
        let withdrawn = named.filter(|row| labels.withdrawn.contains(&row.clip_id));
        self.withdrawn
            .extend(withdrawn.map(|row| row.clip_id.clone()));
        Ok(())
    }
}
