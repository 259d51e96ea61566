//! Nobody else works in a place while clips are erased from it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{derived, tables};
use crate::artifact;
use crate::download::ledger::parts_folder;
use crate::erase::EraseError;
use crate::erase::config::EraseConfig;
use crate::erase::runs::run_folders;
use crate::lock::Lock;
use crate::part;

/// What an error calls the holder of the locks.
const HOLDER: &str = "incdec-erase";

/// The locks of every place that is written.
pub(super) struct Locks {
    pub(super) shards: Option<Lock>,
    _others: Vec<Lock>,
}

impl Locks {
    /// Takes all of them.
    ///
    /// # Errors
    /// When another program works in one of the places, or a folder cannot be listed.
    pub(super) fn take(config: &EraseConfig) -> Result<Self, EraseError> {
        let places = &config.places;
        let lock = |folder: &Path| Lock::folder(folder, HOLDER, config.wait);
        // The data folder first: two erasures meet there, and a download.
        let mut others = vec![lock(&places.data)?];
        let mut folders = run_folders(places);
        folders.extend(tables::task_folders(places));
        folders.extend(derived::derived_folders(places));
        folders.push(places.raw.clone());
        // Parts of the manifest are merged there.
        folders.push(artifact::parent(&places.manifest).to_owned());
        let mut locked = BTreeSet::from([canonical(&places.data)]);
        for folder in folders.iter().filter(|folder| folder.is_dir()) {
            if locked.insert(canonical(folder)) {
                others.push(lock(folder)?);
            }
        }
        let has_shards = places.shards.is_dir();
        let shards = has_shards.then(|| lock(&places.shards)).transpose()?;
        // A part that runs would go on with what it has read; one that begins from now on sees the locks above.
        let whole = places.parts().map(|(_, place)| place.folder().to_owned());
        for parts in [parts_folder(&places.raw)].into_iter().chain(whole) {
            for part in part::folders(&parts)?.0 {
                drop(lock(&parts.join(part.folder_name()))?);
            }
        }
        Ok(Self {
            shards,
            _others: others,
        })
    }
}

fn canonical(folder: &Path) -> PathBuf {
    std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned())
}
