//! One run in full.

use maud::{Markup, html};
use serde_json::Value;

use super::analyse::{Analysis, TaskAnalysis};
use super::charts::{self, Axes, CHART_SIZE, Series};
use super::colors::color;
use super::judgement::{Interval, Place};
use super::load::Flow;
use super::numbers::{clips, ends, number};
use super::parts::{Column, card, figure, legend, legend_of, table};
use super::population_section;
use super::populations::{Population, Populations};
use super::section::Section;
use super::{ReportError, curves, examples, tables};
use crate::clip::Split;

/// The sections about one run.
pub(super) fn sections(
    analysis: &Analysis,
    permutations: usize,
    quantile: f64,
) -> Result<Vec<Section>, ReportError> {
    let over_tasks = html! {
        p {
            "Mean average precision at the end of each task, with the weights of the best epoch. The level of chance is measured "
            "on that very test set: the mean, and the " (percentile(quantile)) ", of " (permutations)
            " permutations of its labels under the same scores. Intervals are of 95 %, by " (permutations)
            " draws of the test clips with replacement within each subcategory: they say what other clips might have given, not what "
            "other seeds would; of a handful of clips a draw holds some twice, which lifts their average precision a little. Validation is on other clips, which also chose the epoch: its figures cannot be held against the test's."
            @if analysis.is_changing() {
                " The mAP is of all test clips, those of what was withdrawn among them, whose loss lowers it: what is available stands apart from "
                "them in the section after this one."
            }
        }
        (over_tasks(analysis, quantile)?)
        (tables::tasks(analysis, quantile))
    };
    let by_category = html! {
        p {
            "Each category against all others on the test set, by task (↑ higher is better). The last column is what the last task forgot"
            @if analysis.is_changing() {
                ": of all clips of the category, withdrawn ones among them, so that by itself it is neither good nor bad."
            } @else { " (↓ lower is better)." }
        }
        (tables::by_category(analysis))
    };
    let by_subcategory = html! {
        p {
            "Average precision of each latent subcategory against all clips of other categories, on the test set (↑ higher is better, but for "
            "what was withdrawn). Hatched: the subcategory has no clip in that task's training list; " em { "left here" }
            " marks the task that it left at, " em { "not yet" } " that it is yet to come."
        }
        (tables::by_subcategory(analysis))
    };
    let mut sections = vec![Section::new("over-tasks", "mAP over tasks", over_tasks)];
    sections.extend(population_section::section(analysis)?);
    sections.extend(availability(analysis)?);
    sections.push(Section::new("by-category", "By category", by_category));
    sections.push(Section::new(
        "by-subcategory",
        "By subcategory",
        by_subcategory,
    ));
    sections.extend(examples::section(&analysis.examples));
    sections.extend(confusion(analysis));
    sections.extend(curves::section(analysis)?);
    sections.extend(history(analysis)?);
    sections.push(settings(analysis));
    Ok(sections)
}

/// `99th percentile`.
fn percentile(quantile: f64) -> String {
    format!("{}th percentile", (quantile * 100.0).round())
}

/// The figures that are read first.
pub(super) fn cards(analysis: &Analysis, quantile: f64) -> Markup {
    let last = analysis.last();
    let map = last.map(|t| analysis.judgement(t, "mean_ap", Place::Overall));
    let map = map.unwrap_or_default();
    let (mean, accuracy) = (
        analysis.over_tasks("mean_ap"),
        analysis.over_tasks("accuracy"),
    );
    let populations = last.and_then(|t| t.populations.as_ref());
    let populations = populations.filter(|_| analysis.is_changing());
    let n = clips(map.clips.map(|n| (n, n)));
    let each = format!("{} a task", clips(analysis.test_clips()));
    html! {
        div.cards {
            (card(&number(map.value), "last task's test mAP ↑", &format!("{n}, {}; chance {} at the {}", ends(map.interval), number(map.chance_quantile), percentile(quantile))))
            (card(&number(mean.value), "mean test mAP over tasks ↑", &format!("{each}, {}; chance {}", ends(mean.interval), number(mean.chance_quantile))))
            @if let Some(p) = populations {
                (card(&number(p.available.value), "AP of what is available ↑", &population(&p.available)))
                @if p.withdrawn.subcategories > 0 {
                    (card(&number(p.withdrawn.value), "AP of what was withdrawn ↓", &population(&p.withdrawn)))
                }
                @if p.not_yet.subcategories > 0 {
                    (card(&number(p.not_yet.value), "AP of what has not arrived", &population(&p.not_yet)))
                }
            } @else {
                (card(&number(mean.forgetting), "mean forgetting of mAP ↓", &format!("{each}, {}; tasks 1 and up, below 0 is a gain", ends(mean.forgetting_interval))))
            }
            (card(&number(accuracy.value), "mean test accuracy ↑", &format!("{each}, {}; chance {}", ends(accuracy.interval), number(accuracy.chance_quantile))))
            (card(&analysis.tasks.len().to_string(), "tasks", &format!("seed {}", analysis.run.seed)))
        }
    }
}

