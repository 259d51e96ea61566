//! What lies in the shards and should not: clips that nothing names, and withdrawn ones.

use std::collections::BTreeSet;

use super::ManifestError;
use crate::labels::Labels;
use crate::shard::{IndexRow, Shards, Stray};

/// The shards that lie there, sorted.
///
/// # Errors
/// When one that the index names does not, or they cannot be listed.
pub(super) fn stored_shards(shards: &Shards) -> Result<Vec<String>, ManifestError> {
    if let Some(path) = shards.absent() {
        return Err(ManifestError::ShardMissing { path });
    }
    let stored = shards.stored()?;
    let there: BTreeSet<&str> = stored.iter().map(String::as_str).collect();
    match shards.names().find(|name| !there.contains(name)) {
        Some(name) => Err(ManifestError::ShardMissing {
            path: shards.path_of(name),
        }),
        None => Ok(stored),
    }
}

/// Of the stored rows that the index does not name, those of clips that no label table names or that
/// have been withdrawn. What is left are older copies.
pub(super) fn astray(labels: &Labels, strays: Vec<Stray>) -> Vec<Stray> {
    let labelled: BTreeSet<String> = labels.iter().map(|(_, _, l)| l.clip.to_string()).collect();
    let is_astray = |id: &String| labels.withdrawn.contains(id) || !labelled.contains(id);
    let strays = strays.into_iter();
    strays.filter(|stray| is_astray(&stray.clip_id)).collect()
}

/// Stored clips that should not be there.
pub(super) struct Stored {
    /// Those that no label table names.
    pub(super) unlabelled: BTreeSet<String>,
    /// Those that have been withdrawn.
    pub(super) withdrawn: BTreeSet<String>,
}

impl Stored {
    /// What the index names and should not, `unlabelled` and withdrawn clips, and the clips that the
    /// shards hold [`astray`].
    pub(super) fn new(
        labels: &Labels,
        index: &[IndexRow],
        mut unlabelled: BTreeSet<String>,
        astray: BTreeSet<String>,
    ) -> Self {
        let is_withdrawn = |id: &String| labels.withdrawn.contains(id);
        let named = index.iter().filter(|row| row.shard.is_some());
        let named = named.map(|row| &row.clip_id).filter(|id| is_withdrawn(id));
        let mut withdrawn: BTreeSet<String> = named.cloned().collect();
        for id in astray {
            let found = if is_withdrawn(&id) {
                &mut withdrawn
            } else {
                &mut unlabelled
            };
            found.insert(id);
        }
        Self {
            unlabelled,
            withdrawn,
        }
    }
}
