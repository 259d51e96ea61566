//! The settings of the report.

use std::path::PathBuf;

/// Permutations of a test set's labels that measure the level of chance.
pub const PERMUTATIONS: usize = 1_000;
/// The most permutations that are made.
pub const MAX_PERMUTATIONS: usize = 10_000;
/// The quantile of those permutations that a claim of learning must exceed.
pub const CHANCE_QUANTILE: f64 = 0.99;
/// The most runs whose details the page shows; with more it leads to a page of each.
pub const MAX_DETAILED_RUNS: usize = 12;

/// The stage's settings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportConfig {
    /// The run directories; may be none where there is a ledger of withdrawals.
    pub runs: Vec<PathBuf>,
    /// The page to write.
    pub out: PathBuf,
    /// The table of figures over seeds to write, where wanted.
    pub table: Option<PathBuf>,
    /// The list of withdrawn clips. Default none.
    pub withdrawn: Option<PathBuf>,
    /// The ledger of withdrawals, for the page to say what was done about each request. Default none.
    pub withdrawals: Option<PathBuf>,
    /// The frame shards, where example frames of what was withdrawn or lost are wanted. Default
    /// none: people can be seen in frames.
    pub frames: Option<PathBuf>,
    /// Permutations of each test set's labels, and draws of its clips.
    pub permutations: usize,
}
