//! The train stage: task after task, a model learns what is available and is measured on
//! everything.
//!
//! ```text
//! availability.parquet + shards --> task_sequence --> for each task: epochs (feed --> learner + approach -->
//!     optimizer, evaluate, rate_schedule, selection) --> evaluate, approach --> record
//! ```
//!
//! | file | what it is for |
//! |---|---|
//! | [`settings`], `check` | every setting with its default; which go together; the seed's quirks, one field each |
//! | `machine` | what of the place where a run computes can change the last bits |
//! | [`task_sequence`], `stages` | which clips each task trains and evaluates on; which recipe it is trained by |
//! | `run` | the loop: the order of events |
//! | `feed`, `evaluate` | batches on the device; predictions and figures of a list |
//! | [`learner`], [`optimizer`], [`rate_schedule`], `criterion`, `selection`, `trained` | the parts of a step and of an epoch |
//! | [`approach`] | finetune, LwF, feature distillation, EWC, replay: hooks around the loop |
//! | [`watch`] | when a checkpoint is kept inside a task, and when a run ends early |
//! | [`unlearn`] | how a model is made to forget what leaves: one hook before a task |
//! | `heads` | models that are a head on cached features |
//! | [`record`] | what a run leaves: the loop tells it one thing for each event |
//! | `trouble` | what led to a loss that is no number, what memory and disk were wanted for, a shard that changed |
//! | [`profile`], `forecast` | where the seconds go; how many are left |
//! | [`world`], `dealt`, `alike` | the processes that train one run together; their batches in order; that they compute the same |
//! | [`status`] | a run directory looked at while another process writes it |
//!
//! Invariants: a step's result is a function of the inputs, the settings and what a checkpoint inside
//! a task holds, so a run that was killed ends as an uninterrupted one; the loop and the evaluation never
//! know which approach runs; the three tables, the checkpoints and the JSON files of a run hold no
//! time and no path; threads, instructions and device stand in the block `machine` of
//! `settings.json` alone.

mod alike;
pub mod approach;
mod check;
mod choices;
mod compat;
mod criterion;
mod dealt;
mod error;
mod evaluate;
mod feed;
mod forecast;
mod heads;
pub mod learner;
mod machine;
pub mod optimizer;
pub mod profile;
pub mod rate_schedule;
pub mod record;
mod run;
mod selection;
pub mod settings;
mod stages;
pub mod status;
pub mod task_sequence;
mod trained;
mod trouble;
pub mod unlearn;
pub mod watch;
mod withdrawals;
pub mod world;

pub use crate::model::device::{self, DeviceChoice};
pub use error::TrainError;
pub use evaluate::Evaluation;
pub use record::TrainSummary;
pub use run::{Relearning, RelearningConfig, run, run_watched, run_with};
pub use settings::{Compat, Settings, TrainConfig};
pub use trouble::{Divergence, Shortage, is_shortage};
