//! `clips.parquet`, the manifest.

use std::path::{Component, Path};

use crate::choice::choice;
use crate::clip::Split;
use crate::foreign::printable;
use crate::parquet_file::table_row;

choice! {
    /// How a labelled clip fared on its way into the shards.
    pub enum ClipStatus: "status" {
        /// All frames that the file promises were decoded.
        Ok = "ok",
        /// Some frames were decoded; they are stored and used.
        Partial = "partial",
        /// The file is there, but no frame could be decoded.
        Failed = "failed",
        /// There is no file.
        Missing = "missing",
        /// The clip has been withdrawn: it is neither fetched nor decoded nor used.
        Withdrawn = "withdrawn",
    }
}

impl ClipStatus {
    /// Whether the clip has frames to train and evaluate on.
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Ok | Self::Partial)
    }
}

table_row! {
    /// A row of `clips.parquet`, the manifest: one labelled clip and where its frames lie. Sorted
    /// by split and row.
    pub struct ClipRow in "clips.parquet": "incdec.clips" version 1 by "make manifest"
    unique clip_id row shard_row;
    added group
    {
        /// `<youtube_id>_<start>_<end>`, or the clip's path without its ending.
        pub clip_id: String,
        /// What may not be divided between splits and is withdrawn together: a YouTube id, a
        /// person, a customer; null where the labels say nothing.
        pub group: Option<String>,
        /// The YouTube id; null where the labels have none.
        pub youtube_id: Option<String>,
        /// Start in the source video, in seconds; null where the labels have none.
        pub time_start_s: Option<i32>,
        /// End in the source video, in seconds; null where the labels have none.
        pub time_end_s: Option<i32>,
        /// Our split: the label table's name.
        pub split: Split,
        /// The archive folder of Kinetics (its column `split`).
        pub source_split: String,
        /// 0-based line in the split's table.
        pub row: i32,
        /// The category.
        pub category: String,
        /// The category's class index.
        pub label: i32,
        /// The latent subcategory.
        pub subcategory: String,
        /// The shard's file name; null without frames.
        pub shard: Option<String>,
        /// The clip's row in its shard; null without frames.
        pub shard_row: Option<i64>,
        /// How decoding went.
        pub status: ClipStatus,
    }
}

impl ClipRow {
    /// What cannot be right about the row's place in the shards, where something cannot: a clip
    /// with frames lies in a row of a shard, others lie nowhere, and a shard's name leads to no
    /// other folder.
    #[must_use]
    pub fn misplaced(&self) -> Option<String> {
        match (self.status.is_usable(), &self.shard, self.shard_row) {
            (true, Some(shard), Some(0..)) => {
                let mut parts = Path::new(shard).components();
                let plain = matches!(
                    (parts.next(), parts.next()),
                    (Some(Component::Normal(name)), None) if name.to_str() == Some(shard)
                );
                (!plain).then(|| format!("{:?} is no shard's name", printable(shard)))
            }
            (false, None, None) => None,
            (true, _, _) => Some("it has frames, but no place in a shard".to_owned()),
            (false, _, _) => Some("it has no frames, but a place in a shard".to_owned()),
        }
    }
}
