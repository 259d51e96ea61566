//! Looking once more at single files and folders.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use super::{Depth, Erased, Found, Search};
use crate::erase::EraseError;
use crate::erase::config::Places;
use crate::erase::held::{Action, HeldRow, Place};
use crate::erase::ids::Ids;

impl Search<'_> {
    /// Looks by names through one folder of a place.
    ///
    /// # Errors
    /// When the folder of shards cannot be listed.
    pub(in crate::erase) fn below(
        places: &Places,
        ids: &Ids,
        place: Place,
        folder: &Path,
    ) -> Result<Found, EraseError> {
        let erased = Erased::new();
        let mut search = Search::new(places, ids, Depth::Names, &erased)?;
        search.folder(place, folder);
        Ok(search.found)
    }

    /// Looks once more at the files that were to be written anew: what still holds a clip, no step
    /// has taken, and a person must. Files in stores are not fetched again.
    ///
    /// # Errors
    /// When the folder of shards cannot be listed.
    pub(in crate::erase) fn again(
        places: &Places,
        ids: &Ids,
        held: &[HeldRow],
    ) -> Result<Found, EraseError> {
        let erased = Erased::new();
        let mut search = Search::new(places, ids, Depth::Names, &erased)?;
        let rewritten = held.iter().filter(|row| row.action == Action::Rewrite);
        let (in_stores, here): (Vec<&HeldRow>, Vec<&HeldRow>) =
            rewritten.partition(|row| row.place == Place::Store);
        let files = here
            .into_iter()
            .map(|row| (row.place, places.path_of(&row.file)));
        let files: BTreeSet<(Place, PathBuf)> = files.collect();
        for (place, path) in files.iter().filter(|(_, path)| path.exists()) {
            search.file(*place, path.parent().unwrap_or(path), path);
        }
        let mut found = search.found;
        found.held.extend(in_stores.into_iter().cloned());
        found
            .held
            .retain(|row| !matches!(row.action, Action::Keep | Action::Taint));
        for row in &mut found.held {
            row.action = Action::ByHand;
        }
        Ok(found)
    }
}
