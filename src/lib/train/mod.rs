//! The train stage: task after task.

pub mod approach;
pub mod choice;
mod criterion;
mod error;
mod evaluate;
mod feed;
pub mod learner;
mod logbook;
pub mod optimizer;
pub mod plan;
pub mod profile;
pub mod record;
mod run;
pub mod schedule;
pub mod seed_outputs;
mod selection;
pub mod settings;
mod summary;
pub mod tensorboard;

pub use error::TrainError;
pub use evaluate::Evaluation;
pub use run::run;
pub use settings::{Compat, DeviceChoice, Settings, TrainConfig};
pub use summary::Summary;
