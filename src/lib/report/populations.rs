//! The subcategories of a task in three populations, each with a figure of its own: those that the
//! model may use, those that were withdrawn, whose loss is wanted, and those that are yet to come.

use super::judgement::{Interval, Judgement};
use super::load::Run;
use crate::clip::Split;
use crate::metrics::{Continual, Figures, Sequence, continual, mean_defined};

/// The populations at the end of a task.
#[derive(Clone, Debug, Default)]
pub(super) struct Populations {
    pub(super) available: Population,
    pub(super) withdrawn: Population,
    pub(super) not_yet: Population,
}

/// Subcategories of one kind, and how well the model knows them.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Population {
    pub(super) subcategories: usize,
    /// Test clips of them.
    pub(super) clips: usize,
    /// The mean of their average precisions.
    pub(super) value: Option<f64>,
    pub(super) interval: Option<Interval>,
    /// The same of permuted labels.
    pub(super) chance: Option<f64>,
    /// The mean of what was forgotten of them: of those that are there since their best task, of
    /// those that were withdrawn since the last task that had them.
    pub(super) forgetting: Option<f64>,
    pub(super) forgetting_interval: Option<Interval>,
}

impl Population {
    /// Its figure with everything that it must be read beside.
    pub(super) fn judgement(&self) -> Judgement {
        Judgement {
            value: self.value,
            interval: self.interval,
            forgetting: self.forgetting,
            forgetting_interval: self.forgetting_interval,
            chance: self.chance,
            chance_quantile: None,
            clips: Some(self.clips),
        }
    }
}

impl Populations {
    /// Each with its name, its colour and what is wanted of its figure.
    pub(super) fn each(&self) -> [(&'static str, &Population); 3] {
        [
            ("available", &self.available),
            ("withdrawn", &self.withdrawn),
            ("not yet arrived", &self.not_yet),
        ]
    }

    /// Whether a subcategory is away: withdrawn, or yet to come.
    pub(super) fn is_any_away(&self) -> bool {
        self.withdrawn.subcategories + self.not_yet.subcategories > 0
    }
}

/// The populations of every task. Of each task there are the test `clips` of each subcategory, the
/// mean average precision by `chance`, and the figures `drawn`. A run without lists of its clips has
/// none.
pub(super) fn of_tasks(
    run: &Run,
    tasks: &[i32],
    clips: &[&[usize]],
    chance: &[&[Option<f64>]],
    drawn: &[Vec<Figures>],
) -> Vec<Populations> {
    if run.clips.tasks == 0 {
        return Vec::new();
    }
    let presence: Vec<Vec<bool>> = tasks.iter().map(|&task| present(run, task)).collect();
    let recorded: Vec<Vec<Option<f64>>> = tasks.iter().map(|&task| recorded(run, task)).collect();
    let draws = drawn.iter().map(Vec::len).min().unwrap_or(0);
    let of_task = |t: usize| {
        let of = |figures: &[Vec<Option<f64>>]| {
            continual(&Sequence {
                figures,
                present: &presence[..=t],
                random: None,
                joint: None,
            })
        };
        let on_draw = |draw: usize| {
            let until = drawn[..=t].iter();
            let figures = until.map(|of_task| of_task[draw].ap_per_subcategory.clone());
            of(&figures.collect::<Vec<_>>())
        };
        let at = AtTask {
            clips: clips[t],
            chance: chance[t],
            found: of(&recorded[..=t]),
            drawn: (0..draws).map(on_draw).collect(),
        };
        let seen = |s: usize| presence[..=t].iter().any(|row| row[s]);
        let of_kind = |wanted: fn(bool, bool) -> bool| -> Vec<usize> {
            let all = 0..presence[t].len();
            all.filter(|&s| wanted(presence[t][s], seen(s))).collect()
        };
        Populations {
            available: at.population(
                &of_kind(|here, _| here),
                |c| c.average_available,
                |c| c.forgetting_available,
            ),
            withdrawn: at.population(
                &of_kind(|here, seen| !here && seen),
                |c| c.average_withdrawn,
                |c| c.forgetting_withdrawn,
            ),
            not_yet: at.population(&of_kind(|_, seen| !seen), |c| c.average_not_yet, |_| None),
        }
    };
    (0..tasks.len()).map(of_task).collect()
}

/// What the populations of one task are made of.
struct AtTask<'a> {
    clips: &'a [usize],
    chance: &'a [Option<f64>],
    found: Continual,
    drawn: Vec<Continual>,
}

impl AtTask<'_> {
    fn population(
        &self,
        subcategories: &[usize],
        value: fn(&Continual) -> Option<f64>,
        forgetting: fn(&Continual) -> Option<f64>,
    ) -> Population {
        let interval = |pick: fn(&Continual) -> Option<f64>| {
            Interval::of(&self.drawn.iter().map(pick).collect::<Vec<_>>())
        };
        let chance = |s: &usize| self.chance.get(*s).copied().flatten();
        Population {
            subcategories: subcategories.len(),
            clips: subcategories
                .iter()
                .filter_map(|&s| self.clips.get(s))
                .sum(),
            value: value(&self.found),
            interval: interval(value),
            chance: mean_defined(subcategories.iter().map(chance)),
            forgetting: forgetting(&self.found),
            forgetting_interval: interval(forgetting),
        }
    }
}

/// Whether a task has training clips of each subcategory.
fn present(run: &Run, task: i32) -> Vec<bool> {
    let names = run.taxonomy.subcategories();
    let clips = |name: &str| run.clips.subcategories.get(&(task, name.to_owned()));
    names
        .map(|(_, name)| clips(name).is_some_and(|&n| n > 0))
        .collect()
}

/// The average precision that the run recorded of each subcategory.
fn recorded(run: &Run, task: i32) -> Vec<Option<f64>> {
    let figure = |(class, name): (usize, &str)| {
        let category = run.taxonomy.categories()[class].name.as_str();
        run.figures
            .get(
                task,
                Split::Test,
                "ap_per_subcategory",
                Some(category),
                Some(name),
            )
            .value
    };
    run.taxonomy.subcategories().map(figure).collect()
}

/// What a subcategory is to a task.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// The task has training clips of it.
    Available,
    /// It had some until the task before.
    Left,
    /// It was withdrawn on entering an earlier task.
    Withdrawn,
    /// No task has had any so far.
    NotYet,
}

impl Presence {
    /// Whether it was withdrawn on entering this task or an earlier one.
    pub(super) fn is_withdrawn(self) -> bool {
        matches!(self, Self::Left | Self::Withdrawn)
    }
}

/// What a subcategory is to each task, in their order; available everywhere in a run without lists.
pub(super) fn presence(run: &Run, tasks: &[i32], subcategory: &str) -> Vec<Presence> {
    let mut seen = false;
    let mut before = false;
    let of_task = |&task: &i32| {
        let clips = run.clips.subcategories.get(&(task, subcategory.to_owned()));
        let here = run.clips.tasks == 0 || clips.is_some_and(|&n| n > 0);
        let presence = match (here, before, seen) {
            (true, ..) => Presence::Available,
            (false, true, _) => Presence::Left,
            (false, false, true) => Presence::Withdrawn,
            (false, false, false) => Presence::NotYet,
        };
        (before, seen) = (here, seen || here);
        presence
    };
    tasks.iter().map(of_task).collect()
}
