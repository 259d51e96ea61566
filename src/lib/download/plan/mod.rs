//! What has to be fetched.
//!
//! - `sources`: `sources.toml`, where each dataset lies; `wanted`: the clips that are asked for, by
//!   `classes` among other filters.
//! - `choose`: which archives are read for them, by `index` (what the source says of itself) and
//!   `probe` (first headers); `planned`: the plan that comes of it.
//! - `text`: a plan as it is printed.

mod choose;
mod classes;
mod index;
mod planned;
mod probe;
mod sources;
mod text;
mod wanted;

pub(super) use choose::plan;
pub use planned::{Plan, PlannedArchive, WantedClip};
pub(super) use sources::{Dataset, FrameFolder, MAX_ANNOTATIONS_BYTES, PublishedLabels, Sources};
pub use text::PlanText;
pub(super) use wanted::Wanted;
