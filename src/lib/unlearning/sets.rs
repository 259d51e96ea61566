//! Which clips leave and which stay at a task, from the train lists alone.

use std::collections::{BTreeMap, BTreeSet};

/// The clips of a task's change. Lists keep the order of the train lists.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change<C> {
    /// F: clips of the task before that this one lacks, in that one's order. Empty at task 0.
    pub forget: Vec<C>,
    /// R: clips of both, in the order of the task before.
    pub retain: Vec<C>,
    /// Clips that this task has and the one before has not.
    pub arrived: Vec<C>,
    /// All clips that some task until now had and this one has not, in the order in which they
    /// came. A clip that returns is no longer among them.
    pub departed: Vec<C>,
}

/// The change at `task`.
///
/// # Panics
/// When there is no such task.
#[must_use]
pub fn change<C: Clone + Ord>(train_lists: &[Vec<C>], task: usize) -> Change<C> {
    let now: BTreeSet<&C> = train_lists[task].iter().collect();
    let before: &[C] = task.checked_sub(1).map_or(&[], |t| &train_lists[t]);
    let had: BTreeSet<&C> = before.iter().collect();
    let (retain, forget) = before.iter().cloned().partition(|clip| now.contains(clip));
    let mut met = BTreeSet::new();
    let until_now = train_lists[..=task].iter().flatten();
    Change {
        forget,
        retain,
        arrived: train_lists[task]
            .iter()
            .filter(|clip| !had.contains(clip))
            .cloned()
            .collect(),
        departed: until_now
            .filter(|clip| !now.contains(clip) && met.insert(*clip))
            .cloned()
            .collect(),
    }
}

/// The lists of the path reference of `task`: those of tasks 0 to `task` without what has departed.
/// One may be empty.
///
/// # Panics
/// When there is no such task.
#[must_use]
pub fn path_lists<C: Clone + Ord>(train_lists: &[Vec<C>], task: usize) -> Vec<Vec<C>> {
    let now: BTreeSet<&C> = train_lists[task].iter().collect();
    let kept = |list: &Vec<C>| {
        list.iter()
            .filter(|clip| now.contains(clip))
            .cloned()
            .collect()
    };
    train_lists[..=task].iter().map(kept).collect()
}

/// Groups (subcategories) at a task, sorted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Populations<G> {
    /// Groups with a clip in the task's list.
    pub available: Vec<G>,
    /// Groups that had clips in an earlier list and have none now: forgetting them is wanted.
    pub withdrawn: Vec<G>,
    /// Groups that never had one.
    pub not_yet: Vec<G>,
}

/// The populations at `task`; `group_of` names the group of every clip there is.
///
/// # Panics
/// When there is no such task.
#[must_use]
pub fn populations<C: Ord, G: Clone + Ord>(
    train_lists: &[Vec<C>],
    group_of: &BTreeMap<C, G>,
    task: usize,
) -> Populations<G> {
    let groups = |clips: &mut dyn Iterator<Item = &C>| -> BTreeSet<G> {
        clips
            .filter_map(|clip| group_of.get(clip))
            .cloned()
            .collect()
    };
    let available = groups(&mut train_lists[task].iter());
    let seen = groups(&mut train_lists[..=task].iter().flatten());
    let all: BTreeSet<G> = group_of.values().cloned().collect();
    Populations {
        withdrawn: seen.difference(&available).cloned().collect(),
        not_yet: all.difference(&seen).cloned().collect(),
        available: available.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_that_returns_has_not_departed() {
        let lists = [vec![1, 2], vec![2, 3], vec![3, 1]];
        let at = change(&lists, 2);
        assert_eq!(
            (at.forget, at.retain, at.arrived),
            (vec![2], vec![3], vec![1])
        );
        assert_eq!(at.departed, [2]);
        assert_eq!(path_lists(&lists, 2), [vec![1], vec![3], vec![3, 1]]);
    }
}
