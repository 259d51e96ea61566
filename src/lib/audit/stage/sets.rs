//! The sets of clips that a withdrawal is judged on.

use std::collections::BTreeSet;

use super::runs::{AuditedRun, ListedClip};
use crate::clip::Split;
use crate::unlearning::sets::{change, populations};

/// A set of clips by its name in the tables.
#[derive(Clone, Debug)]
pub(super) struct ClipSet {
    pub(super) name: &'static str,
    pub(super) split: Split,
    pub(super) clips: Vec<ListedClip>,
}

impl ClipSet {
    pub(super) fn labels(&self) -> Vec<usize> {
        self.clips.iter().map(|clip| clip.class).collect()
    }

    /// The places of clips by subcategory: the strata of a bootstrap.
    pub(super) fn strata(&self) -> Vec<Vec<usize>> {
        let groups: BTreeSet<usize> = self.clips.iter().map(|c| c.subcategory).collect();
        let of = |group: usize| {
            let places = self.clips.iter().enumerate();
            places
                .filter(|(_, clip)| clip.subcategory == group)
                .map(|(place, _)| place)
                .collect()
        };
        groups.into_iter().map(of).collect()
    }
}

/// The sets of one withdrawal. An empty set has undefined figures.
#[derive(Clone, Debug)]
pub(super) struct Sets {
    /// F: what the task withdraws.
    pub(super) forget: ClipSet,
    /// R: what both tasks have.
    pub(super) retain: ClipSet,
    /// Held-out clips of the subcategories that lost clips: the non-members of attacks.
    pub(super) like_forget: ClipSet,
    /// H: validation clips of the task before of the subcategories that lost clips, which steer
    /// methods and are never reported on.
    pub(super) heldout: ClipSet,
    /// T, whole.
    pub(super) test: ClipSet,
    /// T by population: available, withdrawn, not yet.
    pub(super) of_test: [ClipSet; 3],
    /// All held-out clips outside `like_forget`.
    pub(super) population: [ClipSet; 2],
    /// The places of the subcategories that are available at the task.
    pub(super) available: BTreeSet<usize>,
}

impl Sets {
    /// The sets of what `task` withdraws from `run`.
    pub(super) fn of(run: &AuditedRun, task: usize) -> Self {
        let lists: Vec<Vec<ListedClip>> = run.tasks[..=task]
            .iter()
            .map(|lists| lists.train.clone())
            .collect();
        let mut found = change(&lists, task);
        // The folds of an attack go by the clips' ids.
        found.forget.sort();
        let lost: BTreeSet<usize> = found.forget.iter().map(|clip| clip.subcategory).collect();
        let group_of = lists.iter().flatten().map(|c| (c.clone(), c.subcategory));
        let groups = populations(&lists, &group_of.collect(), task);
        let (test, validation) = (&run.tasks[task].test, &run.tasks[task].validation);
        let pick = |name, split, from: &[ListedClip], wanted: &dyn Fn(&ListedClip) -> bool| {
            let clips = from.iter().filter(|clip| wanted(clip)).cloned().collect();
            ClipSet { name, split, clips }
        };
        let among = |name, groups: &[usize]| {
            pick(name, Split::Test, test, &|clip| {
                groups.contains(&clip.subcategory)
            })
        };
        let seen = |clip: &ListedClip| {
            groups.available.contains(&clip.subcategory)
                || groups.withdrawn.contains(&clip.subcategory)
        };
        let unlike = |clip: &ListedClip| !lost.contains(&clip.subcategory);
        let train = |name, clips| ClipSet {
            name,
            split: Split::Train,
            clips,
        };
        let mut like_forget = pick("like_forget", Split::Test, test, &|clip| !unlike(clip));
        like_forget.clips.sort();
        let validation_before = task
            .checked_sub(1)
            .map(|before| &run.tasks[before].validation);
        let heldout = validation_before.map_or_else(Vec::new, Clone::clone);
        let is_like = |clip: &ListedClip| !unlike(clip);
        Self {
            heldout: pick("held_out", Split::Validation, &heldout, &is_like),
            like_forget,
            test: pick("test", Split::Test, test, &|_| true),
            of_test: [
                among("test_available", &groups.available),
                among("test_withdrawn", &groups.withdrawn),
                pick("test_not_yet", Split::Test, test, &|clip| !seen(clip)),
            ],
            population: [
                pick("validation", Split::Validation, validation, &unlike),
                pick("test", Split::Test, test, &unlike),
            ],
            available: groups.available.iter().copied().collect(),
            forget: train("forget", found.forget),
            retain: train("retain", found.retain),
        }
    }

    /// The sets whose figures stand beside the reference's.
    pub(super) fn judged(&self) -> impl Iterator<Item = &ClipSet> {
        let whole = [&self.forget, &self.retain, &self.like_forget, &self.test];
        whole.into_iter().chain(&self.of_test)
    }
}
