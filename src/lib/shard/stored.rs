//! One clip as a shard holds it.

use bytes::Bytes;

use super::format::ClipHead;
use crate::foreign::printable;
use crate::tables::IndexRow;

/// A clip in a shard. Its frames are slices of the memory map, which stays as long as one of them:
/// nothing is copied.
#[derive(Clone, Debug)]
pub struct StoredClip {
    /// `<youtube_id>_<start>_<end>`, or the clip's path without its ending.
    pub clip_id: String,
    /// What is known of it beside the frames.
    pub head: ClipHead,
    /// The BLAKE3 hash that was stored with the row, in hexadecimal. [`StoredClip::intact`]
    /// compares it.
    pub blake3: String,
    pub(super) frames: Vec<Bytes>,
}

impl StoredClip {
    /// The number of frames; at least one in an intact shard.
    #[must_use]
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether there is no frame.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// The bytes of frame `i`, as the head's codec says.
    ///
    /// # Panics
    /// When there is no such frame.
    #[must_use]
    pub fn frame(&self, i: usize) -> &[u8] {
        &self.frames[i]
    }

    /// All frames in order.
    #[must_use]
    pub fn frames(&self) -> &[Bytes] {
        &self.frames
    }

    /// Whether the row's bytes still have the hash that was stored with them. Reads all frames.
    #[must_use]
    pub fn intact(&self) -> bool {
        let frames = self.frames.iter().map(|frame| &frame[..]);
        self.head.hash(&self.clip_id, frames) == self.blake3
    }

    /// What tells this clip from the one that the index has in its place, `None` where nothing does.
    /// Reads all frames.
    pub(super) fn differs_from(&self, row: Option<&IndexRow>) -> Option<String> {
        let Some(row) = row else {
            return Some("the index does not name it".to_owned());
        };
        if row.clip_id != self.clip_id {
            return Some(format!(
                "clip {} is stored in its place",
                printable(&self.clip_id)
            ));
        }
        if row.content.as_deref() != Some(&self.blake3[..]) {
            return Some("its hash is not the one that the index has".to_owned());
        }
        (!self.intact()).then(|| "its bytes do not have their hash".to_owned())
    }
}
