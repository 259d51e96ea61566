//! The label tables.

pub mod command;
pub mod first_clips;
