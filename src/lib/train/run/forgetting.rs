//! `--forget`: clips that are about to be withdrawn. A run goes on from another one's tasks, and at
//! the start of the first task that it trains itself the clips leave: the weights unlearn what they
//! saw of them, and no list has them from there on.

use std::collections::BTreeSet;
use std::path::Path;

use tempfile::TempDir;

use super::plan::Plan;
use super::rollback::{FORGET_AT, method};
use crate::artifact::{ArtifactError, hash_file};
use crate::clip::Split;
use crate::parquet_file::Provenance;
use crate::run_record::{RunHead, RunRecord, positions, read_progress};
use crate::tables::{Availability, AvailabilityRow, SeenRow, Use};
use crate::train::TrainError;
use crate::train::settings::{Settings, TrainConfig};
use crate::train::stages::withdraws;
use crate::train::task_sequence::{LeftBefore, TaskSequence};
use crate::train::withdrawals;
use crate::withdrawn::{Withdrawn, read_ids};

/// The role of the list of clips to forget, among the inputs.
const FORGET: &str = "forget";

/// The clips that a run forgets, and from when on.
pub(super) struct Forgetting {
    /// The run's start with lists in which the clips have left, and with the task at which they do.
    pub(super) config: TrainConfig,
    clips: BTreeSet<String>,
    /// Those of them that the tasks before trained on and whose frames are not read any more.
    gone: Vec<SeenRow>,
    hash: String,
}

