//! From the bytes of an archive to its clips.

pub mod container;
pub mod extract;
pub(super) mod fetch;
pub mod gunzip;
pub mod member;
pub(super) mod staging;
pub(super) mod watched;
