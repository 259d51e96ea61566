//! Clips in shards, whether an index names them or not.

use std::path::Path;

use super::{Depth, Search};
use crate::erase::held::{Action, Place, What};
use crate::shard::{Shard, ShardError, StoredClip, parse_shard_name};

impl Search<'_> {
    /// Looks at every row of a shard.
    pub(super) fn shard(&mut self, place: Place, path: &Path) -> Result<(), ShardError> {
        let shard = Shard::open(path)?;
        let action = if self.is_rewritten_shard(place, path) {
            Action::Rewrite
        } else {
            Action::ByHand
        };
        for row in 0..i64::try_from(shard.len()).unwrap_or(i64::MAX) {
            let clip = shard.clip(row)?;
            let bytes = frame_bytes(&clip);
            let note = Some(format!("row {row}, {} frames", clip.len()));
            if self.ids.contains(&clip.clip_id) {
                let id = clip.clip_id.clone();
                self.hold(place, path, &id, What::StoredFrames, bytes, action, note);
                continue;
            }
            if self.depth == Depth::Content {
                self.found.bytes_read += bytes;
                let note = Some(format!("row {row}, as {}", clip.clip_id));
                self.copy(place, path, bytes, &frames_hash(&clip), note);
            }
        }
        Ok(())
    }

    /// Whether apply takes the clips out of this shard: it lies where shards lie. Of those in a store
    /// more is known there.
    fn is_rewritten_shard(&self, place: Place, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_shard =
            parse_shard_name(&name).is_some() && path.parent() == Some(&self.places.shards);
        is_shard || matches!(place, Place::Cache | Place::Store) || self.is_of_part(path)
    }
}

/// The bytes of a clip's frames together.
pub(in crate::erase) fn frame_bytes(clip: &StoredClip) -> u64 {
    clip.frames().iter().map(|frame| frame.len() as u64).sum()
}

/// The BLAKE3 over the frames alone, whatever the clip is called.
pub(in crate::erase) fn frames_hash(clip: &StoredClip) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("incdec stored frames 1");
    for frame in clip.frames() {
        hasher.update(&(frame.len() as u64).to_le_bytes());
        hasher.update(frame);
    }
    hasher.finalize().to_hex().to_string()
}
