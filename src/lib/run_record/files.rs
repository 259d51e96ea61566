//! What the files of a run directory are called.

use std::path::Path;

/// What happened when, as JSON lines; outside every promise of equal bytes.
pub const LOG_FILE: &str = "log.jsonl";
/// What can change the result, and the machine.
pub const SETTINGS_FILE: &str = "settings.json";
/// Which tasks are done.
pub const PROGRESS_FILE: &str = "progress.json";
/// The summary; marks the run complete.
pub const RUN_FILE: &str = "run.json";

/// Folder of the weights.
pub const CHECKPOINTS: &str = "checkpoints";

/// Where the best weights of `task` lie within a run directory.
#[must_use]
pub fn checkpoint_file(task: usize) -> String {
    format!("{CHECKPOINTS}/task-{task}.safetensors")
}

/// Where the weights lie that had unlearned what `task` withdraws, before they were trained on.
#[must_use]
pub fn unlearned_file(task: usize) -> String {
    format!("{CHECKPOINTS}/task-{task}-unlearned.safetensors")
}

/// The folder within a run directory of what is trained again before tasks that withdraw something.
pub const ROLLBACK: &str = "rollback";

/// Where the run lies, within a run directory, that trains again what came before `task` without what
/// has departed by then.
#[must_use]
pub fn rollback_folder(task: usize) -> String {
    format!("{ROLLBACK}/task-{task}")
}

/// What the names of approaches' states end in.
const STATE_ENDING: &str = "-state.safetensors";

/// Where the approach's state after `task` lies within a run directory.
#[must_use]
pub fn state_file(task: usize) -> String {
    format!("{CHECKPOINTS}/task-{task}{STATE_ENDING}")
}

/// Whether a file is called as an approach's state is.
#[must_use]
pub fn is_state(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().ends_with(STATE_ENDING)
}
