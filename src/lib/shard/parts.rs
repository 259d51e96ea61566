//! Where the parts of a decoding lie until they are merged: each in a folder of shards of its own, below the folder of
//! shards that they will become.

use std::path::{Path, PathBuf};

use crate::part::{Part, PartsPlace};

/// The place of the parts of a decoding into the folder `shards`.
#[must_use]
pub fn parts_place(shards: &Path) -> PartsPlace {
    PartsPlace::new(shards.join("parts"), shards.join(".incdec-merged-parts"))
}

/// The folder that holds those of the parts.
#[must_use]
pub fn parts_folder(shards: &Path) -> PathBuf {
    parts_place(shards).folder().to_owned()
}

/// The folder of a part's shards.
#[must_use]
pub fn part_folder(shards: &Path, part: Part) -> PathBuf {
    parts_place(shards).of(part)
}
