//! Rows of the tables that one stage writes and others read: clips (manifest), availability and schedule (tasks).

mod availability;

use std::path::{Component, Path};

use arrow::datatypes::Field;
use serde::{Deserialize, Serialize};

use crate::choice::choice;
use crate::clip::Split;
use crate::foreign::printable;
use crate::parquet_file::{Format, Table, column};

pub use availability::{
    AvailabilityError, CategoryNames, Nonsense, RowFault, category_names, check_availability,
    read_availability,
};

/// The table of the clips of every task.
pub const AVAILABILITY_FILE: &str = "availability.parquet";
/// The table of the subcategories of every task.
pub const SCHEDULE_FILE: &str = "schedule.parquet";

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
    }
}

impl ClipStatus {
    /// Whether the clip has frames to train and evaluate on.
    #[must_use]
    pub fn is_usable(self) -> bool {
        matches!(self, Self::Ok | Self::Partial)
    }
}

/// A row of `clips.parquet`, the manifest: one labelled clip and where its frames lie. Sorted by split and row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClipRow {
    /// `<youtube_id>_<start>_<end>`.
    pub clip_id: String,
    /// The YouTube id.
    pub youtube_id: String,
    /// Start in the source video, in seconds.
    pub time_start_s: i32,
    /// End in the source video, in seconds.
    pub time_end_s: i32,
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

impl ClipRow {
    /// What cannot be right about the row's place in the shards, where something cannot: a clip with frames lies in a row of a
    /// shard, others lie nowhere, and a shard's name leads to no other folder.
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

impl Table for ClipRow {
    const FORMAT: Format = Format {
        name: "incdec.clips",
        version: 1,
        rebuild: "make manifest",
    };

    fn columns() -> Vec<Field> {
        vec![
            column::text("clip_id"),
            column::text("youtube_id"),
            column::int32("time_start_s"),
            column::int32("time_end_s"),
            column::text("split"),
            column::text("source_split"),
            column::int32("row"),
            column::text("category"),
            column::int32("label"),
            column::text("subcategory"),
            column::nullable(column::text("shard")),
            column::nullable(column::int64("shard_row")),
            column::text("status"),
        ]
    }
}

choice! {
    /// What happened to a clip on entering a task.
    pub enum Change: "change" {
        /// In the list of task 0.
        Initial = "initial",
        /// In the list of the task before, too.
        Kept = "kept",
        /// New in this task's list.
        Arrived = "arrived",
        /// No longer in the list; stands here once, without a position.
        Removed = "removed",
    }
}

/// A row of `availability.parquet`: one clip of one task's list, or one that has just left it.
///
/// Sorted by task, split, position; removed clips (position null) last, by row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct AvailabilityRow {
    /// The task, from 0.
    pub task: i32,
    /// The split whose list this is.
    pub split: Split,
    /// Position in the task's list, from 0; null for removed clips.
    pub position: Option<i32>,
    /// The clip's row in the split's label table.
    pub row: i32,
    /// The clip.
    pub clip_id: String,
    /// Its category.
    pub category: String,
    /// The category's class index.
    pub label: i32,
    /// Its subcategory.
    pub subcategory: String,
    /// What happened on entering the task.
    pub change: Change,
    /// Whether the clip has frames; the others are passed over and counted.
    pub usable: bool,
}

impl Table for AvailabilityRow {
    const FORMAT: Format = Format {
        name: "incdec.availability",
        version: 1,
        rebuild: "make tasks",
    };

    fn columns() -> Vec<Field> {
        vec![
            column::int32("task"),
            column::text("split"),
            column::nullable(column::int32("position")),
            column::int32("row"),
            column::text("clip_id"),
            column::text("category"),
            column::int32("label"),
            column::text("subcategory"),
            column::text("change"),
            column::boolean("usable"),
        ]
    }
}

choice! {
    /// What happened to a subcategory on entering a task.
    pub enum ScheduleEvent: "event" {
        /// In the list of task 0.
        Start = "start",
        /// There in the task before, too.
        Kept = "kept",
        /// New in this task.
        Arrived = "arrived",
        /// No longer there; in task 0 of a decremental schedule, taken away before the start.
        Removed = "removed",
        /// Drawn for removal, but the last of its category's list, so it stays in it; or, without a position, drawn to start
        /// with, but the last that waits, so it goes on waiting.
        Refused = "refused",
    }
}

/// A row of `schedule.parquet`: what happened to one subcategory on entering one task. The rows with a position are the
/// task's list. Sorted by task, class, then position with nulls last (these in the taxonomy's order).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ScheduleRow {
    /// The task, from 0.
    pub task: i32,
    /// The category.
    pub category: String,
    /// The subcategory.
    pub subcategory: String,
    /// Its order in the category's list of this task; null when it is not in the list.
    pub position: Option<i32>,
    /// What happened.
    pub event: ScheduleEvent,
}

impl Table for ScheduleRow {
    const FORMAT: Format = Format {
        name: "incdec.schedule",
        version: 1,
        rebuild: "make tasks",
    };

    fn columns() -> Vec<Field> {
        vec![
            column::int32("task"),
            column::text("category"),
            column::text("subcategory"),
            column::nullable(column::int32("position")),
            column::text("event"),
        ]
    }
}
