//! What is asked for.

use std::path::PathBuf;

use crate::choice::choice;
use crate::lock::Wait;
use crate::model::device::DeviceChoice;
use crate::shard::ShardSource;

/// What is asked for.
#[derive(Clone, Debug)]
pub struct AuditConfig {
    /// Run directories: what is judged, and what it is judged against, in any order.
    pub runs: Vec<PathBuf>,
    /// The frame shards that the runs were trained on.
    pub shards: ShardSource,
    /// The list of withdrawn clips, where there is one: nothing is judged while the shards hold one of them.
    pub withdrawn: Option<PathBuf>,
    /// The ledger of withdrawals, for the references that are trained.
    pub withdrawals: Option<PathBuf>,
    /// Feature tables of runs whose model is a head on features.
    pub features: Vec<PathBuf>,
    /// The folder to write the tables into; the features of every model are kept there, too.
    pub out: PathBuf,
    /// How references that are missing are trained; none to name them as missing.
    pub train_references: Option<TrainReferences>,
    /// Where models compute.
    pub device: DeviceChoice,
    /// Threads that decode clips.
    pub workers: usize,
    /// Threads of a tensor operation; `None` leaves it to libtorch.
    pub threads: Option<u16>,
    /// Shadow heads of a run, at least [`FEWEST_SHADOWS`](crate::audit::lira::FEWEST_SHADOWS).
    pub shadows: usize,
    /// The seed of the audit's own draws.
    pub seed: u64,
    /// Whether to wait where another program works in the folder.
    pub wait: Wait,
}

choice! {
    /// For which withdrawals of a run references are trained.
    #[derive(Default)]
    pub enum ReferenceTasks: "choice of tasks" {
        /// The last one.
        #[default]
        Last = "last",
        /// Each: a run of its own for every task that withdraws something.
        All = "all",
    }
}

/// How references are trained.
#[derive(Clone, Debug)]
pub struct TrainReferences {
    /// The program: incdec-train.
    pub program: PathBuf,
    /// For which withdrawals of a run.
    pub tasks: ReferenceTasks,
    /// Weights to start from, where the runs had some.
    pub pretrained: Option<PathBuf>,
}
