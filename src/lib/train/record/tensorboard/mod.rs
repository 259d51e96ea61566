//! `TensorBoard` event files: scalars and images under tags, appended as training goes.

mod event_log;
mod image;
mod message;
mod tags;

pub(super) use event_log::EventLog;
pub use event_log::{FILE, FOLDER};
