//! Shards of an object store as they lie there, without a cache: looked through, and written anew
//! without clips (`rewrite`).

mod rewrite;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::ShardError;
use super::delete::{Deleted, Deletion};
use super::fetched::Origin;
use super::folder::parse_shard_name;
use super::index::Index;
use super::publish::remote_hash;
use super::source::ShardStore;
use super::stored::StoredClip;
use crate::artifact::Draft;
use crate::clip::Split;
use crate::parallel;
use crate::store::{Client, escaped_name};
use crate::tables::IndexRow;

/// Shards whose ends are fetched at the same time.
const ASKING: usize = 16;

/// The shards of a store. What is fetched of them lies as a draft in the folder `scratch` for a
/// moment, one file at a time.
pub struct RemoteShards {
    origin: Origin,
    index: Arc<Index>,
    scratch: PathBuf,
    /// The files right below the address and deeper, where the store can list itself.
    listed: Option<Vec<String>>,
}

/// A clip as a shard of a store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteClip {
    /// The row in the shard.
    pub row: i64,
    /// The clip's id.
    pub clip_id: String,
    /// The bytes of the row.
    pub bytes: u64,
}

impl RemoteShards {
    /// Lists the store and fetches the index, which counts as empty where the listing has none.
    ///
    /// # Errors
    /// When the store cannot be reached or refuses, has neither a listing nor an index, or the index
    /// is damaged.
    pub fn open(store: &ShardStore, scratch: &Path) -> Result<Self, ShardError> {
        let client = Client::of(&store.address, &store.http, store.retry)?;
        let listed = client.patiently(|| client.remote.list(&|_| true))?;
        let has_index = |files: &Vec<String>| files.iter().any(|file| file == IndexRow::FILE);
        let index = if listed.as_ref().is_none_or(has_index) {
            let mut draft = Draft::new(&scratch.join(IndexRow::FILE))?;
            Origin::fetch_index(&client, &store.address, &mut draft)?
        } else {
            Index::default()
        };
        let index = Arc::new(index);
        Ok(Self {
            origin: Origin::new(client, store, &index).with_sizes()?,
            index,
            scratch: scratch.to_owned(),
            listed,
        })
    }

    /// Whether all files below the address are known, and not only those that the index names.
    #[must_use]
    pub fn lists_itself(&self) -> bool {
        self.listed.is_some()
    }

    /// Whether there is an index.
    #[must_use]
    pub fn has_index(&self) -> bool {
        self.files().iter().any(|file| file == IndexRow::FILE)
    }

    /// Whether the store says that it keeps what is replaced or removed.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn keeps_versions(&self) -> Result<bool, ShardError> {
        let Some(file) = self.files().into_iter().next() else {
            return Ok(false);
        };
        let (client, path) = (&self.origin.client, self.path_of(&file)?);
        let facts = client.patiently(|| client.remote.facts(&path))?;
        Ok(facts.keeps_versions)
    }

    /// The address of the shards, for messages.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.origin.client.source
    }

    /// The address of a file, for messages.
    #[must_use]
    pub fn address_of(&self, file: &str) -> String {
        format!("{}/{file}", self.origin.client.source)
    }

    /// What a file is asked for by. A listing is foreign: no name in it leads elsewhere.
    fn path_of(&self, file: &str) -> Result<String, ShardError> {
        if file.contains("://") {
            return Err(ShardError::NoSuchShard {
                folder: PathBuf::from(&self.origin.client.source),
                name: file.to_owned(),
            });
        }
        Ok(escaped_name(file))
    }

    /// All files, sorted; where the store cannot list itself, those that the index names, and itself.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let named = || {
            let mut files: Vec<String> = self.shards().into_values().collect();
            files.push(IndexRow::FILE.to_owned());
            files.sort_unstable();
            files
        };
        self.listed.clone().unwrap_or_else(named)
    }

    /// The rows of the index.
    #[must_use]
    pub fn index(&self) -> &[IndexRow] {
        &self.index.rows
    }

    /// The shards, whether the index names them or not. Of a store that cannot list itself also
    /// those that a deletion that was stopped may have left: the index has them among its inputs.
    fn shards(&self) -> BTreeMap<(Split, u32), String> {
        let names: Vec<&str> = if let Some(files) = &self.listed {
            files.iter().map(String::as_str).collect()
        } else {
            let inputs = self.index.provenance.inputs.keys();
            let inputs = inputs.map(String::as_str);
            self.index.names().chain(inputs).collect()
        };
        let shard = |name: &str| Some((parse_shard_name(name)?, name.to_owned()));
        names.into_iter().filter_map(shard).collect()
    }

    /// The clips of every shard: what the index says of the rows that it names, and what lies in all
    /// others.
    #[must_use]
    pub fn clips(&self) -> Vec<(String, Result<Vec<RemoteClip>, ShardError>)> {
        let shards: Vec<String> = self.shards().into_values().collect();
        let found = parallel::each(&shards, ASKING, |shard| self.clips_of(shard));
        shards.into_iter().zip(found).collect()
    }

    /// The same of one shard.
    ///
    /// # Errors
    /// When the store fails, or a row that the index does not name is damaged.
    pub fn clips_of(&self, shard: &str) -> Result<Vec<RemoteClip>, ShardError> {
        let named = self.index.rows_of(shard);
        let mut rows: Vec<_> = named.map(|(row, of)| (row, of.clip_id.clone())).collect();
        let strays = self.origin.strays_of(shard)?;
        rows.extend(strays.into_iter().map(|stray| (stray.row, stray.clip_id)));
        rows.sort_unstable();
        let clip = |(row, clip_id)| {
            let bytes = self.origin.row_bytes(shard, row)?;
            Ok(RemoteClip {
                row,
                clip_id,
                bytes,
            })
        };
        rows.into_iter().map(clip).collect()
    }

    /// One clip, fetched by its bytes alone.
    ///
    /// # Errors
    /// When the store fails, or the clip is not what the index says or damaged.
    pub fn clip(&self, shard: &str, row: i64) -> Result<StoredClip, ShardError> {
        match self.index.row(shard, row) {
            Some(_) => self.origin.clip(shard, row),
            None => self.origin.stray(shard, row),
        }
    }

    /// A file as the store has it.
    ///
    /// # Errors
    /// When the store or the disk fails, or the name is that of another place.
    pub fn fetch(&self, file: &str) -> Result<Draft, ShardError> {
        let mut draft = Draft::new(&self.scratch.join("fetched"))?;
        self.origin.copy(&self.path_of(file)?, &mut draft)?;
        Ok(draft)
    }

    /// The BLAKE3 hash of a file's bytes in hexadecimal; none where there is no such file.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hash(&self, file: &str) -> Result<Option<String>, ShardError> {
        match remote_hash(&self.origin.client, &self.path_of(file)?) {
            Ok(hash) => Ok(Some(hash)),
            Err(error) if error.kind.is_absence() => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes clips out, as [`delete`](super::delete()) does in a folder: shards that hold none keep
    /// every byte; new ones are sent before the index, and what they replace is removed after it.
    /// Whoever reads from the store meanwhile ends with the name of a shard that has gone. New shards
    /// are written in `folder`, which is nobody else's and is gone afterwards; there must be an
    /// index.
    ///
    /// # Errors
    /// When the store or the disk fails, or the store has something else under a new shard's name.
    pub fn delete(&self, deletion: &Deletion<'_>, folder: &Path) -> Result<Deleted, ShardError> {
        rewrite::delete(self, deletion, folder)
    }
}
