//! The decode stage: from clips to frame shards.
//!
//! [`sample`] says which frames (pure), [`clip`] turns one file into stored frames, [`run()`] does so for every labelled clip
//! with several workers and publishes shards and index, [`probe()`] decodes single files for people, [`verify()`] re-reads what
//! is stored.
//!
//! Results do not depend on the number of workers: clips are decoded in any order and written in the label tables'. A shard is
//! published when it is full; a killed run's shards are read, hashed and taken over by the next, which goes on with the clip
//! after them.
//!
//! A clip without frames has a [cause](crate::shard::Cause). One that is damaged stays so until its file is another one, which
//! its size and, for all clips that are not whole, its hash tell. One that was not decoded (no time, memory or permission)
//! stays until its file or the limit that it met is another one, or `--retry` is given; while such clips take the failures
//! past `--max-failed`, every run tries those again that met no limit.
//!
//! What JPEG costs, by `tests/bench/jpeg.py` on 24 real clips of 200 x 200: PSNR against the raw frames, and loading speed as
//! normalised batches of 172 x 172 in clips per processor second.
//!
//! | quality, colour | bytes a frame | PSNR, mean | PSNR, tenth percentile | loading |
//! |---|---|---|---|---|
//! | 80, 4:2:0 | 7,173 | 37.7 dB | 34.0 dB | 161.6 |
//! | 85, 4:2:0 | 8,241 | 38.8 dB | 34.8 dB | 156.4 |
//! | 90, 4:2:0 | 10,083 | 40.2 dB | 35.6 dB | 143.7 |
//! | 95, 4:2:0 | 14,022 | 42.3 dB | 37.2 dB | 126.3 |
//! | 80, 4:4:4 | 8,559 | 39.5 dB | 36.5 dB | 132.4 |
//! | 85, 4:4:4 | 9,927 | 40.7 dB | 37.7 dB | 126.4 |
//! | 90, 4:4:4 | 12,187 | 42.5 dB | 39.6 dB | 118.0 |
//! | 95, 4:4:4 | 17,158 | 45.3 dB | 43.0 dB | 102.8 |
//!
//! At equal bytes whole colour is half a decibel better and a tenth slower to load. Loading is paid in every epoch, so 90 at
//! 4:2:0 is the default; where colour matters more, `--quality 85 --subsampling 444` has its size.

pub mod clip;
mod config;
mod error;
mod file_hash;
mod folder;
mod isolate;
mod plan;
mod pool;
mod probe;
mod run;
pub mod sample;
mod source;
mod stored;
mod summary;
mod verify;

pub use config::{ClipSettings, DecodeConfig, MAX_JOBS, Resample, Retry, Subsampling};
pub use error::DecodeError;
pub use isolate::work;
pub use probe::{ProbeRow, probe};
pub use run::run;
pub use sample::Fps;
pub use summary::{Failures, Summary};
pub use verify::{Damage, VerifySummary, verify};
