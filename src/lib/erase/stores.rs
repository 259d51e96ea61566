//! Shards in object stores, reached once for all that is done with them.

use super::EraseError;
use super::config::Places;
use crate::artifact::sweep;
use crate::shard::{RemoteShards, ShardError, StoredClip};

/// The stores of the places by their addresses, each reached, or why it was not.
pub(super) struct Stores(Vec<(String, Result<RemoteShards, ShardError>)>);

impl Stores {
    /// Reaches for every store.
    pub(super) fn open(places: &Places) -> Self {
        let stores = places.stores.iter().map(|store| {
            // What is fetched lies in the data folder for a moment; a search that was killed leaves it there.
            let swept = sweep(&places.data).map_err(ShardError::from);
            let reached = swept.and_then(|()| RemoteShards::open(store, &places.data));
            (store.address.to_string(), reached)
        });
        Self(stores.collect())
    }

    /// All of them.
    ///
    /// # Errors
    /// Why one could not be reached.
    pub(super) fn insist(self) -> Result<Self, EraseError> {
        let reached = self
            .0
            .into_iter()
            .map(|(address, store)| Ok((address, Ok(store?))));
        let reached: Result<_, ShardError> = reached.collect();
        Ok(Self(reached?))
    }

    /// Each address, with the store or the reason why it was not reached.
    pub(super) fn each(&self) -> impl Iterator<Item = (&str, Result<&RemoteShards, &ShardError>)> {
        let stores = self.0.iter();
        stores.map(|(address, store)| (address.as_str(), store.as_ref()))
    }

    /// Those that were reached.
    pub(super) fn reached(&self) -> impl Iterator<Item = &RemoteShards> {
        self.each().filter_map(|(_, store)| store.ok())
    }

    /// The store that a file lies in, by its address, and the file's name there.
    pub(super) fn of<'a>(&self, address: &'a str) -> Option<(&RemoteShards, &'a str)> {
        let within = |store: &RemoteShards| address.strip_prefix(&store.address_of(""));
        let mut found = self
            .reached()
            .filter_map(|store| Some((store, within(store)?)));
        found.next()
    }

    /// The clips of the shard at an address whose id is `wanted`.
    ///
    /// # Errors
    /// When the store fails, or a clip is damaged.
    pub(super) fn clips(
        &self,
        address: &str,
        wanted: impl Fn(&str) -> bool,
    ) -> Result<Vec<StoredClip>, EraseError> {
        let Some((store, shard)) = self.of(address) else {
            return Ok(Vec::new());
        };
        let rows = store.clips_of(shard)?;
        let rows = rows.into_iter().filter(|clip| wanted(&clip.clip_id));
        let clips = rows.map(|clip| store.clip(shard, clip.row));
        Ok(clips.collect::<Result<_, _>>()?)
    }
}
