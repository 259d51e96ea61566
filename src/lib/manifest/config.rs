//! The settings of the manifest stage.

use std::path::PathBuf;

/// The stage's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestConfig {
    /// The folder of `classes.csv` and the three label tables.
    pub labels: PathBuf,
    /// The folder of shards with their `index.parquet`.
    pub shards: PathBuf,
    /// The manifest to write.
    pub out: PathBuf,
    /// How many findings of each kind the summary lists; the rest is counted.
    pub listed: usize,
}

/// Findings of each kind that the summary lists by default.
pub const DEFAULT_LISTED: usize = 10;
