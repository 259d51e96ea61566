//! incdec: incremental and decremental continual learning for video recognition, as a pipeline of stages.
//!
//! The question: what happens to a video-recognition model when its training data keeps arriving *and keeps being
//! withdrawn*? This crate re-implements the system of "Incremental and Decremental Continual Learning for
//! Privacy-preserving Video Recognition" (TWYN workshop, ECCV 2024; called *the seed* throughout).
//!
//! # The flow
//!
//! Stages meet only in files. One stage is one verb, one binary, one module, one make target.
//!
//! ```text
//! kinetics_download/sources.toml        Kinetics/Info/*.csv
//!           |                                  |
//!       download  -->  clips (mp4)  -->  decode  -->  frame shards (Arrow IPC)  -->  manifest  -->  clips.parquet
//!                                                                                                      |
//!       report  <--  run directory  <--  train  <--  availability.parquet  <--  tasks  <---------------+
//! ```
//!
//! A stage reads finished files and publishes finished files: it writes beside the target, syncs, renames, the index last
//! ([`artifact`]). Killing it at any instant loses nothing that was published, and running it again does only what is
//! missing. `make` alone knows where things lie; the binaries take explicit paths.
//!
//! # The map
//!
//! The ground floor imports nothing above it:
//!
//! | module | what it is for |
//! |---|---|
//! | [`choice`] | named choices: spellings, texts and refusals from one list |
//! | [`card`] | cards in Markdown beside what they describe |
//! | [`clip`] | a clip's id, and the splits |
//! | [`taxonomy`], [`labels`] | categories (classes), subcategories, and the label tables |
//! | [`withdrawn`] | the list of withdrawn clips, beside the label tables |
//! | [`named_csv`] | CSV that people write, its columns found by name |
//! | [`npy`] | the header of numpy's arrays |
//! | [`panics`] | panics of code that reads hostile bytes, as errors |
//! | [`parquet_file`] | the one place that writes and reads Parquet; format versions and lineage |
//! | [`tables`] | the published tables, one file for each: its name, its row, its columns |
//! | [`run_record`] | a run directory, checked: which run it is, which tasks are done, and the hashes of its files |
//! | [`artifact`], [`lock`] | publishing files atomically; hashes; one program at a time |
//! | [`random`] | named random streams |
//! | [`cholesky`] | symmetric positive definite systems of equations |
//! | [`parallel`] | work on several things at once, results in their order |
//! | [`part`] | part i of n of a stage's work, named or found in what a scheduler says |
//! | [`progress`], [`hint`], [`exit`] | what people and schedulers see: progress, the remedy of an error, the exit status |
//! | [`store`] | files behind an address: HTTP, object stores, retries |
//! | [`signals`] | signals that ask a process to end, remembered |
//! | [`child`] | programs that this one starts, and their end |
//! | `exception` | exceptions of our C++, as errors |
//! | [`foreign`] | text from elsewhere, made fit to be shown |
//! | [`guide`] | how something is done from its beginning to its end; no code |
//!
//! Above it:
//!
//! | module | what it is for | may import, beside the ground |
//! |---|---|---|
//! | `media` | video in and out through FFmpeg; resizing | |
//! | [`download`] | from archives to the clips that the labels name | |
//! | [`shard`] | Arrow IPC files with one row per clip, and their index | |
//! | `decode` | from clips to shards | `media`, `shard` |
//! | [`manifest`] | labels joined with shards, audited | `shard` |
//! | [`tasks`] | which clips each task holds, exactly as the seed deals them | |
//! | `data` | from shards to batches: sampler, augmentation, prefetch | `shard` |
//! | `model` | MoViNet A0..A5, its checkpoints | |
//! | `features` | what a frozen backbone makes of every clip | `data`, `model`, `shard` |
//! | [`metrics`] | average precision, confusion, forgetting, over plain slices | not even the ground |
//! | [`unlearning`] | what unlearning decides on plain data: sets, masks, rates, exact heads | |
//! | `train` | the loop and the approaches | `data`, `model`, `metrics`, `shard`, `unlearning` |
//! | `predict` | a checkpoint applied to videos | `media`, `shard`, `decode`, `data`, `features`, `model` |
//! | [`audit`] | how an unlearned model is judged against references | `metrics`, `model`, `features`, `shard`, `train`, `unlearning` |
//! | [`report`] | one page from one or more runs, and of what was withdrawn | `audit`, `erase`, `metrics`, `shard` |
//! | [`erase`] | what is held of withdrawn clips, taking it away everywhere, seeing that nothing is left | `download`, `manifest`, `shard` |
//! | [`clean`] | takes away what a stage has made, as far as its record proves that | `download`, `manifest`, `report`, `shard` |
//! | [`weights`] | published weights, fetched and checked | `download` |
//! | [`own_data`] | label tables from a folder of one's own | |
//! | `toy` | a miniature Kinetics and its loopback server | `media` |
//!
//! # Invariants
//!
//! * Only `store` opens an outward socket; `train` connects the processes that train one run over
//!   PyTorch's c10d; `toy` serves on loopback.
//! * Only `media` names `ffmpeg_next`; only `data`, `model`, `train`, `features`, `audit` and `predict` name `tch`; clap lives
//!   in the binaries.
//! * The library reads no environment variable and no current directory.
//! * The same inputs, settings and seed give the same bytes of every table, shard and checkpoint; of training, on the same
//!   instruction set and number of threads. Durations, dates, hosts and attempt counts live in `log.jsonl` and
//!   `timing.parquet` alone.
//! * Everything random is a named stream keyed by (seed, purpose, indices): results do not depend on the number of workers.
//! * Nothing hostile is trusted: archive members and videos cost at most themselves, checkpoints execute nothing.
//!
//! Tests hold the imports, the packages and the libraries that each binary links against this page.
//!
//! # Cargo features
//!
//! `media` (FFmpeg: decode, toy) and `torch` (libtorch: data, model, train, features, audit), both on by default;
//! predict needs both. The binaries of a stage link only what the stage needs.

pub mod artifact;
pub mod card;
pub mod child;
pub mod choice;
pub mod cholesky;
pub mod clip;
#[cfg(feature = "torch")]
mod exception;
pub mod exit;
pub mod foreign;
pub mod guide;
pub mod hint;
pub mod labels;
pub mod lock;
pub mod named_csv;
pub mod npy;
pub mod panics;
pub mod parallel;
pub mod parquet_file;
pub mod part;
pub mod progress;
pub mod random;
pub mod run_record;
pub mod signals;
pub mod store;
pub mod tables;
pub mod taxonomy;
pub mod withdrawn;

pub mod audit;
pub mod clean;
#[cfg(feature = "torch")]
pub mod data;
#[cfg(feature = "media")]
pub mod decode;
pub mod download;
pub mod erase;
#[cfg(feature = "torch")]
pub mod features;
pub mod manifest;
#[cfg(feature = "media")]
pub mod media;
pub mod metrics;
#[cfg(feature = "torch")]
pub mod model;
pub mod own_data;
#[cfg(all(feature = "media", feature = "torch"))]
pub mod predict;
pub mod report;
pub mod shard;
pub mod tasks;
#[cfg(feature = "media")]
pub mod toy;
#[cfg(feature = "torch")]
pub mod train;
pub mod unlearning;
pub mod weights;
