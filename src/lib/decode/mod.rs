//! The decode stage: from clips to frame shards.
//!
//! [`sample`] says which frames (pure), [`clip`] turns one file into stored frames, [`run()`] does
//! so for every labelled clip with several workers and publishes shards and index, [`probe()`]
//! decodes single files for people, [`verify()`] re-reads what is stored.
//!
//! Results do not depend on the number of workers: clips are decoded in any order and written in
//! the label tables'. A shard is published when it is full; a killed run's shards are read, hashed
//! and taken over by the next, which goes on with the clip after them.
//!
//! A part decodes the ranges of label rows that fall to it into a folder of its own below the folder
//! of shards; [`merge()`] renames the shards of all parts and publishes the index that one run would.
//!
//! A clip's file is another one where its size is another, or where the system has noticed a change
//! of it since the clip's shard was written and its hash is another. Where several files have a
//! clip's name, the first that is a video is the clip, in the order that `source.rs` states.
//!
//! A clip without frames has a [cause](crate::shard::Cause). One that is damaged stays so until its
//! file is another one. One that was not decoded (no time, memory or permission) stays until its file or the limit that it
//! met is another one, or `--retry` is given; while such clips take the failures past
//! `--max-failed`, every run tries those again that met no limit.

pub mod clip;
mod config;
mod error;
mod file_hash;
mod folder;
mod isolate;
mod merge;
mod near_miss;
mod parts;
mod plan;
mod pool;
mod probe;
mod run;
pub mod sample;
mod source;
mod stored;
mod summary;
mod trouble;
mod verify;

pub use config::{ClipSettings, DecodeConfig, MAX_JOBS, Resample, Retry, Subsampling};
pub use error::DecodeError;
pub use isolate::work;
pub use merge::{MergeConfig, merge};
pub use probe::{ProbeRow, probe};
pub use run::run;
pub use sample::Fps;
pub use summary::{DecodeSummary, FailureCounts};
pub use verify::{DamagedClip, VerifySummary, verify};
