//! Who is judged, and against whom: found by settings and lists, not by names.

use super::AuditStageError;
use super::runs::AuditedRun;
use crate::train::Settings;
use crate::train::settings::{ApproachName, UnlearnName};
use crate::unlearning::sets::{change, path_lists};

/// A withdrawal that is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Case {
    /// The run that is judged, among the runs given.
    pub(super) run: usize,
    /// The task that withdraws.
    pub(super) task: usize,
    /// The run in which what has departed by then was never there.
    pub(super) path: usize,
    /// The run that was trained from the start on what is left.
    pub(super) scratch: Option<usize>,
}

/// Whether the run at `index` lacks a path and a scratch reference for what `task` withdraws.
pub(super) fn missing(runs: &[AuditedRun], index: usize, task: usize) -> [bool; 2] {
    let run = &runs[index];
    [
        position(runs, index, |other| is_path(run, other, task)).is_none(),
        position(runs, index, |other| is_scratch(run, other, task)).is_none(),
    ]
}

/// Every withdrawal among `runs` that has a path reference, by run and task.
///
/// # Errors
/// When nothing is withdrawn, or a run that withdraws something has no reference for its last
/// withdrawal.
pub(super) fn cases(runs: &[AuditedRun]) -> Result<Vec<Case>, AuditStageError> {
    let mut cases = Vec::new();
    let mut lacking = None;
    for (index, run) in runs.iter().enumerate() {
        let tasks = withdrawing_tasks(run);
        let Some(&last) = tasks.last().filter(|_| !run.settings.from_scratch) else {
            continue;
        };
        let mut found = tasks.iter().filter_map(|&task| {
            let path = position(runs, index, |other| is_path(run, other, task))?;
            let scratch = position(runs, index, |other| is_scratch(run, other, task));
            Some(Case {
                run: index,
                task,
                path,
                scratch,
            })
        });
        let before = cases.len();
        cases.extend(&mut found);
        if cases.get(before..).and_then(<[Case]>::last).map(|c| c.task) != Some(last) {
            lacking = lacking.or(Some((index, last)));
        }
    }
    let is_reference = |run: usize| cases.iter().any(|case| case.path == run);
    match lacking {
        // What lacks one may be a reference itself, in which clips come back.
        Some((run, task)) if !is_reference(run) => Err(AuditStageError::NoReference {
            run: runs[run].name.clone(),
            task,
        }),
        _ if cases.is_empty() => Err(AuditStageError::NoCandidate { runs: runs.len() }),
        _ => Ok(cases),
    }
}

/// The tasks of a run that withdraw something.
pub(super) fn withdrawing_tasks(run: &AuditedRun) -> Vec<usize> {
    let lists = run.train_ids(run.done - 1);
    let withdraws = |task: &usize| !change(&lists, *task).forget.is_empty();
    (1..run.done).filter(withdraws).collect()
}

fn position(
    runs: &[AuditedRun],
    but: usize,
    wanted: impl Fn(&AuditedRun) -> bool,
) -> Option<usize> {
    let mut others = runs.iter().enumerate().filter(|(i, _)| *i != but);
    others.find(|(_, run)| wanted(run)).map(|(i, _)| i)
}

/// Whether two runs are of one deal, and `other` has come as far as `task`.
fn comparable(run: &AuditedRun, other: &AuditedRun, task: usize) -> bool {
    run.scenario == other.scenario
        && run.tasks_seed == other.tasks_seed
        && other.done > task
        && run.features == other.features
}

/// Whether `other` is `run` with the lists in which what has departed by `task` was never there.
fn is_path(run: &AuditedRun, other: &AuditedRun, task: usize) -> bool {
    comparable(run, other, task)
        && other.settings.unlearn == UnlearnName::None
        && run.settings.without_unlearning() == other.settings
        && path_lists(&run.train_ids(task), task) == other.train_ids(task)
}

/// The settings of the scratch reference of a run with `settings`; none where its approach has none.
pub(super) fn scratch_settings(settings: &Settings) -> Option<Settings> {
    let approach = match settings.approach {
        // It trains again by itself what a withdrawal asks for.
        ApproachName::Sisa => return None,
        approach if approach.is_on_features() => approach,
        _ => ApproachName::Finetune,
    };
    Some(Settings {
        from_scratch: true,
        approach,
        ..settings.without_unlearning()
    })
}

/// Whether `other` is trained from the start on the list of `task`, by the recipe of `run`'s first.
fn is_scratch(run: &AuditedRun, other: &AuditedRun, task: usize) -> bool {
    comparable(run, other, task)
        && scratch_settings(&run.settings).as_ref() == Some(&other.settings)
        && run.tasks[task].train == other.tasks[task].train
}
