//! The download stage: from the official archives to the clips that the labels name.
//!
//! ```text
//! index --plan--> archives --stream--> gunzip --extract--> clips, staged --checksum ok--> <raw>/<subcategory>/<clip>.mp4
//!                                                                               \--> records --> downloads.parquet
//! ```
//!
//! - [`sources`]: `sources.toml`, where the data comes from; [`remote`]: how bytes come from there, by [`http`], from an
//!   object store (`address`, `bucket`, [`store`]), through a [`proxy`] or from a folder (`local`); [`secret`]: what of an
//!   address may be shown.
//! - `session`: what is wanted; [`plan`]: which archives are needed, by `index` and `probe`; [`mod@run`]: the stage;
//!   `archive`: one archive, from socket to clips; `closing`: the ledger at the end.
//! - [`stream`]: one file as one unbroken stream; [`pace`]: retries, waits, the rate limit.
//! - [`gunzip`], [`extract`], `keeper`, [`member`], [`container`]: what the bytes hold, and what is let in.
//! - [`ledger`]: `downloads.parquet`; [`verify`]: the clips on disk against it; `adopt`: clips on disk without one.
//! - [`fetch`]: the published label tables; [`tables`]: tables made by a rule.
//!
//! Only this module opens outward sockets. A clip gets its name under `raw` only when its whole archive has passed its
//! checksum; until then it lies in `<raw>/.incdec-download`, which goes away when the run ends.
//!
//! # What is read twice
//!
//! Within a process nothing: a dropped connection goes on at the byte where it broke (`Range`, `If-Range`), and gunzip and tar
//! never notice. Across processes an archive that was not finished is read again from its start, at most `--jobs` of them: no
//! state of the inflater is kept on disk, since the clips of an archive get their names only when its last checksum is right.
//! Every run says how many bytes came over the wire and for how many bytes of archives.

mod address;
mod adopt;
mod archive;
mod bucket;
mod closing;
mod config;
pub mod container;
mod error;
pub mod extract;
pub mod fetch;
pub mod gunzip;
pub mod http;
mod index;
mod keep;
mod keeper;
mod lanes;
pub mod ledger;
mod local;
pub mod member;
pub mod pace;
pub mod plan;
pub mod plan_text;
mod probe;
pub mod proxy;
pub mod remote;
pub mod run;
pub mod secret;
mod session;
pub mod sources;
mod state;
pub mod store;
pub mod stream;
pub mod tables;
pub mod verify;

pub use config::{DownloadConfig, Summary};
pub use error::DownloadError;
pub use run::{plan_only, run};
