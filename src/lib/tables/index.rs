//! `index.parquet`: every labelled clip and how it was decoded.

use serde::{Deserialize, Serialize};

use super::ClipStatus;
use crate::choice::choice;
use crate::clip::Split;
use crate::parquet_file::table_row;

choice! {
    /// Whose fault it is that a clip has no frames.
    pub enum Cause: "cause" {
        /// The file's: another try gives nothing else.
        Damaged = "damaged",
        /// The machine's: no time, no memory, no permission. Another try may succeed.
        NotDecoded = "not-decoded",
    }
}

/// What is known about the file that a clip was decoded from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SourceFacts {
    /// Average frame rate as the container tells it, in frames per second.
    pub fps: Option<f64>,
    /// Length of the video as displayed, in seconds.
    pub duration_s: Option<f64>,
    /// How far the display turns the coded picture, in degrees clockwise: 0, 90, 180 or 270.
    pub rotation: i32,
    /// The video codec's name (`h264`, `vp9`, ...; `frames` for a folder of images).
    pub codec: Option<String>,
    /// Frames that the header promises.
    pub frames_expected: Option<i64>,
    /// Frames that were decoded.
    pub frames_decoded: i64,
    /// Decoded frames that the decoder marked as damaged or concealed.
    pub frames_concealed: i64,
    /// The file's size in bytes.
    pub bytes: Option<i64>,
    /// BLAKE3 hash of the file.
    pub blake3: Option<String>,
    /// `interlaced` where the first picture is; the lines of such pictures were taken at two
    /// instants.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scan: Option<String>,
    /// How the levels of high dynamic range are coded, `pq` or `hlg`; null for all other videos.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transfer: Option<String>,
}

table_row! {
    /// A row of `index.parquet`: one labelled clip, with or without frames. Sorted by split and the
    /// label table's row.
    pub struct IndexRow in "index.parquet": "incdec.index" version 1 by "make decode"
    unique clip_id shard_row source_bytes source_blake3 content;
    added cause source_scan source_transfer
    {
        /// `<youtube_id>_<start>_<end>`, or the clip's path without its ending.
        pub clip_id: String,
        /// The split whose label table names the clip.
        pub split: Split,
        /// The shard's file name; null without frames.
        pub shard: Option<String>,
        /// The clip's row in its shard; null without frames.
        pub shard_row: Option<i64>,
        /// Stored frames.
        pub frames: i32,
        /// Height of a stored frame in pixels.
        pub height: i32,
        /// Width of a stored frame in pixels.
        pub width: i32,
        /// How frames are stored; null without frames.
        pub codec: Option<String>,
        /// See [`SourceFacts::fps`].
        pub source_fps: Option<f64>,
        /// See [`SourceFacts::duration_s`].
        pub source_duration_s: Option<f64>,
        /// See [`SourceFacts::rotation`].
        pub rotation: i32,
        /// See [`SourceFacts::codec`].
        pub source_codec: Option<String>,
        /// See [`SourceFacts::frames_expected`].
        pub source_frames_expected: Option<i64>,
        /// See [`SourceFacts::frames_decoded`].
        pub source_frames_decoded: i64,
        /// See [`SourceFacts::frames_concealed`].
        pub source_frames_concealed: i64,
        /// See [`SourceFacts::bytes`].
        pub source_bytes: Option<i64>,
        /// See [`SourceFacts::blake3`].
        pub source_blake3: Option<String>,
        /// BLAKE3 hash of the shard's row; null without frames.
        pub content: Option<String>,
        /// How decoding went.
        pub status: ClipStatus,
        /// What went wrong, where something did.
        pub error: Option<String>,
        /// Whose fault it is that a failed clip has no frames; null for all others, and where an
        /// earlier version of this program has decoded.
        pub cause: Option<Cause>,
        /// See [`SourceFacts::scan`].
        pub source_scan: Option<String>,
        /// See [`SourceFacts::transfer`].
        pub source_transfer: Option<String>,
    }
}

impl IndexRow {
    /// The row of a withdrawn clip: nothing is known of its source any more.
    #[must_use]
    pub fn withdrawn(clip_id: String, split: Split) -> Self {
        let source = SourceFacts::default();
        Self::without_frames(clip_id, split, source, ClipStatus::Withdrawn, None)
    }

    /// The row of a clip that has no frames. Whose fault that is, the caller says.
    #[must_use]
    pub fn without_frames(
        clip_id: String,
        split: Split,
        source: SourceFacts,
        status: ClipStatus,
        error: Option<String>,
    ) -> Self {
        Self {
            clip_id,
            split,
            shard: None,
            shard_row: None,
            frames: 0,
            height: 0,
            width: 0,
            codec: None,
            source_fps: source.fps,
            source_duration_s: source.duration_s,
            rotation: source.rotation,
            source_codec: source.codec,
            source_frames_expected: source.frames_expected,
            source_frames_decoded: source.frames_decoded,
            source_frames_concealed: source.frames_concealed,
            source_bytes: source.bytes,
            source_blake3: source.blake3,
            content: None,
            status,
            error,
            cause: None,
            source_scan: source.scan,
            source_transfer: source.transfer,
        }
    }
}
