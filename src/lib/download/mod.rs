//! The download stage: from the official archives to the clips that the labels name.
//!
//! ```text
//! index --plan--> archives --stream--> gunzip --extract--> clips, staged
//! clips, staged --checksum ok--> <raw>/<subcategory>/<clip>.mp4
//!                           \--> records --> downloads.parquet
//! ```
//!
//! - `run`: the steps of a run, from the plan to the ledger.
//! - `parts`: a part of a run, and what merging makes of all parts.
//! - [`source`]: how bytes come from HTTP, an object store or a folder, and how failures are
//!   retried.
//! - [`plan`]: `sources.toml`, the clips that are wanted, and the archives to read for them.
//! - [`archive`]: one archive, from the connection to clips under their names.
//! - [`ledger`]: `downloads.parquet`, what is known from before, and the clips on disk against it.
//! - [`labels`]: the command that fetches or makes the label tables.
//!
//! Only this module opens outward sockets. A clip gets its name under `raw` only when its whole
//! archive has passed its checksum; until then it lies in `<raw>/.incdec-download`, which goes away
//! when the run ends.
//!
//! # What is read twice
//!
//! Within a process nothing: a dropped connection goes on at the byte where it broke (`Range`,
//! `If-Range`), and gunzip and tar never notice. Across processes an archive that was not finished
//! is read again from its start, at most `--jobs` of them: no state of the inflater is kept on
//! disk, since the clips of an archive get their names only when its last checksum is right. Every
//! run says how many bytes came over the wire and for how many bytes of archives.

pub mod archive;
mod config;
mod error;
pub mod labels;
pub mod ledger;
mod parts;
pub mod plan;
mod run;
pub mod source;
mod summary;

pub use config::DownloadConfig;
pub use error::DownloadError;
pub use parts::{merge, run_part};
pub use run::{plan_only, run};
pub use summary::DownloadSummary;
