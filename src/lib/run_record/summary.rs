//! `run.json`: what a run comes to.

use std::path::Path;

use serde::{Deserialize, Serialize};

use super::{Machine, RUN_FILE, RunErasure, RunRecordError, document};

/// The summary of a complete run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunSummary {
    /// [`RunSummary::FORMAT`].
    pub format: String,
    /// [`RunSummary::VERSION`].
    pub version: u32,
    /// The run's id; empty in a directory of a version before.
    pub run_id: String,
    /// How the model was updated.
    pub approach: String,
    /// How availability changed.
    pub scenario: String,
    /// Seed of the run's random choices.
    pub seed: u64,
    /// Categories in class order.
    pub categories: Vec<String>,
    /// Clips whose frames could not be read.
    pub skipped_clips: Vec<String>,
    /// The tasks in order.
    pub tasks: Vec<TaskFigures>,
    /// How much of the weights to start from was taken; absent where it was all, or there were
    /// none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pretrained: Option<String>,
    /// What was erased from the run since; its figures stay as they were judged.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub erasures: Vec<RunErasure>,
    /// What it was computed on, and with which libraries; absent in a directory of a version before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub machine: Option<Machine>,
    /// The commit of this program that completed it; absent where the build did not know it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    /// Means over the tasks; of forgetting, over those after the first.
    #[serde(flatten)]
    pub figures: RunFigures,
}

impl RunSummary {
    /// Reads the summary of the run in `folder`; `None` where the run is not complete.
    ///
    /// # Errors
    /// When it cannot be read, or is not what was written.
    pub fn read(folder: &Path) -> Result<Option<Self>, RunRecordError> {
        let document = document::read(&folder.join(RUN_FILE))?;
        Ok(document.map(|document| document.value))
    }

    /// The commit that this program was built from, as `make` tells the compiler.
    pub const COMMIT: Option<&'static str> = match option_env!("INCDEC_COMMIT") {
        Some(commit) if !commit.is_empty() => Some(commit),
        // A source that lies in no repository.
        _ => None,
    };

    /// What `run.json` says that it is.
    pub const FORMAT: &'static str = "incdec.run-summary";
    /// Version of the layout of `run.json`.
    pub const VERSION: u32 = 1;
}

/// A task in `run.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskFigures {
    /// The task, from 0.
    pub task: usize,
    /// The epoch whose weights are kept.
    pub best_epoch: u32,
    /// Epochs trained.
    pub epochs: u32,
    /// Why it ended: `epochs`, `early stop` or `rate spent`.
    pub ended_by: String,
    /// Listed clips without frames.
    pub unusable_clips: usize,
    /// Its figures on the test set.
    #[serde(flatten)]
    pub figures: RunFigures,
}

/// The figures that a run is summed up in, 0..1, on the test set; none where undefined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RunFigures {
    /// Mean average precision.
    pub mean_ap: Option<f64>,
    /// What was forgotten of it.
    pub mean_ap_forgetting: Option<f64>,
    /// Mean average precision, each class weighted by its clips.
    pub mean_ap_weighted: Option<f64>,
    /// What was forgotten of it.
    pub mean_ap_weighted_forgetting: Option<f64>,
    /// Accuracy.
    pub accuracy: Option<f64>,
    /// What was forgotten of it.
    pub accuracy_forgetting: Option<f64>,
}

impl RunFigures {
    /// The figures of which `of` gives value and forgetting by the metric's name.
    #[must_use]
    pub fn of(of: impl Fn(&str) -> [Option<f64>; 2]) -> Self {
        let [mean_ap, mean_ap_forgetting] = of("mean_ap");
        let [mean_ap_weighted, mean_ap_weighted_forgetting] = of("mean_ap_weighted");
        let [accuracy, accuracy_forgetting] = of("accuracy");
        Self {
            mean_ap,
            mean_ap_forgetting,
            mean_ap_weighted,
            mean_ap_weighted_forgetting,
            accuracy,
            accuracy_forgetting,
        }
    }
}
