//! What has to be fetched.

pub mod choose;
pub(super) mod disk;
pub(super) mod index;
pub mod planned;
pub(super) mod probe;
pub mod sources;
pub mod text;
pub(super) mod wanted;
