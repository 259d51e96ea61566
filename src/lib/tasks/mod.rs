//! Stage `tasks`: deals the labelled clips out to the tasks of a scenario.
//!
//! A scenario says how the training data changes from task to task; given the label tables, the
//! taxonomy, a schedule and a seed, the list of every task follows exactly, in membership and
//! order, as the published experiments dealt it. Draws go over the full label tables; whether a
//! clip has frames (`usable`) is noted beside it and changes no draw, so two users with different
//! broken clips share every other position.
//!
//! ```text
//! labels or manifest --source--> Tables --availability::TaskLists--> lists --run--> schedule.parquet, availability.parquet
//! ```
//!
//! [`availability`] and [`schedule`] are pure; [`legacy_random`] holds the two generators and the
//! set order of the original. Files are touched in `source` and `run` alone.

pub mod availability;
mod config;
mod error;
pub mod events;
pub mod legacy_random;
pub mod place;
mod remarks;
mod run;
pub mod schedule;
mod source;
mod summary;
mod writer;

pub use config::{
    DEFAULT_TASKS, DealSettings, LabelSource, MAX_TASKS, Remainder, Scenario, TasksConfig,
};
pub use error::TasksError;
pub use events::{EventFiles, EventsError};
pub use run::{run, write};
pub use source::{LabelledClip, Source};
pub use summary::{SplitSummary, TaskSummary, TasksSummary};
