//! Shards in an object store, and whatever else lies with them there.

use std::path::Path;

use super::{Depth, Search};
use crate::erase::EraseError;
use crate::erase::held::{Action, Place, What};
use crate::shard::{RemoteShards, ShardError, parse_shard_name};
use crate::tables::IndexRow;

/// Why what a store that cannot list itself holds is not all known.
const UNLISTED: &str = "it cannot list itself: files that its index does not name are not searched";
/// What is beyond reach where a store keeps old versions.
const VERSIONS: &str = "it keeps old versions of what was replaced or removed: delete those with the store's own tools";

impl Search<'_> {
    /// Looks through a store: by names the shards' rows, and by content every byte. All other files
    /// are read in either case.
    pub(super) fn store(&mut self, address: &str, store: Result<&RemoteShards, &ShardError>) {
        let address = Path::new(address);
        let remote = match store {
            Ok(remote) => remote,
            Err(error) => {
                self.unsearched(address, &error.to_string());
                return;
            }
        };
        if !remote.lists_itself() {
            let unlisted = (address.to_owned(), UNLISTED.to_owned());
            self.found.beyond.push(unlisted);
        }
        match remote.keeps_versions() {
            Ok(false) => {}
            Ok(true) => {
                let versions = (address.to_owned(), VERSIONS.to_owned());
                self.found.beyond.push(versions);
            }
            Err(error) => self.unsearched(address, &error.to_string()),
        }
        let by_row = self.depth == Depth::Names;
        if by_row {
            self.rows_of(remote);
        }
        for file in remote.files() {
            if by_row && parse_shard_name(&file).is_some() {
                continue;
            }
            if let Err(error) = self.object(remote, &file) {
                let address = remote.address_of(&file);
                self.unsearched(Path::new(&address), &error.to_string());
            }
        }
    }

    /// The rows of the shards by the ids of their clips.
    fn rows_of(&mut self, remote: &RemoteShards) {
        for (shard, clips) in remote.clips() {
            let address = remote.address_of(&shard);
            let address = Path::new(&address);
            let clips = match clips {
                Ok(clips) => clips,
                Err(error) => {
                    self.unsearched(address, &error.to_string());
                    continue;
                }
            };
            for clip in clips.iter().filter(|clip| self.ids.contains(&clip.clip_id)) {
                let note = format!("row {}", clip.row);
                self.hold(
                    Place::Store,
                    address,
                    &clip.clip_id,
                    What::StoredFrames,
                    clip.bytes,
                    Action::Rewrite,
                    Some(note),
                );
            }
        }
    }

    /// One file, fetched and read as one of its kind. Shards and index are written anew by apply;
    /// whatever else lies there, a person must see to.
    fn object(&mut self, remote: &RemoteShards, file: &str) -> Result<(), EraseError> {
        let fetched = remote.fetch(file)?;
        let first = self.found.held.len();
        match Path::new(file).extension().and_then(|e| e.to_str()) {
            Some("arrow") => self.shard(Place::Store, fetched.path())?,
            Some("parquet") => self.table(Place::Store, fetched.path())?,
            _ => self.text(Place::Store, fetched.path())?,
        }
        let is_ours = parse_shard_name(file).is_some() || file == IndexRow::FILE;
        for row in &mut self.found.held[first..] {
            row.file = remote.address_of(file);
            if !is_ours && row.action != Action::Keep {
                row.action = Action::ByHand;
            }
        }
        Ok(())
    }
}