impl Forgetting {
    /// What `config`, whose run directory is held, asks to be forgotten, and the folder of its lists,
    /// which is needed until the run has a copy; none where it asks for nothing.
    ///
    /// # Errors
    /// When a file cannot be read, the run to go on from has no task that could be taken over, or
    /// the method must read clips that have been withdrawn already.
    pub(super) fn of(
        config: &TrainConfig,
        plan: &Plan,
        withdrawn: &Withdrawn,
    ) -> Result<Option<(Self, TempDir)>, TrainError> {
        let (Some(list), Some(old)) = (&config.forget, &config.from_run) else {
            return Ok(None);
        };
        let clips = read_ids(list)?;
        let record = RunRecord::read(old)?.ok_or_else(|| TrainError::NotARun {
            folder: old.clone(),
        })?;
        let at = at(config, plan, &record)?;
        let mut tasks = Availability::read(&config.availability.join(AvailabilityRow::FILE))?;
        let seen = withdrawals::seen_of(&|clip| clips.contains(clip), old, &record.progress)?;
        let epochs: Vec<u32> = record.progress.tasks.iter().map(|t| t.epochs).collect();
        let seen = seen.into_iter().filter_map(|row| until(row, at, &epochs));
        let seen: Vec<SeenRow> = seen.filter(|row| row.r#use == Use::Train).collect();
        let readable = readable(&tasks, at);
        let is_gone = |row: &SeenRow| {
            withdrawn.contains(&row.clip_id) || !readable.contains(&row.clip_id[..])
        };
        let gone: Vec<SeenRow> = seen.iter().filter(|row| is_gone(row)).cloned().collect();
        check(config, &gone, at)?;
        tracing::info!(
            "{} of the {} clips of {} were trained on before task {at}, where they leave",
            seen.len(),
            clips.len(),
            list.display()
        );
        tasks.leave(&clips, at);
        let lists = tempfile::Builder::new()
            .prefix(".incdec-")
            .tempdir_in(&config.out);
        let lists = lists.map_err(ArtifactError::at("create a folder in", &config.out))?;
        tasks.publish(lists.path(), &config.availability)?;
        let settings = Settings {
            forget_at: Some(at),
            ..config.settings.clone()
        };
        let forgetting = Self {
            config: TrainConfig {
                availability: lists.path().to_owned(),
                settings,
                ..config.clone()
            },
            hash: hash_file(list)?,
            clips,
            gone,
        };
        Ok(Some((forgetting, lists)))
    }

    /// Says in `data` what the lists do not: where the run's clips come from, and that some have
    /// left without leaving frames.
    pub(super) fn note(&self, data: &mut TaskSequence) {
        data.inputs.insert(FORGET.to_owned(), self.hash.clone());
        data.left_before = LeftBefore {
            task: self.config.settings.forget_at.unwrap_or_default(),
            clips: self.gone.len(),
        };
    }

    /// Whether the run forgets a clip: it has not left for what comes before.
    pub(super) fn has(&self, clip: &str) -> bool {
        self.clips.contains(clip)
    }

    /// What tasks that are taken over saw of clips that their lists do not have any more.
    pub(super) fn gone(&self) -> &[SeenRow] {
        &self.gone
    }
}

/// The clips that tasks before `at` train on and whose frames are there.
fn readable(tasks: &Availability, at: usize) -> BTreeSet<&str> {
    let is_there = |row: &&AvailabilityRow| {
        row.usable
            && row.split == Split::Train
            && row.position.is_some()
            && usize::try_from(row.task).is_ok_and(|task| task < at)
    };
    let rows = tasks.rows.iter().filter(is_there);
    rows.map(|row| &row.clip_id[..]).collect()
}

/// What the tasks before `at` of a run with these epochs saw of a clip that it saw; none where they
/// did not.
fn until(mut row: SeenRow, at: usize, epochs: &[u32]) -> Option<SeenRow> {
    let [first, last] = [row.first_task, row.last_task].map(|t| usize::try_from(t).unwrap_or(0));
    if first >= at {
        return None;
    }
    for task in at..=last {
        row.passes -= epochs.get(task).map_or(0, |epochs| i64::from(*epochs));
    }
    row.last_task = i32::try_from(last.min(at - 1)).unwrap_or(i32::MAX);
    Some(row)
}

/// The task at whose start the clips leave: the one that is asked for, or that the run was begun
/// with; else the first that the run of `record` has not done, or its last where it has done all,
/// but not behind one at which another method would have made it unlearn something.
fn at(config: &TrainConfig, plan: &Plan, record: &RunRecord) -> Result<usize, TrainError> {
    let data = plan.tasks(config)?;
    let done = record.progress.tasks.len().min(data.tasks.len() - 1);
    let ours = Provenance::of(&config.settings).settings;
    let mut last = done;
    if method(&record.head.settings) != method(&ours) {
        last = (0..done)
            .find(|&task| withdraws(&data, task))
            .unwrap_or(done);
    }
    let begun = RunHead::read(&config.out)?.and_then(|head| {
        let task = head.settings.get(FORGET_AT)?.as_u64()?;
        usize::try_from(task).ok()
    });
    let at = config.settings.forget_at.or(begun).unwrap_or(last);
    if at > last && begun != Some(at) {
        return Err(TrainError::Setting {
            flag: "--forget-at",
            why: format!("{at} lies behind task {last}, the last that can go on from --from-run"),
        });
    }
    if at == 0 {
        return Err(TrainError::NotTakenOver {
            folder: config.from_run.clone().unwrap_or_default(),
            why: "nothing is forgotten before its first task; `incdec-tasks --without` deals tasks in which clips were never there".into(),
        });
    }
    Ok(at)
}

/// Refuses a method that reads what it makes the model forget, where that is not read any more and
/// the run has not unlearned yet.
fn check(config: &TrainConfig, gone: &[SeenRow], at: usize) -> Result<(), TrainError> {
    let method = config.settings.unlearn;
    if gone.is_empty() || !method.reads_what_leaves() || has_unlearned(&config.out, at)? {
        return Ok(());
    }
    Err(TrainError::Setting {
        flag: "--forget",
        why: format!(
            "the frames of {} of its clips are not read any more, because they have been withdrawn; --unlearn {method} reads them, retrain, rollback, finetune, l1-sparse and ct do not",
            gone.len()
        ),
    })
}

/// Whether the run in `out` has begun to train task `at`, or has done it.
fn has_unlearned(out: &Path, at: usize) -> Result<bool, TrainError> {
    let progress = read_progress(out)?.unwrap_or_default();
    let under_way = positions(out)?;
    Ok(progress.tasks.len() > at || under_way.iter().any(|position| position.task == at))
}