/// What stands below the figure of a population.
fn population(of: &Population) -> String {
    format!(
        "{} subcategories, {} clips, {}; chance {}; forgotten {}",
        of.subcategories,
        of.clips,
        ends(of.interval),
        number(of.chance),
        number(of.forgetting)
    )
}

fn over_tasks(analysis: &Analysis, quantile: f64) -> Result<Markup, ReportError> {
    let tasks: Vec<i32> = analysis.tasks.iter().map(|t| t.task).collect();
    let of = |t: &TaskAnalysis, metric| analysis.judgement(t, metric, Place::Overall);
    let line = |name: &str, color, value: &dyn Fn(&TaskAnalysis) -> Option<f64>| {
        let mut line = Series::new(name, color);
        let points = analysis.tasks.iter();
        line.points = points.map(|t| (f64::from(t.task), value(t))).collect();
        line
    };
    let bars = |interval: &dyn Fn(&TaskAnalysis) -> Option<Interval>| {
        let ends = |t| interval(t).map(|i| (i.low, i.high));
        analysis.tasks.iter().map(ends).collect::<Vec<_>>()
    };
    let mut test = line("test", color(0), &|t| of(t, "mean_ap").value);
    test.bars = bars(&|t| of(t, "mean_ap").interval);
    let name = format!("chance, {}", percentile(quantile));
    let mut chance = line(&name, charts::MUTED, &TaskAnalysis::chance_quantile);
    (chance.dash, chance.dots) = (Some((6, 4)), false);
    let values = [test, chance];
    let mut axes = Axes::tasks(&tasks, "test mAP");
    axes.y_range = 0.0..1.0;
    let map = charts::lines("test mAP over tasks", CHART_SIZE, &axes, &values)?;
    let (forgotten, caption) = if analysis.is_changing() {
        let lost = |k: usize| {
            let of = move |t: &TaskAnalysis| Some(*t.populations.as_ref()?.each()[k].1);
            let (name, _) = Populations::default().each()[k];
            let mut lost = line(name, charts::population_color(k), &|t| of(t)?.forgetting);
            lost.bars = bars(&|t| of(t)?.forgetting_interval);
            lost
        };
        let caption = "Forgetting of what is available, since its best task (↓ lower is better), and of what was withdrawn, since the \
            last task that had it (↑ more is better: it is what withdrawing is for)";
        ([lost(0), lost(1)], caption)
    } else {
        let mut forgotten = [
            line("mAP", color(1), &|t| of(t, "mean_ap").forgetting),
            line("accuracy", color(4), &|t| of(t, "accuracy").forgetting),
        ];
        forgotten[0].bars = bars(&|t| of(t, "mean_ap").forgetting_interval);
        let caption = "Forgetting on the whole test set: best earlier value minus the present one (↓ lower is better)";
        (forgotten, caption)
    };
    let axes = Axes::tasks(&tasks, "forgetting").fitted(&forgotten);
    let forgetting = charts::lines("forgetting over tasks", CHART_SIZE, &axes, &forgotten)?;
    Ok(html! {
        div.grid {
            (figure(&map, "Test mAP over tasks with 95 % bootstrap intervals (↑ higher is better)", Some(legend_of(&values))))
            (figure(&forgetting, caption, Some(legend_of(&forgotten))))
        }
    })
}

fn availability(analysis: &Analysis) -> Result<Option<Section>, ReportError> {
    let run = &analysis.run;
    let panels: Vec<(String, Vec<(i32, Flow)>)> = run
        .taxonomy
        .category_names()
        .into_iter()
        .map(|category| {
            let flow = |task| run.clips.train.get(&(task, category.clone()));
            let flows = (0..run.clips.tasks).map(|t| (t, flow(t).copied().unwrap_or_default()));
            (category.clone(), flows.collect())
        })
        .collect();
    if run.clips.tasks == 0 {
        return Ok(None);
    }
    let svg = charts::flows("availability", &panels)?;
    let of_task = |task| tables::unusable(run, task);
    let unusable = (0..run.clips.tasks).map(of_task).max().unwrap_or(0);
    let withdrawn = run.clips.train.values().any(|flow| flow.withdrawn > 0);
    let meanings = charts::flow_legend().into_iter();
    let meanings = meanings.take(if withdrawn { 4 } else { 3 });
    let meanings = meanings.map(|(color, meaning)| (color, None, meaning));
    let body = html! {
        p {
            "Training clips of each category that a task may use, and what it lost on entering the task."
            @if unusable > 0 { " At most " (unusable) " clips of a task's lists have no frames and were passed over." }
        }
        (figure(&svg, "Training clips by task; what was removed hangs below the axis", Some(legend(meanings))))
        details {
            summary { "The numbers" }
            (tables::availability(analysis))
        }
    };
    Ok(Some(Section::new("availability", "Availability", body)))
}

