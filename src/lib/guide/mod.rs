//! The guide: how something is done from its beginning to its end, with what the programs really say.
//!
//! The README has a screen for each subject and leads here. Tests run the commands of both and
//! compare what is printed.

#[doc = include_str!("running.md")]
pub mod running {}

#[doc = include_str!("stopping.md")]
pub mod stopping {}

#[doc = include_str!("own_videos.md")]
pub mod own_videos {}

#[doc = include_str!("real_data.md")]
pub mod real_data {}

#[doc = include_str!("tables.md")]
pub mod tables {}

#[doc = include_str!("clusters.md")]
pub mod clusters {}

#[doc = include_str!("object_stores.md")]
pub mod object_stores {}

#[doc = include_str!("several_processes.md")]
pub mod several_processes {}

#[doc = include_str!("bundle.md")]
pub mod bundle {}

#[doc = include_str!("on_paper.md")]
pub mod on_paper {}

#[doc = include_str!("auditing.md")]
pub mod auditing {}

#[doc = include_str!("withdrawing.md")]
pub mod withdrawing {}

#[doc = include_str!("reproducing.md")]
pub mod reproducing {}

#[doc = include_str!("benchmarks.md")]
pub mod benchmarks {}

#[doc = include_str!("changing.md")]
pub mod changing {}
