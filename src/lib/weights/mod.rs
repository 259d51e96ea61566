//! Published weights: which there are, where from, under what terms; fetched and checked.
//!
//! Each file is pinned by the id that git gives its content (SHA-1 of `blob <size>\0` and the
//! bytes): the same that the repository's listing shows, so that a reader can compare. What was
//! fetched when a fetch broke or was killed is kept beside the target, and the next goes on there.
//! By the same id a file is known that training starts from: the model is then built as the weights
//! want it ([`ModelChoice`]).

mod blob;
mod error;
mod fetch;
#[cfg(feature = "torch")]
mod model_choice;
mod published;

pub use blob::blob_id;
pub use error::WeightsError;
pub use fetch::{Fetched, WeightsConfig, fetch};
#[cfg(feature = "torch")]
pub use model_choice::ModelChoice;
pub use published::{PUBLISHED, PublishedWeights, held_in, named};
