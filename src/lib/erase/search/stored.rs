//! Clips in shards, whether an index names them or not.

use std::path::Path;

use super::{Depth, Search};
use crate::erase::held::{Action, Place, What};
use crate::shard::{Shard, ShardError, StoredClip};

impl Search<'_> {
    /// Looks at every row of a shard.
    pub(super) fn shard(&mut self, place: Place, path: &Path) -> Result<(), ShardError> {
        let shard = Shard::open(path)?;
        for row in 0..i64::try_from(shard.len()).unwrap_or(i64::MAX) {
            let clip = shard.clip(row)?;
            let bytes = frame_bytes(&clip);
            let note = Some(format!("row {row}, {} frames", clip.len()));
            if self.ids.contains(clip.clip_id) {
                let id = clip.clip_id.to_owned();
                self.hold(
                    place,
                    path,
                    &id,
                    What::StoredFrames,
                    bytes,
                    Action::Rewrite,
                    note,
                );
                continue;
            }
            if self.depth == Depth::Content {
                self.found.bytes_read += bytes;
                if let Some(erased) = self.erased.get(&frames_hash(&clip)).cloned() {
                    let note = Some(format!("row {row}, as {}", clip.clip_id));
                    self.hold(
                        place,
                        path,
                        &erased,
                        What::Copy,
                        bytes,
                        Action::ByHand,
                        note,
                    );
                }
            }
        }
        Ok(())
    }
}

/// The bytes of a clip's frames together.
pub(in crate::erase) fn frame_bytes(clip: &StoredClip<'_>) -> u64 {
    clip.frames().iter().map(|frame| frame.len() as u64).sum()
}

/// The BLAKE3 over the frames alone, whatever the clip is called.
pub(in crate::erase) fn frames_hash(clip: &StoredClip<'_>) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("incdec stored frames 1");
    for frame in clip.frames() {
        hasher.update(&(frame.len() as u64).to_le_bytes());
        hasher.update(frame);
    }
    hasher.finalize().to_hex().to_string()
}
