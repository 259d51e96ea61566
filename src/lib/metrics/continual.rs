//! Figures of continual learning over a sequence of tasks in which groups arrive and are withdrawn.

use super::mean_defined;

/// What a run did task by task, for groups (subcategories or classes).
#[derive(Clone, Copy, Debug)]
pub struct Sequence<'a> {
    /// `figures[t][g]`: a figure of group g after task t, such as its average precision on the test
    /// split.
    pub figures: &'a [Vec<Option<f64>>],
    /// `present[t][g]`: whether task t has train clips of group g.
    pub present: &'a [Vec<bool>],
    /// What a new model has on each group, for forward transfer.
    pub random: Option<&'a [Option<f64>]>,
    /// What a model trained from scratch at the group's first task has there, for intransigence.
    pub joint: Option<&'a [Option<f64>]>,
}

/// Means over groups; undefined figures are passed over, and a mean of nothing is `None`. All but
/// the transfers, forgetting and intransigence lie in the figure's own range, 0..1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Continual {
    /// After the last task, over the groups that some task had.
    pub average: Option<f64>,
    /// After the last task, over the groups that it has.
    pub average_available: Option<f64>,
    /// After the last task, over the groups that an earlier one had and it has not.
    pub average_withdrawn: Option<f64>,
    /// After the last task, over the groups that no task had.
    pub average_not_yet: Option<f64>,
    /// Average anytime: the mean over tasks of the mean over the groups seen until then.
    pub aaa: Option<f64>,
    /// Backward transfer (Lopez-Paz and Ranzato, <https://arxiv.org/abs/1706.08840>): after the
    /// last task less after the group's first. Below 0 is forgetting.
    pub bwt: Option<f64>,
    /// Forward transfer: before the group's first task less a new model's. Above 0 is a gain.
    pub fwt: Option<f64>,
    /// The best since the group's first task, the last task left out, less after the last (Chaudhry
    /// et al., <https://arxiv.org/abs/1801.10112>). Negative where the last task is best.
    pub forgetting: Option<f64>,
    /// The same over the groups that the last task has: never wanted.
    pub forgetting_available: Option<f64>,
    /// Of withdrawn groups: after the last task that had them less after the last. Wanted.
    pub forgetting_withdrawn: Option<f64>,
    /// A from-scratch model's less after the group's first task: what could not be learnt. Lower is
    /// better.
    pub intransigence: Option<f64>,
}

impl Continual {
    /// All figures with their names in tables, in the order of the names.
    #[must_use]
    pub fn named(&self) -> [(&'static str, Option<f64>); 11] {
        [
            ("continual_aaa", self.aaa),
            ("continual_average", self.average),
            ("continual_average_available", self.average_available),
            ("continual_average_not_yet", self.average_not_yet),
            ("continual_average_withdrawn", self.average_withdrawn),
            ("continual_bwt", self.bwt),
            ("continual_forgetting", self.forgetting),
            ("continual_forgetting_available", self.forgetting_available),
            ("continual_forgetting_withdrawn", self.forgetting_withdrawn),
            ("continual_fwt", self.fwt),
            ("continual_intransigence", self.intransigence),
        ]
    }
}

/// The first and the last task that had clips of a group.
#[derive(Clone, Copy)]
struct Seen {
    first: usize,
    last: usize,
}

/// The figures of `sequence`; all `None` without a task.
///
/// # Panics
/// When the rows differ in length or in number.
#[must_use]
pub fn continual(sequence: &Sequence<'_>) -> Continual {
    let Some(end) = sequence.figures.len().checked_sub(1) else {
        return Continual::default();
    };
    let a = sequence.figures;
    let groups = a[end].len();
    let seen: Vec<Option<Seen>> = (0..groups).map(|g| sequence.seen(g)).collect();
    let available = |g: usize| sequence.present[end][g];
    let over = |wanted: &dyn Fn(usize) -> bool, figure: &dyn Fn(usize, Seen) -> Option<f64>| {
        let wanted = (0..groups).filter(|&g| wanted(g));
        mean_defined(wanted.filter_map(|g| Some(figure(g, seen[g]?))))
    };
    let every = |_| true;
    let now = |g: usize, _| a[end][g];
    let before_end = |g: usize| seen[g].is_some_and(|seen| seen.first < end);
    let less = |from: Option<f64>, what: Option<f64>| Some(from? - what?);
    let forgotten = |g: usize, seen: Seen| {
        let since = a[seen.first..end].iter().filter_map(|row| row[g]);
        less(since.reduce(f64::max), a[end][g])
    };
    let anytime = |t: usize| {
        let begun = |g: &usize| seen[*g].is_some_and(|seen| seen.first <= t);
        mean_defined((0..groups).filter(begun).map(|g| a[t][g]))
    };
    let transfer = |g: usize, seen: Seen| {
        let before = a[seen.first.checked_sub(1)?][g];
        less(before, sequence.random?[g])
    };
    Continual {
        average: over(&every, &now),
        average_available: over(&available, &now),
        average_withdrawn: over(&|g| !available(g), &now),
        average_not_yet: mean_defined(
            (0..groups)
                .filter(|&g| seen[g].is_none())
                .map(|g| a[end][g]),
        ),
        aaa: mean_defined((0..a.len()).map(anytime)),
        bwt: over(&before_end, &|g, seen| less(a[end][g], a[seen.first][g])),
        fwt: over(&every, &transfer),
        forgetting: over(&before_end, &forgotten),
        forgetting_available: over(&|g| before_end(g) && available(g), &forgotten),
        forgetting_withdrawn: over(&|g| !available(g), &|g, seen| {
            less(a[seen.last][g], a[end][g])
        }),
        intransigence: over(&every, &|g, seen| {
            less(sequence.joint?[g], a[seen.first][g])
        }),
    }
}

impl Sequence<'_> {
    fn seen(&self, group: usize) -> Option<Seen> {
        let tasks = || self.present.iter().map(|row| row[group]);
        Some(Seen {
            first: tasks().position(|present| present)?,
            last: self.present.len() - 1 - tasks().rev().position(|present| present)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_task_nothing_is_defined() {
        let none = Sequence {
            figures: &[],
            present: &[],
            random: None,
            joint: None,
        };
        assert_eq!(continual(&none), Continual::default());
    }

    #[test]
    fn the_last_task_may_be_the_best_and_what_left_is_counted_apart() {
        let figures = [vec![Some(0.5), Some(0.75)], vec![Some(0.75), Some(0.25)]];
        let found = continual(&Sequence {
            figures: &figures,
            present: &[vec![true, true], vec![true, false]],
            random: None,
            joint: None,
        });
        // -0.25 of the one that stays, 0.5 of the one that left.
        assert_eq!(found.forgetting, Some(0.125));
        assert_eq!(found.forgetting_available, Some(-0.25));
        assert_eq!(found.forgetting_withdrawn, Some(0.5));
        assert_eq!(found.average_withdrawn, Some(0.25));
        assert_eq!(found.bwt, Some(-0.125));
        assert_eq!((found.fwt, found.intransigence), (None, None));
    }
}