fn confusion(analysis: &Analysis) -> Option<Section> {
    let evaluated = || {
        analysis
            .tasks
            .iter()
            .filter_map(|t| Some((t.task, t.evaluation.as_ref()?)))
    };
    evaluated().next()?;
    let body = html! {
        p { "Test clips by true category (rows) and by the category with the largest probability (columns); the colour is the share of the row." }
        div.grid.small {
            @for (task, evaluation) in evaluated() {
                (tables::confusion(task, analysis.run.taxonomy.categories(), &evaluation.confusion))
            }
        }
        @if evaluated().any(|(_, e)| e.confusion_at_half.is_some()) {
            details {
                summary { "Each category at a probability of 0.5" }
                (tables::at_half(analysis.run.taxonomy.categories(), evaluated()))
            }
        }
    };
    Some(Section::new("confusion", "Confusion", body))
}

fn history(analysis: &Analysis) -> Result<Option<Section>, ReportError> {
    let rows = &analysis.run.history;
    if rows.is_empty() {
        return Ok(None);
    }
    // Epochs of all tasks one after the other.
    let mut epochs: Vec<(i32, i32)> = rows.iter().map(|r| (r.task, r.epoch)).collect();
    epochs.sort_unstable();
    epochs.dedup();
    let place = |task, epoch| epochs.binary_search(&(task, epoch)).unwrap_or(0);
    #[allow(clippy::cast_precision_loss)] // Some thousands of epochs.
    let line = |name: &str, k, split, metric: &str| {
        let mut line = Series::new(name, color(k));
        line.dots = epochs.len() <= 60;
        let rows = rows
            .iter()
            .filter(|r| r.split == split && r.metric == metric);
        let mut points: Vec<(usize, Option<f64>)> =
            rows.map(|r| (place(r.task, r.epoch), r.value)).collect();
        points.sort_by_key(|&(place, _)| place);
        for (k, &(place, value)) in points.iter().enumerate() {
            // The line breaks where a task begins.
            if k > 0 && epochs[place].0 != epochs[points[k - 1].0].0 {
                line.points.push((place as f64 - 0.5, None));
            }
            line.points.push((place as f64, value));
        }
        line
    };
    let losses = [
        line("training loss", 1, Split::Train, "loss"),
        line("validation loss", 0, Split::Validation, "loss"),
    ];
    let maps = [line("validation mAP", 0, Split::Validation, "mean_ap")];
    let begins: Vec<usize> = (0..epochs.len())
        .filter(|&i| i == 0 || epochs[i - 1].0 != epochs[i].0)
        .collect();
    #[allow(clippy::cast_precision_loss)]
    let axes = |y: &str| Axes {
        x: "epochs of all tasks; a grid line where a task begins".into(),
        y: y.into(),
        x_range: -0.5..epochs.len() as f64 - 0.5,
        x_ticks: begins.iter().map(|&i| i as f64).collect(),
        y_range: 0.0..1.0,
    };
    let loss = charts::lines("losses", CHART_SIZE, &axes("loss").fitted(&losses), &losses)?;
    let map = charts::lines("validation mAP", CHART_SIZE, &axes("mAP"), &maps)?;
    let body = html! {
        p { "Losses are of the training clips and of the validation clips: two sets, so the level of one cannot be held against the other's." }
        div.grid {
            (figure(&loss, "Classification loss of each epoch (↓ lower is better)", Some(legend_of(&losses))))
            (figure(&map, "Mean average precision on the task's validation set (↑ higher is better)", Some(legend_of(&maps))))
        }
    };
    Ok(Some(Section::new("training", "Training", body)))
}

fn settings(analysis: &Analysis) -> Section {
    let run = &analysis.run;
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    let rows = html! {
        tr { th scope="row" { "scenario" } td { (run.scenario) } }
        tr { th scope="row" { "start" } td { (run.start) } }
        @if let Some(seed) = run.tasks_seed { tr { th scope="row" { "seed of the tasks" } td { (seed) } } }
        @for (name, value) in run.settings.iter().filter(|(name, _)| *name != "scenario") {
            @if let Some(inner) = value.as_object() {
                @for (inner_name, value) in inner {
                    tr { th scope="row" { (name) "." (inner_name) } td { (text(value)) } }
                }
            } @else {
                tr { th scope="row" { (name) } td { (text(value)) } }
            }
        }
    };
    let columns = [Column::text("setting"), Column::text("value")];
    let body = html! {
        p { "Run " code { (run.name) } ". Everything that can change its result." }
        (table("Settings", &columns, &rows))
    };
    Section::new("settings", "Settings", body)
}
