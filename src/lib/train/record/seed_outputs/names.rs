//! What the seed calls its files.

/// What is written before the first epoch.
pub(super) const PARAMETERS_FILE: &str = "parameters.csv";
/// The last of the seed's files.
pub(in crate::train::record) const SUMMARY_FILE: &str = "summary.csv";
/// The weights that the running task began with.
pub(super) const START_FILE: &str = "_model.pth";
/// What is written before a run's first epoch is done, beside [`SUBCATEGORIES`].
pub(in crate::train::record) const START_FILES: [&str; 2] = [PARAMETERS_FILE, START_FILE];
/// Folder of the subcategories of each task.
pub(in crate::train::record) const SUBCATEGORIES: &str = "subcategories_task";
/// The folders of the seed's files within the run directory.
pub(in crate::train::record) const FOLDERS: [&str; 5] = [
    SUBCATEGORIES,
    "logger",
    "validation_logger",
    "confusion_matrices",
    "error_analysis",
];
