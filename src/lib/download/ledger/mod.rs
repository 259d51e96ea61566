//! What became of archives and clips.

pub(super) mod adopt;
pub(super) mod closing;
pub(super) mod known;
pub(super) mod session;
pub mod table;
pub mod verify;
