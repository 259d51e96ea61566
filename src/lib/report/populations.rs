//! The subcategories of a task in three populations, each with a figure of its own: those that the
//! model may use, those that were withdrawn, whose loss is wanted, and those that are yet to come.

use maud::html;

use super::ReportError;
use super::analyse::{Analysis, Interval, TaskAnalysis};
use super::charts::{self, Axes, CHART_SIZE, Series};
use super::load::Run;
use super::parts::{self, Column, figure, ordered_table};
use super::section::Section;
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

impl Populations {
    /// Each with its name, its colour and what is wanted of its figure.
    pub(super) fn each(&self) -> [(&'static str, &Population); 3] {
        [
            ("available", &self.available),
            ("withdrawn", &self.withdrawn),
            ("not yet arrived", &self.not_yet),
        ]
    }
}

/// Adds the populations to every task; `drawn` are the figures of every draw, task by task. A run
/// without lists of its clips gets none.
pub(super) fn add(run: &Run, tasks: &mut [TaskAnalysis], drawn: &[Vec<Figures>]) {
    if run.clips.tasks == 0 {
        return;
    }
    let presence: Vec<Vec<bool>> = tasks.iter().map(|t| present(run, t.task)).collect();
    let count = run.taxonomy.subcategories().count();
    let draws = drawn.iter().map(Vec::len).min().unwrap_or(0);
    let recorded: Vec<Vec<Option<f64>>> = tasks.iter().map(|t| recorded(run, t.task)).collect();
    for t in 0..tasks.len() {
        let of = |figures: &[Vec<Option<f64>>]| {
            continual(&Sequence {
                figures,
                present: &presence[..=t],
                random: None,
                joint: None,
            })
        };
        let found = of(&recorded[..=t]);
        let on_draw = |draw: usize| {
            let until = drawn[..=t].iter();
            of(&until
                .map(|of_task| of_task[draw].ap_per_subcategory.clone())
                .collect::<Vec<_>>())
        };
        let on_draws: Vec<Continual> = (0..draws).map(on_draw).collect();
        let interval = |pick: fn(&Continual) -> Option<f64>| {
            Interval::of(&on_draws.iter().map(pick).collect::<Vec<_>>())
        };
        let kind = |s: usize| {
            let seen = presence[..=t].iter().any(|row| row[s]);
            match (presence[t][s], seen) {
                (true, _) => 0,
                (false, true) => 1,
                (false, false) => 2,
            }
        };
        let population = |wanted: usize,
                          value: fn(&Continual) -> Option<f64>,
                          forgetting: fn(&Continual) -> Option<f64>| {
            let of_kind: Vec<usize> = (0..count).filter(|&s| kind(s) == wanted).collect();
            let clips = |s: &usize| tasks[t].clips(super::analyse::Place::Subcategory(*s));
            let chance = |s: &usize| tasks[t].chance.mean.ap_per_subcategory.get(*s);
            Population {
                subcategories: of_kind.len(),
                clips: of_kind.iter().filter_map(clips).sum(),
                value: value(&found),
                interval: interval(value),
                chance: mean_defined(of_kind.iter().map(|s| chance(s).copied().flatten())),
                forgetting: forgetting(&found),
                forgetting_interval: interval(forgetting),
            }
        };
        let populations = Populations {
            available: population(0, |c| c.average_available, |c| c.forgetting_available),
            withdrawn: population(1, |c| c.average_withdrawn, |c| c.forgetting_withdrawn),
            not_yet: population(2, |c| c.average_not_yet, |_| None),
        };
        tasks[t].populations = Some(populations);
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
                crate::clip::Split::Test,
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

/// What a subcategory is to each task, in their order; available everywhere in a run without lists.
pub(super) fn presence(run: &Run, tasks: &[TaskAnalysis], subcategory: &str) -> Vec<Presence> {
    let mut seen = false;
    let mut before = false;
    let of_task = |t: &TaskAnalysis| {
        let clips = run
            .clips
            .subcategories
            .get(&(t.task, subcategory.to_owned()));
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

/// The chart and the table of the populations; nothing where every subcategory is always there.
pub(super) fn section(analysis: &Analysis) -> Result<Option<Section>, ReportError> {
    let of_tasks: Vec<(i32, &Populations)> = analysis
        .tasks
        .iter()
        .filter_map(|t| Some((t.task, t.populations.as_ref()?)))
        .collect();
    let none_away = |p: &Populations| p.withdrawn.subcategories + p.not_yet.subcategories == 0;
    if of_tasks
        .iter()
        .all(|(_, populations)| none_away(populations))
    {
        return Ok(None);
    }
    let tasks: Vec<i32> = of_tasks.iter().map(|&(task, _)| task).collect();
    let lines: Vec<Series> = (0..3)
        .map(|k| {
            let name = Populations::default().each()[k].0;
            let mut line = Series::new(name, charts::population_color(k));
            for (task, populations) in &of_tasks {
                let of = populations.each()[k].1;
                line.points.push((f64::from(*task), of.value));
                line.bars.push(of.interval.map(|i| (i.low, i.high)));
            }
            line
        })
        .collect();
    let mut axes = Axes::tasks(&tasks, "mean AP of subcategories");
    axes.y_range = 0.0..1.0;
    let caption = "Mean average precision of the subcategories of each population, by task, with 95 % bootstrap intervals. \
        ↑ of what is available higher is better; of what was withdrawn lower is what is wanted";
    let svg = charts::lines(caption, CHART_SIZE, &axes, &lines)?;
    let columns = [
        Column::number("task"),
        Column::text("population"),
        Column::number("subcategories"),
        Column::number("test clips (n)"),
        Column::number("mean AP"),
        Column::number("95 % interval"),
        Column::number("chance, mean"),
        Column::number("forgetting"),
        Column::number("95 % interval"),
        Column::text("wanted"),
    ];
    let rows = of_tasks.iter().flat_map(|(task, populations)| {
        let each = populations.each().into_iter().enumerate();
        each.filter(|(_, (_, of))| of.subcategories > 0)
            .map(move |(k, (name, of))| html! {
                tr {
                    td.n { (task) }
                    th scope="row" { (name) }
                    td.n { (of.subcategories) }
                    td.n { (of.clips) }
                    (parts::share_cell(of.value, &parts::number(of.value)))
                    td.n { (parts::ends(of.interval)) }
                    td.n { (parts::number(of.chance)) }
                    td.n { (parts::number(of.forgetting)) }
                    td.n { (parts::ends(of.forgetting_interval)) }
                    td { (["high AP, no forgetting", "AP down to chance", "nothing: it was never shown"][k]) }
                }
            })
    });
    let body = html! {
        p {
            "Subcategories in three populations: those with clips in the task's training list, those that were withdrawn, and those "
            "yet to come. Forgetting of what is available counts from its best task and is a loss; of what was withdrawn it counts "
            "from the last task that had it, and is what withdrawing is for. The figures are means over subcategories, on the test set."
        }
        (figure(&svg, caption, Some(parts::legend_of(&lines))))
        (ordered_table("Populations by task", &columns, &html! { @for row in rows { (row) } }))
    };
    Ok(Some(Section::new(
        "populations",
        "Available, withdrawn, not yet arrived",
        body,
    )))
}
