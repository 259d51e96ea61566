//! Shards of an object store, fetched into a cache of bounded size ahead of their use.
//!
//! ```text
//! order of clips --> uses --> which shard next, which goes --> resident --> mapped from the cache
//!                                                                  ^
//!                            the store --> origin (compared) ------+--> single clips
//! ```
//!
//! - `origin`: what is fetched, compared with the index when it arrives and fetched again where it
//!   differs.
//! - `uses`: when each shard is needed again; `resident`: what is mapped, fetched and taken away.
//! - `cache`: the folder, which the processes of a host share.
//!
//! Invariants:
//! * The cache never has more bytes than its limit, what is being fetched counted, but for shards
//!   that were taken away while frames of theirs were being decoded.
//! * A shard lies in the cache under the hash of its index, and only once every clip of it has been
//!   compared with that index.
//! * Where there is no room that repays, clips are fetched one by one: nothing ever waits for room.

mod cache;
mod origin;
mod resident;
mod uses;

use std::fs::File;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::thread::{Builder, JoinHandle};

use super::ShardError;
use super::index::Index;
use super::source::ShardStore;
use super::stored::StoredClip;
use super::strays::Strays;
use crate::artifact::{self, ArtifactError};
use crate::store::Client;
use crate::tables::IndexRow;
use cache::Cache;
pub(super) use origin::Origin;
use resident::Resident;

/// Threads that fetch ahead.
const FETCHERS: usize = 4;
/// Room for the locks of shards that are being fetched. One takes some sixty bytes, and where there is
/// room for two shards a process holds no more than three.
const LOCKS_BYTES: u64 = 1000;
/// Digits of the index's hash that name the folder of its shards in the cache.
const FOLDER_DIGITS: usize = 16;

/// The shards of a store that its index names.
pub(super) struct FetchedShards {
    resident: Arc<Resident>,
    /// Locked, so that nobody takes it out of the cache.
    _index: File,
    /// Started with the first order that is announced.
    fetchers: Mutex<Vec<JoinHandle<()>>>,
}

/// The index of a store, and where it lies in the cache.
struct FetchedIndex {
    index: Arc<Index>,
    folder: PathBuf,
    /// Locked for reading.
    file: File,
}

impl FetchedIndex {
    fn fetch(client: &Client, cache: &Cache, store: &ShardStore) -> Result<Self, ShardError> {
        let shown = PathBuf::from(store.address.to_string());
        origin::fetch_index(client, |bytes, hash| {
            let folder = cache.folder(&hash.to_hex()[..FOLDER_DIGITS]);
            let path = folder.join(IndexRow::FILE);
            let counting = cache.counting()?;
            artifact::publish_if_changed(&path, bytes)?;
            let file = File::open(&path).map_err(ArtifactError::at("open", &path))?;
            // Where the file system has no locks, it stays by luck.
            let _ = file.lock_shared();
            drop(counting);
            let index = Index::read(&path, &shown).inspect_err(|_| {
                // What is no index is of no use to anybody.
                let _ = cache::remove(&path);
            })?;
            Ok(Self {
                index: Arc::new(index),
                folder,
                file,
            })
        })
    }
}

/// The client and the cache of a store.
fn connect(store: &ShardStore) -> Result<(Client, Cache), ShardError> {
    let Some(folder) = &store.cache else {
        return Err(ShardError::NoCache {
            shards: PathBuf::from(store.address.to_string()),
        });
    };
    let client = Client::of(&store.address, &store.http, store.retry)?;
    Ok((client, Cache::open(folder, store.cache_bytes)?))
}

/// Fetches the index of a store; gives its file.
pub(super) fn fetch_index(store: &ShardStore) -> Result<PathBuf, ShardError> {
    let (client, cache) = connect(store)?;
    let fetched = FetchedIndex::fetch(&client, &cache, store)?;
    Ok(fetched.folder.join(IndexRow::FILE))
}

/// Of which shards the size is asked for before anything of them is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sizes {
    /// Of all that the index names.
    All,
    /// Of none.
    Later,
}

