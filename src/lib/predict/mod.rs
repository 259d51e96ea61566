//! A checkpoint applied to videos: the probability of each category.
//!
//! A video goes the way that the clips of the checkpoint's own run went: decoded by the same code
//! at the same rate and size, each frame through the shards' codec in memory, then cropped and
//! normalised as at evaluation. A checkpoint's header says how
//! ([`header`](crate::model::checkpoint::header)); what it does not say, as in a file from
//! elsewhere, flags say, and it is logged what was taken.
//!
//! | file | what it is for |
//! |---|---|
//! | `config` | what is asked for |
//! | `recipe` | from the header and the flags: how a video becomes what the model sees |
//! | `weights` | from a run directory or a file: the model, its recipe and its categories |
//! | `windows` | which frames of a video each of its clips has (pure) |
//! | `clips` | decoded frames as a source of clips |
//! | `predictor`, `failed` | one video after another; those without an answer |

mod clips;
mod config;
mod error;
mod failed;
mod predictor;
mod recipe;
mod weights;
mod windows;

pub use config::{GivenDecoding, GivenNetwork, PredictConfig};
pub use error::PredictError;
pub use failed::FailedVideo;
pub use predictor::{ClipPrediction, PredictSummary, Predictor};
pub use recipe::{NetworkSettings, Recipe};
