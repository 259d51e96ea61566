//! The keys under which a checkpoint's header says what it is. `incdec.crate_version` beside them
//! is of no use to a reader.

pub use crate::run_record::PARENTS;

/// The run that wrote it.
pub const RUN_ID: &str = "incdec.run_id";
/// The task after which it was written, from 0.
pub const TASK: &str = "incdec.task";
/// The run's settings, a JSON object.
pub const SETTINGS: &str = "incdec.settings";
/// The categories in class order, a JSON list.
pub const CATEGORIES: &str = "incdec.categories";
/// How a video becomes the frames that it was trained on: the settings of decoding as the shards
/// have them, a JSON object. Absent where they have none, and in files of a version before.
pub const DECODING: &str = "incdec.decoding";
