//! The features stage: what a frozen backbone makes of every clip, in one table.
//!
//! ```text
//! checkpoint + shards --> the backbone in evaluation mode, no augmentation --> features.parquet
//! ```
//!
//! A feature is a function of the checkpoint's bytes, of the transform from stored frames to what
//! the network sees, and of the clip's stored bytes. The table carries the hashes of the first two
//! and, in each row, that of the third, so that a later call computes only what is new or has
//! changed, and drops the rows of clips that are stored no more: erasing a clip's frames and
//! running the stage again erases its feature. Each clip goes through the network alone; a feature
//! therefore does not depend on when, or beside which other clips, it was computed.
//!
//! | file | what it is for |
//! |---|---|
//! | `config` | what is asked for |
//! | `transform` | from stored frames to what a network makes of them |
//! | `backbone` | the network of a checkpoint, and how it wants its frames |
//! | `run` | what is kept, what is computed, what is dropped |

mod backbone;
mod config;
mod error;
mod run;
mod transform;

pub use config::{FeaturesConfig, GivenTransform};
pub use error::FeaturesError;
pub use run::{FeaturesSummary, refuse_withdrawn, run};
pub use transform::Transform;
