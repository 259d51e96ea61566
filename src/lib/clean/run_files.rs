//! What a run directory holds of its run's making, by its record.

use std::path::{Component, Path};

use super::proof::{Candidate, Proof};
use crate::artifact::ArtifactError;
use crate::parquet_file::Table;
use crate::run_record::{
    LOG_FILE, MODEL_CARD_FILE, PROGRESS_FILE, Position, RUN_FILE, RunProgress, SETTINGS_FILE,
    positions, read_progress, rollback_folder,
};
use crate::tables::{
    AvailabilityRow, HistoryRow, MetricRow, PREDICTIONS, PredictionRow, ScheduleRow, SeenRow,
    TimingRow,
};

/// What no promise of equal bytes covers, and so no hash, beside the log.
const EVENT_FILE: &str = "tensorboard/events.out.tfevents.0.incdec";

/// The files of the run in `folder`, the documents that describe it last; first those of the runs
/// within it that trained again what came before a task.
///
/// # Errors
/// When a record cannot be read at all.
pub(super) fn run_files(folder: &Path) -> Result<Vec<Candidate>, ArtifactError> {
    let mut found = Vec::new();
    // The task under way may have gone back, too.
    let tasks = read_progress(folder)?.unwrap_or_default().tasks.len() + 1;
    for again in (0..tasks).map(|task| folder.join(rollback_folder(task))) {
        if again.is_dir() {
            found.extend(files_of_one(&again)?);
        }
    }
    found.extend(files_of_one(folder)?);
    Ok(found)
}

/// The files of the run in `folder` alone.
fn files_of_one(folder: &Path) -> Result<Vec<Candidate>, ArtifactError> {
    let progress = read_progress(folder)?.unwrap_or_default();
    let under_way = positions(folder)?;
    let under_way = under_way.iter().map(Position::file);
    let under_way = under_way.map(|name| Candidate {
        path: folder.join(name),
        proof: Proof::Checkpoint,
    });
    let found = hashed(&progress)
        .map(|(name, hash)| (name.as_str(), Proof::Hash(hash.clone())))
        .chain([
            (HistoryRow::FILE, Proof::Table(HistoryRow::FORMAT)),
            (MetricRow::FILE, Proof::Table(MetricRow::FORMAT)),
            (PredictionRow::FILE, Proof::Table(PREDICTIONS)),
            (TimingRow::FILE, Proof::Table(TimingRow::FORMAT)),
            (SeenRow::FILE, Proof::Table(SeenRow::FORMAT)),
            (MODEL_CARD_FILE, Proof::Card),
            (LOG_FILE, Proof::Log),
            (EVENT_FILE, Proof::Events),
        ])
        .chain(copies(&progress))
        .chain([RUN_FILE, SETTINGS_FILE, PROGRESS_FILE].map(|name| (name, Proof::Document)))
        .map(|(name, proof)| Candidate {
            path: folder.join(name),
            proof,
        });
    Ok(under_way.chain(found).collect())
}

/// The files whose hashes the progress holds, but for the settings, which tell whose they are and
/// go later.
fn hashed(progress: &RunProgress) -> impl Iterator<Item = (&String, &String)> {
    let of_tasks = progress
        .tasks
        .iter()
        .filter_map(|task| task.hashes.as_ref());
    let all = of_tasks
        .flat_map(|hashes| &hashes.files)
        .chain(&progress.files);
    all.filter(|(name, _)| *name != SETTINGS_FILE && is_within(name))
}

/// The copies of the tasks' tables, where no task is done that would have their hashes.
fn copies(progress: &RunProgress) -> Vec<(&'static str, Proof)> {
    if !progress.files.is_empty() {
        return Vec::new();
    }
    vec![
        (AvailabilityRow::FILE, Proof::Table(AvailabilityRow::FORMAT)),
        (ScheduleRow::FILE, Proof::Table(ScheduleRow::FORMAT)),
    ]
}

/// Whether a name leads nowhere but into the folder that it is joined to.
fn is_within(name: &str) -> bool {
    Path::new(name)
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
}
