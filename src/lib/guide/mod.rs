//! Guides: how something is done from its beginning to its end, with what the programs really say.

#[doc = include_str!("on_paper.md")]
pub mod on_paper {}
#[doc = include_str!("several_processes.md")]
pub mod several_processes {}
#[doc = include_str!("withdrawing.md")]
pub mod withdrawing {}
