//! The settings of cleaning.

use std::path::PathBuf;

use crate::choice::choice;
use crate::lock::Wait;

choice! {
    /// The stages whose work can be taken away.
    pub enum Stage: "stage" {
        /// The clips that were downloaded, and their ledger.
        Download = "download",
        /// The shards and their index.
        Decode = "decode",
        /// The table of clips.
        Manifest = "manifest",
        /// The tables of tasks.
        Tasks = "tasks",
        /// A run.
        Train = "train",
        /// A run's page.
        Report = "report",
    }
}

/// Settings of cleaning.
#[derive(Clone, Debug)]
pub struct CleanConfig {
    /// Whose work goes.
    pub stage: Stage,
    /// Where it lies.
    pub folder: PathBuf,
    /// Where the clips of a download lie. Default `raw` in the folder.
    pub clips: Option<PathBuf>,
    /// Whether to list what would go, and to remove nothing.
    pub dry_run: bool,
    /// What to do where another program works in the folder.
    pub wait: Wait,
}
