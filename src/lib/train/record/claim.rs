//! Who may work in a run directory: a new run, or the same run under the same settings, on the same
//! machine.

use std::fs;
use std::path::Path;

use super::extend;
use super::seed_outputs::names::{START_FILES, SUBCATEGORIES};
use crate::artifact::ArtifactError;
use crate::run_record::{self, LOG_FILE, PROGRESS_FILE, RUN_FILE, RunHead, positions};
use crate::tables::{AvailabilityRow, HistoryRow, ScheduleRow};
use crate::train::TrainError;
use crate::withdrawn::WITHDRAWN_FILE;

/// Version of the run directory. From 2 on, dropout draws from a stream for each micro-batch;
/// before, from one for each epoch, so that the same settings gave other results.
pub(super) const VERSION: u32 = 2;

/// Writes `settings.json` into a new run directory; in one that has it, checks that it is the same
/// run, and extends it where that is asked for. The settings of a start that finished no epoch bind
/// nobody: others replace them, so that a failed start needs no other directory.
pub(super) fn claim(folder: &Path, ours: &RunHead) -> Result<(), TrainError> {
    let Some(theirs) = RunHead::read(folder)? else {
        fs::create_dir_all(folder).map_err(ArtifactError::at("create folder", folder))?;
        let strangers = fs::read_dir(folder)
            .map_err(ArtifactError::at("list", folder))?
            .filter_map(Result::ok)
            .any(|entry| {
                !entry.file_name().to_string_lossy().starts_with(['.'])
                    && entry.file_name() != LOG_FILE
            });
        if strangers {
            return Err(TrainError::NotARun {
                folder: folder.to_owned(),
            });
        }
        return Ok(ours.write(folder)?);
    };
    let begun = [HistoryRow::FILE, PROGRESS_FILE, RUN_FILE]
        .iter()
        .any(|name| folder.join(name).exists())
        || !positions(folder)?.is_empty();
    let complete = folder.join(RUN_FILE).exists();
    let extended = theirs.extension != ours.extension;
    if theirs.version != VERSION && begun && (!complete || extended) {
        return Err(TrainError::OtherVersion {
            folder: folder.to_owned(),
            version: theirs.version,
            expected: VERSION,
        });
    }
    // A complete run is left as it is, whichever version trained it.
    let differences = RunHead {
        version: VERSION,
        tasks: if extended { ours.tasks } else { theirs.tasks },
        ..since_withdrawals(folder, &theirs)?
    }
    .differences(&lasting(ours));
    if (begun || extended) && !differences.is_empty() {
        return Err(TrainError::OtherRun {
            folder: folder.to_owned(),
            differences,
        });
    }
    if extended {
        same_machine(folder, &theirs, ours)?;
        return extend::extend(folder, &theirs, ours);
    }
    let machines = theirs.machine.as_ref().zip(ours.machine.as_ref());
    let moved = machines.is_some_and(|(there, here)| !there.differences(here).is_empty());
    let renewed = theirs.version != VERSION;
    if begun || (differences.is_empty() && !moved && !renewed) {
        return Ok(());
    }
    tracing::info!(
        "{}: a start under other settings finished no epoch here and is replaced",
        folder.display()
    );
    remove_start(folder)?;
    Ok(ours.write(folder)?)
}

/// A run's head with the inputs as they are after what was erased from them.
fn since_withdrawals(folder: &Path, theirs: &RunHead) -> Result<RunHead, TrainError> {
    let progress = run_record::read_progress(folder)?.unwrap_or_default();
    Ok(lasting(&RunHead {
        inputs: progress.inputs_now(&theirs.inputs),
        ..theirs.clone()
    }))
}

/// A run's head without the list of withdrawn clips, which grows: whether a run may go on is asked
/// clip by clip.
fn lasting(head: &RunHead) -> RunHead {
    let mut head = head.clone();
    head.inputs.remove(WITHDRAWN_FILE);
    head
}

/// Removes what a start that finished no epoch left beside its settings.
fn remove_start(folder: &Path) -> Result<(), TrainError> {
    let copies = [AvailabilityRow::FILE, ScheduleRow::FILE].into_iter();
    let files = copies.chain(START_FILES);
    for path in files.map(|name| folder.join(name)).filter(|p| p.exists()) {
        fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
    }
    let folder = folder.join(SUBCATEGORIES);
    if folder.exists() {
        fs::remove_dir_all(&folder).map_err(ArtifactError::at("remove", &folder))?;
    }
    Ok(())
}

/// Checks that an unfinished run goes on where it began. One of a version before, which does not
/// know, goes on here.
pub(super) fn same_machine(
    folder: &Path,
    theirs: &RunHead,
    ours: &RunHead,
) -> Result<(), TrainError> {
    let (Some(there), Some(here)) = (&theirs.machine, &ours.machine) else {
        return Ok(ours.write(folder)?);
    };
    let differences = there.differences(here);
    if differences.is_empty() {
        return Ok(());
    }
    Err(TrainError::OtherMachine {
        folder: folder.to_owned(),
        differences,
    })
}
