//! The stage itself: reads labels and index, looks into the shards, publishes the manifest.

use super::joined::Joined;
use super::parts::parts_place;
use super::stored::{astray, stored_shards};
use super::{ManifestConfig, ManifestError, ManifestSummary};
use crate::artifact;
use crate::shard::Shards;

/// Writes the manifest and says what is in it.
///
/// # Errors
/// When labels or index are missing or unusable, a shard that the index names is absent, or the
/// disk refuses.
pub fn run(config: &ManifestConfig) -> Result<ManifestSummary, ManifestError> {
    artifact::sweep(artifact::parent(&config.out))?;
    let place = parts_place(&config.out);
    place.remove_merged()?;
    let unmerged = place.folders()?.len();
    if unmerged > 0 {
        tracing::warn!(
            "{unmerged} parts that were never merged lie in {}; this run looks into all shards by itself",
            place.folder().display()
        );
    }
    let joined = Joined::read(config)?;
    let shards = Shards::at(&config.shards)?;
    let stored = stored_shards(&shards)?;
    let strays = shards.strays_in(&stored)?;
    let astray = astray(&joined.labels, strays.found);
    joined.publish(
        config,
        astray.into_iter().map(|stray| stray.clip_id).collect(),
    )
}
