//! Where the parts of a decoding lie until they are merged: each in a folder of shards of its own, below the folder of
//! shards that they will become.

use std::path::Path;

use crate::part::PartsPlace;

/// The place of the parts of a decoding into the folder `shards`.
#[must_use]
pub fn parts_place(shards: &Path) -> PartsPlace {
    PartsPlace::new(shards.join("parts"), shards.join(".incdec-merged-parts"))
}
