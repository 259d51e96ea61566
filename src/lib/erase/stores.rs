//! Shards in object stores, as files that a ledger names.

use super::EraseError;
use super::config::Places;
use crate::shard::{RemoteShards, StoredClip};

/// The stores of the places, each reached.
pub(super) struct Stores(Vec<RemoteShards>);

impl Stores {
    /// Reaches every store.
    ///
    /// # Errors
    /// When one cannot be reached or refuses.
    pub(super) fn open(places: &Places) -> Result<Self, EraseError> {
        let stores = places.stores.iter();
        let opened = stores.map(|store| RemoteShards::open(store, &places.scratch()));
        Ok(Self(opened.collect::<Result<_, _>>()?))
    }

    /// Each of them.
    pub(super) fn each(&self) -> impl Iterator<Item = &RemoteShards> {
        self.0.iter()
    }

    /// The store that a file lies in, by its address, and the file's name there.
    pub(super) fn of<'a>(&self, address: &'a str) -> Option<(&RemoteShards, &'a str)> {
        let within = |store: &RemoteShards| address.strip_prefix(&store.address_of(""));
        let mut found = self
            .0
            .iter()
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
