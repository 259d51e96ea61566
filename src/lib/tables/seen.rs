//! `seen.parquet`: which clips a run has seen.

use crate::choice::choice;
use crate::parquet_file::table_row;

choice! {
    /// What a run used a clip for.
    #[derive(PartialOrd, Ord)]
    pub enum Use: "use" {
        /// It was trained on.
        Train = "train",
        /// It helped to choose the best epoch, and to end tasks early.
        Validation = "validation",
    }
}

table_row! {
    /// A row of `seen.parquet`: one clip and one use of it. Sorted by clip and use.
    pub struct SeenRow in "seen.parquet": "incdec.seen" version 1 by "make train"
    sorted clip_id;
    {
        /// The clip.
        pub clip_id: String,
        /// What it was used for.
        pub r#use: Use,
        /// The first task that used it, from 0.
        pub first_task: i32,
        /// The last task that used it.
        pub last_task: i32,
        /// The epochs of the tasks whose lists have it, together.
        pub passes: i64,
    }
}
