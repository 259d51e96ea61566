//! `availability.parquet`: which clips each task has.

mod check;
mod deal;
mod departed;
mod fault;
mod read;

use crate::choice::choice;
use crate::clip::Split;
use crate::parquet_file::table_row;

pub use check::check_availability;
#[cfg(feature = "torch")]
pub(crate) use deal::class_counts;
pub use deal::{ClassCountsOver, Deal};
pub use fault::{Nonsense, RowFault};
pub use read::{Availability, AvailabilityError};

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

table_row! {
    /// A row of `availability.parquet`: one clip of one task's list, or one that has just left it.
    ///
    /// Sorted by task, split, position; removed clips (position null) last, by row.
    pub struct AvailabilityRow in "availability.parquet": "incdec.availability" version 1 by "make tasks"
    sorted task;
    unique position row;
    added group
    {
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
        /// What it may not be divided from: a YouTube id, a person, a customer; null where the labels say nothing.
        pub group: Option<String>,
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
}
