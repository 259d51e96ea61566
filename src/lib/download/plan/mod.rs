//! What has to be fetched.

pub mod choose;
pub(super) mod index;
pub(super) mod probe;
pub mod sources;
pub mod text;
