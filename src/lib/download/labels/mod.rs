//! The command `labels`: the published label tables, or tables made by a rule.
//!
//! `command`: what is asked for, and the steps; `published`: the published tables, and the clips
//! that exist only as frames; `first_clips`: of each class of the official annotations the first
//! clips.

mod command;
pub(super) mod first_clips;
mod published;

pub use command::{LabelsConfig, Tables, labels};
pub use first_clips::ClipsPerClass;
pub use published::{Fetched, sha256};
