//! The miniature Kinetics and the loopback server that offers it.
//!
//! - [`motion`]: what a toy clip shows; pure.
//! - [`run()`]: archives, index, annotations and label tables, laid out as the official source.
//! - [`serve`]: that folder over HTTP on loopback, with ranges.

mod archives;
mod config;
mod error;
pub mod motion;
mod plan;
mod run;
pub mod serve;
mod summary;
mod tables;

pub use config::{Cue, Layout, ToyConfig};
pub use error::ToyError;
pub use run::run;
pub use summary::ToySummary;