impl FetchedShards {
    /// Fetches the index and the sizes of the shards; gives the index, and its file, too.
    pub(super) fn open(
        store: &ShardStore,
        sizes: Sizes,
    ) -> Result<(Self, Arc<Index>, PathBuf), ShardError> {
        let (client, cache) = connect(store)?;
        let fetched = FetchedIndex::fetch(&client, &cache, store)?;
        let FetchedIndex { index, folder, .. } = fetched;
        let origin = Origin::new(client, store, &index);
        let origin = match sizes {
            Sizes::All => origin.with_sizes()?,
            Sizes::Later => origin,
        };
        let beside = fetched.file.metadata();
        let beside = beside.map_err(ArtifactError::at("read", &folder))?.len() + LOCKS_BYTES;
        let needed = origin.two_largest_bytes() + beside;
        if cache.limit_bytes < needed {
            return Err(ShardError::SmallCache {
                limit_bytes: cache.limit_bytes,
                needed_bytes: needed,
            });
        }
        let file = folder.join(IndexRow::FILE);
        let shards = Self {
            resident: Arc::new(Resident::new(origin, cache, folder)),
            _index: fetched.file,
            fetchers: Mutex::default(),
        };
        Ok((shards, index, file))
    }

    /// Takes the order in which clips are going to be asked for, and fetches their shards ahead.
    pub(super) fn announce<'a>(&self, order: impl Iterator<Item = &'a str>) {
        self.resident.announce(order);
        let Ok(mut fetchers) = self.fetchers.lock() else {
            return;
        };
        while fetchers.len() < FETCHERS {
            let resident = Arc::clone(&self.resident);
            let name = format!("fetch-{}", fetchers.len());
            let thread = Builder::new().name(name);
            match thread.spawn(move || resident.fetch_ahead()) {
                Ok(thread) => fetchers.push(thread),
                // Whoever asks for a clip fetches its shard, too.
                Err(e) => {
                    tracing::warn!("start a thread that fetches ahead: {e}");
                    return;
                }
            }
        }
    }

    /// Takes the order of the clips that are going to be asked for behind those that were announced.
    pub(super) fn announce_behind<'a>(&self, order: impl Iterator<Item = &'a str>) {
        self.resident.announce_behind(order);
    }

    /// A clip of a shard that the index names.
    pub(super) fn clip(&self, shard: &str, row: i64) -> Result<StoredClip, ShardError> {
        let whole = self.resident.shard(shard);
        let clip = whole.and_then(|whole| match whole {
            Some(whole) => whole.clip(row),
            None => self.resident.origin.clip(shard, row),
        });
        self.resident.used(shard);
        clip
    }

    /// Takes a shard out of the cache that was found `damaged` there.
    pub(super) fn forget(&self, shard: &str, damaged: &ShardError) -> Result<(), ShardError> {
        tracing::warn!("{damaged}; fetching it anew");
        Ok(self.resident.forget(shard)?)
    }

    /// What has become of a shard since it was opened.
    pub(super) fn changed(&self, shard: &str) -> Option<&'static str> {
        self.resident.origin.changed(shard)
    }

    /// The first shard that is not there.
    pub(super) fn absent(&self) -> Option<PathBuf> {
        self.resident.origin.absent()
    }

    /// The shards that lie there, sorted.
    pub(super) fn stored(&self) -> Result<Vec<String>, ShardError> {
        self.resident.origin.stored()
    }

    /// What lies in these shards that the index does not name.
    pub(super) fn strays(&self, shards: &[String]) -> Result<Strays, ShardError> {
        self.resident.origin.strays(shards)
    }
}

impl std::fmt::Debug for FetchedShards {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("FetchedShards").finish_non_exhaustive()
    }
}

impl Drop for FetchedShards {
    fn drop(&mut self) {
        self.resident.end();
        let Ok(fetchers) = self.fetchers.get_mut() else {
            return;
        };
        for thread in fetchers.drain(..) {
            // One that panicked has nothing to give back.
            drop(thread.join());
        }
    }
}
