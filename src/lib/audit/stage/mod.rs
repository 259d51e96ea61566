//! The stage: candidate runs beside their references, measured and published as tables.
//!
//! ```text
//! run directories --> runs, references (who is judged against whom)
//!      checkpoints + shards --> models (features and logits of every clip)
//!      --> sets (who left, who stayed) --> said --> single (one run), pooled (over seeds) --> tables
//! ```

mod config;
mod error;
mod models;
mod pooled;
mod references;
mod rows;
mod run;
mod runs;
mod said;
mod sequences;
mod sets;
mod shadows;
mod single;
mod summary;
mod train;

pub use config::{AuditConfig, ReferenceTasks, TrainReferences};
pub use error::AuditStageError;
pub use run::run;
pub use summary::AuditSummary;
