//! From the bytes of an archive to its clips.
//!
//! - `fetch`: one archive, retried until it is sound; `watched`: its bytes are counted and copied.
//! - `packing`: what the bytes are; `gunzip`, `extract`, `unzip`: the bytes as members; `member`:
//!   what is let in.
//! - `names`: what an archive holds, member by member.
//! - `staging`: clips until their archive is known to be sound; `naming`: they get their names;
//!   `container`: whether one is whole.

pub(super) mod container;
mod extract;
mod fetch;
mod gunzip;
mod member;
mod names;
mod naming;
mod packing;
mod staging;
mod unzip;
mod watched;

pub use extract::{ExtractError, Keeper, Tally, extract};
pub(super) use fetch::{Outcome, Work};
pub use gunzip::Gunzip;
pub(super) use member::{class_of, has_drive, video_name};
pub use names::{member_contents, member_names};
pub(super) use naming::Naming;
pub(super) use packing::{Packing, packing};
