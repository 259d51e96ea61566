//! A run that goes beyond what it was begun for: more epochs of its last task, or the tasks that
//! were left out.
//!
//! Its settings and id stay; `settings.json` says beside them by what it was extended. What is done
//! must be what a run with the longer settings would have done, too.

use std::fs;
use std::path::Path;

use serde_json::Value;

use super::tensorboard::{self, EventLog};
use crate::artifact::ArtifactError;
use crate::run_record::{
    Extension, PROGRESS_FILE, Part, RUN_FILE, RunHead, RunProgress, RunRecord, TaskOutcome,
    remove_positions,
};
use crate::train::TrainError;
use crate::train::settings::TrainConfig;

/// The flags that ask for it.
const EPOCHS: &str = "--extend-epochs";
const TASKS: &str = "--extend-tasks";
/// Why a task ends that more epochs would have changed.
pub(in crate::train) const LAST_EPOCH: &str = "epochs";

/// By what the run of `config` goes beyond its settings: by what its directory says, and by what is
/// asked for now.
///
/// # Errors
/// When there is no run to extend, or one that [`TASKS`] does not apply to.
pub(in crate::train) fn wanted(config: &TrainConfig) -> Result<Extension, TrainError> {
    let (folder, asked) = (&config.out, config.extend);
    let Some(head) = RunHead::read(folder)? else {
        return match flag(asked) {
            None => Ok(asked),
            Some(flag) => refuse(folder, flag, "there is no run in it"),
        };
    };
    let there = head.extension;
    let is_cut_short = head.settings.get("stop_after_first_task") == Some(&Value::Bool(true));
    if asked.tasks && !is_cut_short {
        return refuse(
            folder,
            TASKS,
            "--stop-after-first-task did not cut that run short",
        );
    }
    if asked.tasks && !there.tasks && there.epochs.is_some() {
        let why = format!("{EPOCHS} has given its task more epochs than those left out would get");
        return refuse(folder, TASKS, why);
    }
    Ok(Extension {
        epochs: asked.epochs.or(there.epochs),
        tasks: asked.tasks || there.tasks,
    })
}

/// Extends the run in `folder` from what `theirs` says to what `ours` says; both are of the same
/// run. Killed at any instant, it leaves a run that goes on.
///
/// # Errors
/// When a task that is done would have been another, the longer settings leave nothing to train, or
/// a file is not what the run wrote.
pub(super) fn extend(folder: &Path, theirs: &RunHead, ours: &RunHead) -> Result<(), TrainError> {
    let record = RunRecord::read(folder)?;
    let mut progress = record.map(|record| record.progress).unwrap_or_default();
    if ours.extension.tasks != theirs.extension.tasks && ours.tasks <= theirs.tasks {
        return refuse(folder, TASKS, "no task was left out of it");
    }
    if let Some(epochs) = ours.extension.epochs
        && ours.extension.epochs != theirs.extension.epochs
    {
        check_epochs(folder, theirs, &progress.tasks, epochs)?;
        if progress.tasks.len() == theirs.tasks {
            reopen_last(folder, &mut progress)?;
        }
        // Behind the epochs a checkpoint holds the best weights alone.
        remove_positions(folder, |position| position.part < Part::BestValidation)?;
    }
    // From here on it is a run that is not complete, of whose settings no hash is kept until its
    // next task is done.
    let summary = folder.join(RUN_FILE);
    if summary.exists() {
        fs::remove_file(&summary).map_err(ArtifactError::at("remove", &summary))?;
    }
    if folder.join(PROGRESS_FILE).exists() {
        progress.files.clear();
        progress.write(folder)?;
    }
    // Inputs from which something was erased since have other hashes; the run stays the same.
    let extended = RunHead {
        run_id: theirs.run_id.clone(),
        inputs: theirs.inputs.clone(),
        ..ours.clone()
    };
    Ok(extended.write(folder)?)
}

/// Whether `epochs` epochs change the last task of `head`'s run and no other.
fn check_epochs(
    folder: &Path,
    head: &RunHead,
    done: &[TaskOutcome],
    epochs: u32,
) -> Result<(), TrainError> {
    let most = head.settings.get("epochs").and_then(Value::as_u64);
    let most = head.extension.epochs.map(u64::from).or(most).unwrap_or(0);
    if u64::from(epochs) <= most {
        return refuse(
            folder,
            EPOCHS,
            format!("its tasks have {most} epochs already"),
        );
    }
    let before = head.tasks.saturating_sub(1);
    if done.len() < before {
        let next = done.len();
        let why = format!("task {next} is not done, and not the last: more than one would change");
        return refuse(folder, EPOCHS, why);
    }
    for (task, outcome) in done.iter().enumerate() {
        let ran_out = outcome.ended_by == LAST_EPOCH;
        if task < before && ran_out {
            let why = format!("task {task} ended with its last epoch: it would change, too");
            return refuse(folder, EPOCHS, why);
        }
        if task == before && !ran_out {
            let why = format!("its last task ended by itself ({})", outcome.ended_by);
            return refuse(folder, EPOCHS, why);
        }
    }
    Ok(())
}

/// Takes the last task, which is done, as one that is not: it is trained anew, since nothing is
/// kept of its optimizer.
fn reopen_last(folder: &Path, progress: &mut RunProgress) -> Result<(), TrainError> {
    progress.tasks.pop();
    let task = progress.tasks.len();
    tracing::info!(
        "{}: task {task} is trained anew with more epochs",
        folder.display()
    );
    let events = folder.join(tensorboard::FOLDER);
    progress.tensorboard_bytes = EventLog::bytes_before_task(&events, task)?;
    Ok(())
}

/// The flag that asks for an extension, if it is one.
fn flag(asked: Extension) -> Option<&'static str> {
    let epochs = asked.epochs.map(|_| EPOCHS);
    epochs.or(asked.tasks.then_some(TASKS))
}

fn refuse<T>(folder: &Path, flag: &'static str, why: impl Into<String>) -> Result<T, TrainError> {
    Err(TrainError::CannotExtend {
        folder: folder.to_owned(),
        flag,
        why: why.into(),
    })
}
