//! The download stage: from the official archives to the clips that the labels name.
//!
//! ```text
//! index --plan--> archives --stream--> gunzip --extract--> clips, staged --checksum ok--> <raw>/<subcategory>/<clip>.mp4
//!                                                                               \--> records --> downloads.parquet
//! ```
//!
//! - [`sources`]: `sources.toml`, where the data comes from; [`remote`] and [`http`]: how bytes come from there.
//! - [`plan`]: which archives are needed; [`mod@run`]: the stage; `archive`: one archive, from socket to clips.
//! - [`stream`]: one file as one unbroken stream; [`pace`]: retries, waits, the rate limit.
//! - [`gunzip`], [`extract`], [`member`], [`container`]: what the bytes hold, and what is let in.
//! - [`ledger`]: `downloads.parquet`; [`verify`]: the clips on disk against it.
//! - [`fetch`]: the published label tables.
//!
//! Only this module opens outward sockets. A clip gets its name under `raw` only when its whole archive has passed its
//! checksum; until then it lies in `<raw>/.incdec-download`, which goes away when the run ends.

mod archive;
mod config;
pub mod container;
mod error;
pub mod extract;
pub mod fetch;
pub mod gunzip;
pub mod http;
mod keep;
mod lanes;
pub mod ledger;
pub mod member;
pub mod pace;
pub mod plan;
pub mod plan_text;
mod probe;
pub mod remote;
pub mod run;
pub mod sources;
mod state;
pub mod stream;
pub mod tables;
pub mod verify;

pub use config::{DownloadConfig, Summary};
pub use error::DownloadError;
pub use run::{plan_only, run};
