//! The stage: candidate runs beside their references, measured and published as tables.
//!
//! ```text
//! run directories --> runs, references (who is judged against whom)
//!      checkpoints + shards --> models (features and logits of every clip)
//!      --> sets (who left, who stayed) --> said --> single (one run), relearning, shadows, pooled (over seeds)
//!      --> tables
//! ```
//!
//! `memorised` finds, before anybody leaves, the clips that heads memorise most.

mod config;
mod error;
mod klom;
mod memorised;
mod models;
mod pooled;
mod references;
mod relearned;
mod relearning;
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
pub use memorised::{MemorisedConfig, MemorisedSummary, most_memorised};
pub use run::run;
pub use summary::AuditSummary;
