//! Stage `manifest`: joins the label tables with the shards' index into `clips.parquet`, one row
//! for each labelled clip, and audits what it sees.
//!
//! The manifest is what the stages after it rely on: it says of every labelled clip where its
//! frames lie, or that there are none. It also carries the taxonomy among its settings, because the
//! rows cannot tell the order of the subcategories, which the splits depend on. [`audit`] is pure.
//! What takes long with many shards is looking into each for clips that the index does not name:
//! [`run_part`] does that for every n-th shard, and [`merge()`] makes of all parts what [`run()`] does.
//! Beside it lie `croissant.json`, which tells other programs what the table is, and `data_card.md`, which tells people.

pub mod audit;
mod card;
mod config;
mod croissant;
mod error;
mod file_audit;
mod joined;
mod merge;
mod parts;
mod run;
mod stored;
mod summary;

pub use card::DATA_CARD_FILE;
pub use config::{DEFAULT_LISTED, ManifestConfig};
pub use croissant::CROISSANT_FILE;
pub use error::ManifestError;
pub use merge::{MergeSummary, merge};
pub use parts::{PartSummary, StoredRow, parts_place, run_part};
pub use run::run;
pub use summary::{ManifestSummary, StatusCounts};
