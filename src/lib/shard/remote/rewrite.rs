//! Taking clips out of the shards of a store.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::{ASKING, RemoteShards};
use crate::artifact::{ArtifactError, Draft};
use crate::clip::Split;
use crate::parallel;
use crate::parquet_file::Provenance;
use crate::shard::ShardError;
use crate::shard::delete::{Deleted, Deletion, Keeper, take_out};
use crate::shard::publish::{publish_file, remote_hash};
use crate::shard::reader::Shard;
use crate::shard::writer::write_index;
use crate::store::RemoteError;
use crate::tables::IndexRow;

/// Takes clips out, with `folder` for what is to be sent.
pub(super) fn delete(
    shards: &RemoteShards,
    deletion: &Deletion<'_>,
    folder: &Path,
) -> Result<Deleted, ShardError> {
    // What a deletion that was stopped has left.
    clear(folder)?;
    fs::create_dir_all(folder).map_err(ArtifactError::at("create folder", folder))?;
    let deleted = take_out(&Rewriting { shards, folder }, deletion)?;
    clear(folder)?;
    Ok(deleted)
}

fn clear(folder: &Path) -> Result<(), ArtifactError> {
    if folder.exists() {
        fs::remove_dir_all(folder).map_err(ArtifactError::at("remove", folder))?;
    }
    Ok(())
}

/// The shards of a store, and the folder in which new ones are written.
struct Rewriting<'a> {
    shards: &'a RemoteShards,
    folder: &'a Path,
}

impl Rewriting<'_> {
    /// Removes what has been sent.
    fn forget(&self, name: &str) -> Result<(), ArtifactError> {
        let path = self.folder.join(name);
        fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))
    }
}

impl Keeper for Rewriting<'_> {
    fn index(&self) -> Result<(Provenance, Vec<IndexRow>), ShardError> {
        Ok((
            self.shards.index.provenance.clone(),
            self.shards.index.rows.clone(),
        ))
    }

    fn shards(&self) -> Result<BTreeMap<(Split, u32), String>, ShardError> {
        let client = &self.shards.origin.client;
        let mut shards = self.shards.shards();
        if self.shards.listed.is_none() {
            let is_there = |name: &String| match client.patiently(|| client.remote.facts(name)) {
                Ok(_) => Ok(true),
                Err(error) if error.kind.is_absence() => Ok(false),
                Err(error) => Err(error),
            };
            let names: Vec<String> = shards.values().cloned().collect();
            let there: Vec<bool> = parallel::try_each(&names, ASKING, is_there)?;
            let there: BTreeSet<String> = names
                .into_iter()
                .zip(there)
                .filter_map(|(name, is_there)| is_there.then_some(name))
                .collect();
            shards.retain(|_, name| there.contains(name));
        }
        Ok(shards)
    }

    fn may_hold(&self, shard: &str, clips: &BTreeSet<String>) -> Result<bool, ShardError> {
        let named = self.shards.index.rows_of(shard);
        let holds = named
            .into_iter()
            .any(|(_, row)| clips.contains(&row.clip_id));
        Ok(holds || !self.shards.origin.strays_of(shard)?.is_empty())
    }

    fn open(&self, shard: &str) -> Result<Shard, ShardError> {
        let mut draft = Draft::new(&self.shards.scratch.join(shard))?;
        self.shards.origin.fetch(shard, &mut draft)?;
        // The map outlives the file's name.
        Shard::open(draft.path())
    }

    fn hash(&self, shard: &str) -> Result<String, ShardError> {
        Ok(remote_hash(&self.shards.origin.client, shard)?)
    }

    fn folder(&self) -> &Path {
        self.folder
    }

    fn publish(&self, shard: &str) -> Result<(), ShardError> {
        publish_file(&self.shards.origin.client, &self.folder.join(shard), shard)?;
        Ok(self.forget(shard)?)
    }

    fn publish_index(&self, rows: &[IndexRow], from: &Provenance) -> Result<(), ShardError> {
        write_index(self.folder, rows, from)?;
        let client = &self.shards.origin.client;
        let path = self.folder.join(IndexRow::FILE);
        client.patiently(|| client.remote.replace(IndexRow::FILE, &path))?;
        Ok(self.forget(IndexRow::FILE)?)
    }

    fn remove(&self, shard: &str) -> Result<(), ShardError> {
        let client = &self.shards.origin.client;
        Ok(client.patiently(|| -> Result<(), RemoteError> { client.remote.remove(shard) })?)
    }
}
