//! Shards in the folder and in stores, and the manifest that is made of them.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::Work;
use crate::artifact::{self, ArtifactError};
use crate::erase::EraseError;
use crate::erase::held::Action;
use crate::erase::search::Search;
use crate::erase::stores::Stores;
use crate::labels::Labels;
use crate::manifest::{self, ManifestConfig};
use crate::shard::{self, Deleted, Deletion, RemoteShards, ShardSource, ShardStore};
use crate::tables::IndexRow;
use crate::withdrawn::WITHDRAWN_FILE;

/// The clips that label tables name, and the list of those that are withdrawn.
struct Labelled {
    list: PathBuf,
    clips: BTreeSet<String>,
}

/// Says what became of the shards at a place.
fn report(deleted: &Deleted, place: &impl fmt::Display) {
    tracing::info!(
        "{place}: {} stored rows erased, {} shards replaced by {}",
        deleted.rows,
        deleted.removed.len(),
        deleted.written.len()
    );
}

impl Work<'_> {
    /// The shards that hold a clip, and the index.
    pub(super) fn shards(&self) -> Result<(), EraseError> {
        let places = &self.config.places;
        let Some(held) = &self.locks.shards else {
            return Ok(());
        };
        if !has_index(&places.shards)? {
            return Ok(());
        }
        let labelled = self.labelled()?;
        let deleted = shard::delete(&places.shards, &self.deletion(&labelled), held)?;
        report(&deleted, &places.shards.display());
        Ok(())
    }

    /// The shards of every store that hold a clip, and its index.
    pub(super) fn stores(&self, stores: &Stores) -> Result<(), EraseError> {
        let labelled = self.labelled()?;
        for remote in stores.reached() {
            if store_has_index(remote)? {
                let folder = self.config.places.scratch();
                let deleted = remote.delete(&self.deletion(&labelled), &folder)?;
                report(&deleted, &remote.address());
            }
        }
        Ok(())
    }

    /// The manifest: of the folder of shards, else of the first store.
    pub(super) fn manifest(&self) -> Result<(), EraseError> {
        let places = &self.config.places;
        // Of a store the index is fetched, and nothing else is kept.
        let cache = places.scratch();
        let of_store = |store: &ShardStore| ShardStore {
            cache: Some(cache.clone()),
            cache_bytes: u64::MAX,
            ..store.clone()
        };
        let store = places.stores.first().map(of_store);
        let store = store.map(|store| ShardSource::Store(Box::new(store)));
        let has_index = places.shards.join(IndexRow::FILE).exists();
        let folder = has_index.then(|| places.shards.clone().into());
        let Some(shards) = folder.or(store).filter(|_| places.manifest.exists()) else {
            return Ok(());
        };
        manifest::run(&ManifestConfig {
            labels: places.labels.clone(),
            shards,
            out: places.manifest.clone(),
            listed: 0,
        })?;
        if cache.is_dir() {
            fs::remove_dir_all(&cache).map_err(ArtifactError::at("remove", &cache))?;
        }
        Ok(())
    }

    /// The clips that label tables name: they keep a row of the index.
    fn labelled(&self) -> Result<Labelled, EraseError> {
        let list = self.config.places.labels.join(WITHDRAWN_FILE);
        let labels = Labels::read(&self.config.places.labels)?;
        let clips = labels.iter().map(|(_, _, l)| l.clip.to_string()).collect();
        Ok(Labelled { list, clips })
    }

    fn deletion<'a>(&'a self, labelled: &'a Labelled) -> Deletion<'a> {
        Deletion {
            clips: self.ids.sorted(),
            labelled: &labelled.clips,
            list: Some(&labelled.list),
        }
    }

    /// Parts of a decoding or a manifest that were never merged and hold a clip. The others keep every
    /// byte, though nobody can merge them any more: the tables and shards that they were made from
    /// change.
    pub(super) fn parts(&self) -> Result<(), EraseError> {
        let places = &self.config.places;
        for (place, parts) in places.parts() {
            for folder in parts.folders()? {
                // What was being written when a part was killed may hold a clip, too.
                artifact::sweep(&folder)?;
                let found = Search::below(places, &self.ids, place, &folder)?;
                if found.held.iter().any(|row| row.action != Action::Keep) {
                    fs::remove_dir_all(&folder).map_err(ArtifactError::at("remove", &folder))?;
                }
            }
            parts.remove_merged()?;
        }
        Ok(())
    }
}

/// Whether a folder of shards has an index; it may lack one where it has no shards.
///
/// # Errors
/// When there are shards and no index, or the folder cannot be listed.
pub(super) fn has_index(shards: &Path) -> Result<bool, EraseError> {
    let is_there = shards.join(IndexRow::FILE).exists();
    if !is_there && shards.is_dir() && !shard::shard_files(shards)?.is_empty() {
        return Err(EraseError::NoIndex {
            folder: shards.to_owned(),
        });
    }
    Ok(is_there)
}

/// [`has_index`] of a store.
pub(super) fn store_has_index(store: &RemoteShards) -> Result<bool, EraseError> {
    let is_there = store.has_index();
    if !is_there && !store.clips().is_empty() {
        return Err(EraseError::NoIndex {
            folder: store.address().into(),
        });
    }
    Ok(is_there)
}
