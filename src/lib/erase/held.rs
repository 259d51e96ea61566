//! What is held of a clip, where, and what becomes of it.

use crate::choice::choice;
use crate::parquet_file::table_row;

choice! {
    /// A place that may hold something of a clip.
    #[derive(PartialOrd, Ord)]
    pub enum Place: "place" {
        /// The label tables.
        Labels = "labels",
        /// The folder of clips.
        Raw = "raw",
        /// The folders of frames.
        FrameFolders = "frame-folders",
        /// Archives that were kept.
        Archives = "archives",
        /// What a download was doing when it was stopped.
        Staging = "staging",
        /// The download's ledger.
        Downloads = "downloads",
        /// Files right below the data folder: logs, pages, whatever a person has put there.
        Data = "data",
        /// The shards and their index.
        Shards = "shards",
        /// Shards that were fetched from an object store.
        Cache = "cache",
        /// Shards, and what else lies with them, in an object store.
        Store = "store",
        /// The manifest.
        Manifest = "manifest",
        /// The tables of tasks.
        Tasks = "tasks",
        /// The feature tables.
        Features = "features",
        /// Run directories, audits, and the pages made of them.
        Runs = "runs",
    }
}

choice! {
    /// What is held.
    pub enum What: "what is held" {
        /// A row of a label table.
        Label = "label row",
        /// A video file, or its frames in a folder, under the clip's name.
        Video = "video",
        /// Frames in a folder.
        Frames = "frames",
        /// Frames in a row of a shard.
        StoredFrames = "stored frames",
        /// The same bytes or frames under another name.
        Copy = "copy under another name",
        /// A member of an archive.
        Member = "archive member",
        /// A row of a table.
        Row = "table row",
        /// A prediction.
        Prediction = "prediction",
        /// What a backbone makes of it.
        Feature = "feature",
        /// A row of what a replay approach keeps for later tasks.
        Buffered = "row of a replay buffer",
        /// What a model has said of it in a task that is under way.
        Answer = "answer of a task under way",
        /// A figure that an audit has of it.
        Figure = "figure of an audit",
        /// Lines of a text.
        Lines = "lines of text",
        /// A page of a report.
        Page = "page",
        /// Bytes of a file that is no text of ours.
        Bytes = "bytes",
        /// A checkpoint that was trained on it.
        Trained = "checkpoint trained on it",
        /// A checkpoint that was chosen by it.
        Selected = "checkpoint selected by it",
    }
}

choice! {
    /// What apply does about it.
    #[derive(PartialOrd, Ord)]
    pub enum Action: "action" {
        /// It may stay: it says no more than that the clip is withdrawn.
        Keep = "keep",
        /// The file is deleted.
        Erase = "erase",
        /// The file is written anew without it.
        Rewrite = "rewrite",
        /// The file is deleted and can be made again.
        Rebuild = "rebuild",
        /// It stays, and is marked as having seen the clip.
        Taint = "taint",
        /// This program cannot take it out; a person must.
        ByHand = "by hand",
    }
}

table_row! {
    /// A row of a plan: one thing that is held of one clip. Sorted by place, file, clip, what.
    pub struct HeldRow in "erasure-plan.parquet": "incdec.erasure-plan" version 1 by "make erase ERASE='... --dry-run --out FILE'" {
        /// The place.
        pub place: Place,
        /// The file, or the folder of frames; below the data folder without that folder.
        pub file: String,
        /// The clip.
        pub clip_id: String,
        /// What is held.
        pub what: What,
        /// Its bytes; 0 for a part of a table or text.
        pub bytes: i64,
        /// What apply does about it.
        pub action: Action,
        /// More about it.
        pub note: Option<String>,
    }
}

impl HeldRow {
    /// The order of a plan.
    pub(super) fn order(&self, other: &Self) -> std::cmp::Ordering {
        let key = |row: &Self| {
            (
                row.place,
                row.file.clone(),
                row.clip_id.clone(),
                row.what.name(),
            )
        };
        key(self).cmp(&key(other))
    }
}
