//! Taking away what a stage has made, and nothing else.
//!
//! A file is removed where its name and its content prove that the stage made it: the ledger holds
//! the hash of every clip, tables and shards hold hashes of their own rows, a run's record those of
//! its weights, a page its own. What was there before, was changed since, or is nobody's stays, and
//! is counted. The record, by which the rest is known, goes last, so that cleaning that is stopped
//! goes on where it was stopped.
//!
//! | stage | the folder | goes where |
//! |---|---|---|
//! | `download` | of the ledger | a clip has the hash of its row, the ledger and the log are ours |
//! | `decode` | of the shards | every row of a shard has its hash; the index is ours |
//! | `manifest`, `tasks` | of the table, or one above | the table is ours; a card ends with its own hash |
//! | `train` | of the run | the run's record holds the hash, or the file is of a format of ours |
//! | `report` | of the run | the page, or one of `report-runs`, holds its own hash |

mod config;
mod error;
mod place;
mod proof;
mod run;
mod run_files;
mod summary;

pub use config::{CleanConfig, Stage};
pub use error::CleanError;
pub use run::run;
pub use summary::CleanSummary;
