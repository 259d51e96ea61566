//! Withdrawal that is done: what is held of a clip, taking it away everywhere, and seeing that
//! nothing is left.
//!
//! [`plan`] looks everywhere and writes nothing. [`apply`] notes the request in the ledger
//! `erasures.parquet`, adds the clips to the list `withdrawn.csv`, and writes every file that holds
//! one anew without it: shards, index, manifest, tables of tasks, the download's ledger, the
//! predictions, replay buffers, texts and documents of runs; files and folders of frames are deleted.
//! Other files keep their bytes. Shards in object stores are written anew where they lie. [`verify`]
//! reads everything again and believes no index.
//!
//! A run's metrics stay as they were judged; its record says with how many clips since withdrawn,
//! and which checkpoints saw one. Nothing here says that a model has forgotten anything.
//!
//! What is claimed: files are unlinked and rewritten. Blocks of a disk, snapshots and backups are
//! beyond a program's reach.

mod apply;
mod census;
mod config;
mod error;
mod held;
mod ids;
mod ledger;
mod marks;
mod names;
mod near;
mod plan;
mod runs;
mod search;
mod stores;
mod verify;
mod witness;

pub use apply::{Applied, apply};
pub use config::{Archives, EraseConfig, Places, Selector};
pub use error::EraseError;
pub use held::{Action, HeldRow, Place, What};
pub use ids::Ids;
pub use ledger::{FileHashes, HeldAt, KnownByRun, Ledger};
pub use near::{Likeness, Near};
pub use plan::{ErasePlan, plan};
pub use verify::{Verdict, verify};

/// This instant, as the ledger keeps it: ISO 8601 in UTC, to the second.
fn now() -> String {
    let now = jiff::Timestamp::now();
    now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}
