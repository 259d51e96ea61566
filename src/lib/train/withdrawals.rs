//! Clips that have been withdrawn: training begins on no shard that still holds one, and goes on
//! with no run that saw one.

use std::path::Path;

use super::TrainError;
use super::settings::{OnTainted, TrainConfig};
use crate::run_record::{RunProgress, TaskOutcome, positions, seen_by};
use crate::shard::Shards;
use crate::tables::SeenRow;
use crate::withdrawn::Withdrawn;

/// Reads the list of `config`; an empty one where it names none.
///
/// # Errors
/// When it is no list.
pub(super) fn read(config: &TrainConfig) -> Result<Withdrawn, TrainError> {
    let list = config.withdrawn.as_deref().map(Withdrawn::read);
    Ok(list.transpose()?.unwrap_or_default())
}

/// Refuses shards that hold the frames of a withdrawn clip, whether their index names them or not.
///
/// # Errors
/// [`TrainError::WithdrawnStored`], and when the index cannot be read.
pub(super) fn check_shards(withdrawn: &Withdrawn, config: &TrainConfig) -> Result<(), TrainError> {
    if withdrawn.is_empty() {
        return Ok(());
    }
    let shards = Shards::at(&config.shards)?;
    let strays = shards.strays()?;
    let named = shards.index().iter().filter(|row| row.shard.is_some());
    let stored = named.map(|row| &row.clip_id);
    let mut held: Vec<&String> = stored
        .chain(strays.iter().map(|stray| &stray.clip_id))
        .filter(|id| withdrawn.contains(id))
        .collect();
    held.sort_unstable();
    held.dedup();
    match held.first() {
        None => Ok(()),
        Some(first) => Err(TrainError::WithdrawnStored {
            folder: config.shards.shown(),
            clips: held.len(),
            first: config.log_ids.named(first),
        }),
    }
}

/// What the done tasks of a run saw of clips that have left, the first seen first.
///
/// # Errors
/// When a table of the run cannot be read.
pub(super) fn seen_of(
    has_left: &dyn Fn(&str) -> bool,
    folder: &Path,
    progress: &RunProgress,
) -> Result<Vec<SeenRow>, TrainError> {
    let mut seen = seen_by(folder, progress)?;
    seen.retain(|row| has_left(&row.clip_id));
    seen.sort_by_key(|row| row.first_task);
    Ok(seen)
}

/// Refuses to go on with a run that saw a clip that `has_left`, unless the settings say to.
///
/// # Errors
/// [`TrainError::Tainted`], and when a table of the run cannot be read.
pub(super) fn check_run(
    has_left: &dyn Fn(&str) -> bool,
    config: &TrainConfig,
    progress: &RunProgress,
) -> Result<(), TrainError> {
    if config.withdrawn.is_none() {
        return Ok(());
    }
    // A checkpoint inside a task has trained on that task's lists, too.
    let mut progress = progress.clone();
    if let Some(newest) = positions(&config.out)?.last() {
        let under_way = TaskOutcome {
            epochs: 1,
            ..TaskOutcome::default()
        };
        let tasks = progress.tasks.len().max(newest.task + 1);
        progress.tasks.resize(tasks, under_way);
    }
    let seen = seen_of(has_left, &config.out, &progress)?;
    let Some(first) = seen.first() else {
        return Ok(());
    };
    let mut clips: Vec<&str> = seen.iter().map(|row| row.clip_id.as_str()).collect();
    clips.sort_unstable();
    clips.dedup();
    let tainted = TrainError::Tainted {
        folder: config.out.clone(),
        clips: clips.len(),
        first: config.log_ids.named(&first.clip_id),
        task: usize::try_from(first.first_task).unwrap_or(0),
    };
    if config.on_tainted == OnTainted::Warn {
        tracing::warn!("{tainted}; going on all the same");
        return Ok(());
    }
    Err(tainted)
}
