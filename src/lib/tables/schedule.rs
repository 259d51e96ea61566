//! `schedule.parquet`: which subcategories each task has.

use crate::choice::choice;
use crate::parquet_file::table_row;

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
        /// Drawn for removal, but the last of its category's list, so it stays in it; or, without a
        /// position, drawn to start with, but the last that waits, so it goes on waiting.
        Refused = "refused",
    }
}

table_row! {
    /// A row of `schedule.parquet`: what happened to one subcategory on entering one task. The rows
    /// with a position are the task's list. Sorted by task, class, then position with nulls last
    /// (these in the taxonomy's order).
    pub struct ScheduleRow in "schedule.parquet": "incdec.schedule" version 1 by "make tasks"
    sorted task;
    {
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
}
