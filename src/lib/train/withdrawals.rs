//! Clips that have been withdrawn: training begins on no shard that still holds one, and goes on
//! with no run that saw one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::TrainError;
use super::record::is_foreign;
use super::settings::{OnTainted, TrainConfig};
use crate::run_record::{Knowledge, Lineage, ROLLBACK, RunProgress, run_folders_in, seen_by};
use crate::shard::Shards;
use crate::tables::{self, SeenRow};
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
    let held = Shards::at(&config.shards)?.held_of(withdrawn)?;
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

/// Refuses to go on with a run whose weights, or those that they come from, saw a clip that `has_left`, unless the settings
/// say to.
///
/// # Errors
/// [`TrainError::Tainted`] or [`TrainError::TaintedStart`], and when a record or table of a run cannot be read.
pub(super) fn check_run(
    has_left: &dyn Fn(&str) -> bool,
    config: &TrainConfig,
) -> Result<(), TrainError> {
    if config.withdrawn.is_none() {
        return Ok(());
    }
    let table = config.features.as_deref();
    let backbone = table.map(tables::backbone_of).transpose()?.flatten();
    let (own, folders) = runs_around(config);
    // Of other runs' tables nobody asks: no run begins with a head.
    let lineage = Lineage::of(&folders, &|_| backbone.clone(), has_left)?;
    say_unrecorded(config, &own, &lineage)?;
    let known = lineage.newest(&own);
    let mut clips: Vec<(&String, &Knowledge)> = known.iter().collect();
    clips.sort_by_key(|(_, how)| how.first_task);
    let Some((first, how)) = clips.first() else {
        return Ok(());
    };
    let (clips, first) = (clips.len(), config.log_ids.named(first));
    let is_own = |how: &Knowledge| how.run.starts_with(&own);
    let start = config.pretrained.as_ref().or(config.features.as_ref());
    let tainted = match start.filter(|_| !known.values().all(is_own)) {
        Some(path) => TrainError::TaintedStart {
            path: path.clone(),
            clips,
            first,
        },
        None => TrainError::Tainted {
            folder: config.out.clone(),
            approach: config.settings.approach,
            clips,
            first,
            task: how.first_task,
        },
    };
    if config.on_tainted == OnTainted::Warn {
        tracing::warn!("{tainted}; going on all the same");
        return Ok(());
    }
    Err(tainted)
}

/// The run directory of `config`, and all in which a record of its weights may lie: itself, what it trained again and, where
/// it begins with weights, the runs beside it, beside that which wrote them and beside the one that it goes on from.
fn runs_around(config: &TrainConfig) -> (PathBuf, Vec<PathBuf>) {
    // One directory under two names would be two runs.
    let whole = |path: &Path| fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    let own = whole(&config.out);
    let mut folders = BTreeSet::from([own.clone()]);
    folders.extend(run_folders_in(&own.join(ROLLBACK)));
    if config.pretrained.is_some() || config.features.is_some() {
        // <runs>/<run>/checkpoints/<file>.
        let writer = config.pretrained.as_deref().map(whole);
        let writer = writer.and_then(|file| Some(file.parent()?.parent()?.to_owned()));
        let others = [
            Some(own.clone()),
            writer,
            config.from_run.as_deref().map(whole),
        ];
        for run in others.into_iter().flatten() {
            folders.extend(run.parent().map(run_folders_in).unwrap_or_default());
        }
    }
    (own, folders.into_iter().collect())
}

/// Says of weights that this run begins with, and of which no run is known that wrote them, that nobody knows here what they
/// have seen.
fn say_unrecorded(config: &TrainConfig, own: &Path, lineage: &Lineage) -> Result<(), TrainError> {
    let Some(path) = config.pretrained.as_ref().or(config.features.as_ref()) else {
        return Ok(());
    };
    let path = path.display();
    if config.pretrained.as_deref().map(is_foreign).transpose()? == Some(true) {
        tracing::info!(
            "{path}: no run of this program wrote these weights: what they have seen stands in no record"
        );
    } else if lineage.unrecorded().any(|(folder, _)| folder == own) {
        tracing::warn!(
            "{path}: the record of a run that its weights come from is not beside this run: whether they saw a withdrawn clip is not known here"
        );
    }
    Ok(())
}
