//! By which recipe each task is trained: that of the first one, or that of the later ones.

use std::collections::BTreeSet;

use crate::clip::Split;
use crate::data::Dataset;
use crate::train::settings::{Settings, UnlearnName};
use crate::train::task_sequence::TaskSequence;
use crate::unlearning::sets::path_lists;

/// The stage of each task: how many trainings its weights come from, its own left out; 0 is trained
/// by the recipe of task 0. Whatever is drawn goes by the task's own number.
pub(super) fn stages(settings: &Settings, data: &TaskSequence) -> Vec<usize> {
    let trained: Vec<bool> = data.tasks.iter().map(|task| !task.is_empty()).collect();
    let count = |from: usize, to: usize| trained[from..to].iter().filter(|t| **t).count();
    // The task that weights began anew with, and the stage that it had.
    let (mut since, mut first) = (0, 0);
    let stage = |task: usize| {
        if withdraws(data, task) {
            match settings.unlearn {
                UnlearnName::Retrain => (since, first) = (task, 0),
                UnlearnName::Rollback => (since, first) = (task, stages_of_path(data, task)),
                _ => {}
            }
        }
        first + count(since, task)
    };
    (0..trained.len()).map(stage).collect()
}

/// Whether `task` lacks clips that the last task before it that was trained had.
pub(super) fn withdraws(data: &TaskSequence, task: usize) -> bool {
    let now = &data.tasks[task];
    let Some(before) = data.tasks[..task].iter().rfind(|t| !t.is_empty()) else {
        return false;
    };
    let here: BTreeSet<&str> = ids(&now.train).into_iter().collect();
    let lacks = || ids(&before.train).iter().any(|id| !here.contains(id));
    !now.is_empty() && (data.left_before.at(task) > 0 || lacks())
}

/// Tasks before `task` that are left to train where what has departed by then was never there.
fn stages_of_path(data: &TaskSequence, task: usize) -> usize {
    let left = |split| -> Vec<bool> {
        let lists = data.tasks.iter().map(|task| ids(task.list(split)));
        let lists = path_lists(&lists.collect::<Vec<_>>(), task);
        lists.iter().map(|list| !list.is_empty()).collect()
    };
    let (train, validation) = (left(Split::Train), left(Split::Validation));
    (0..task).filter(|&t| train[t] && validation[t]).count()
}

fn ids(list: &Dataset) -> Vec<&str> {
    let samples = list.samples().iter();
    samples.map(|sample| &sample.clip_id[..]).collect()
}
