//! One run in full.

use maud::{Markup, html};
use serde_json::Value;

use super::ReportError;
use super::analyse::{Analysis, TaskAnalysis};
use super::charts::{self, Axes, Series};
use super::load::Flow;
use super::parts::{card, figure, legend, number};
use super::tables;
use crate::clip::Split;
use crate::metrics::PrCurve;

const CHART_SIZE: (u32, u32) = (560, 330);
const CURVE_SIZE: (u32, u32) = (380, 320);
/// Points of a precision-recall curve that are drawn: more than a screen shows.
const CURVE_POINTS: usize = 200;

/// The sections about one run.
pub(super) fn sections(
    analysis: &Analysis,
    permutations: usize,
    quantile: f64,
) -> Result<Markup, ReportError> {
    Ok(html! {
        (cards(analysis, quantile))
        section {
            h2 { "mAP over tasks" }
            p {
                "Mean average precision at the end of each task, with the weights of the best epoch. The level of chance is measured "
                "on that very test set: the mean, and the " (percentile(quantile)) ", of " (permutations)
                " permutations of its labels under the same scores."
            }
            (over_tasks(analysis, quantile)?)
            (tables::tasks(analysis, quantile))
        }
        (availability(analysis)?)
        section {
            h2 { "By category" }
            p { "Each category against all others on the test set, by task. The last column is what the last task forgot." }
            (tables::by_category(analysis))
        }
        section {
            h2 { "By subcategory" }
            p {
                "Average precision of each latent subcategory against all clips of other categories, on the test set. Hatched: the "
                "subcategory has no clip in that task's training list."
            }
            (tables::by_subcategory(analysis))
        }
        (confusion(analysis))
        (curves(analysis)?)
        (history(analysis)?)
        (settings(analysis))
    })
}

/// `99th percentile`.
fn percentile(quantile: f64) -> String {
    format!("{}th percentile", (quantile * 100.0).round())
}

fn cards(analysis: &Analysis, quantile: f64) -> Markup {
    let last = analysis.last();
    let map = last.and_then(|t| analysis.test(t.task, "mean_ap").value);
    let chance = last.and_then(|t| t.chance);
    let clips = last.and_then(|t| t.evaluation.as_ref()).map(|e| e.clips);
    html! {
        div.cards {
            (card(&number(map), "last task's test mAP", &format!("chance: {} at the {}", number(chance.map(|c| c.quantile)), percentile(quantile))))
            (card(&number(analysis.mean("mean_ap")), "mean test mAP over tasks", &format!("weighted by class {}", number(analysis.mean("mean_ap_weighted")))))
            (card(&number(analysis.mean_forgetting("mean_ap")), "mean forgetting of mAP", "over tasks 1 and up; below 0 is a gain"))
            (card(&number(analysis.mean("accuracy")), "mean test accuracy", &format!("forgetting {}", number(analysis.mean_forgetting("accuracy")))))
            (card(&analysis.tasks.len().to_string(), "tasks", &clips.map_or_else(String::new, |n| format!("{n} test clips"))))
        }
    }
}

fn over_tasks(analysis: &Analysis, quantile: f64) -> Result<Markup, ReportError> {
    let tasks: Vec<i32> = analysis.tasks.iter().map(|t| t.task).collect();
    let line = |name: &str, color, value: &dyn Fn(&TaskAnalysis) -> Option<f64>| {
        let mut line = Series::new(name, color);
        let points = analysis.tasks.iter();
        line.points = points.map(|t| (f64::from(t.task), value(t))).collect();
        line
    };
    let of =
        |split, metric| move |t: &TaskAnalysis| analysis.run.figures.overall(t.task, split, metric);
    let test = line("test", charts::color(0), &|t| {
        of(Split::Test, "mean_ap")(t).value
    });
    let validation = line("validation", charts::color(5), &|t| {
        of(Split::Validation, "mean_ap")(t).value
    });
    let name = format!("chance, {}", percentile(quantile));
    let mut chance = line(&name, charts::MUTED, &|t| t.chance.map(|c| c.quantile));
    (chance.dashed, chance.dots) = (true, false);
    let values = [validation, test, chance];
    let mut axes = Axes::tasks(&tasks, "mAP");
    axes.y_range = 0.0..1.0;
    let map = charts::lines("mAP over tasks", CHART_SIZE, &axes, &values)?;
    let forgotten = [
        line("mAP", charts::color(1), &|t| {
            of(Split::Test, "mean_ap")(t).forgetting
        }),
        line("accuracy", charts::color(4), &|t| {
            of(Split::Test, "accuracy")(t).forgetting
        }),
    ];
    let axes = Axes::tasks(&tasks, "forgetting").fitted(&forgotten);
    let forgetting = charts::lines("forgetting over tasks", CHART_SIZE, &axes, &forgotten)?;
    Ok(html! {
        div.grid {
            (figure(&map, "Mean average precision over tasks", Some(legend_of(&values))))
            (figure(&forgetting, "Forgetting on the test set: best earlier value minus the present one", Some(legend_of(&forgotten))))
        }
    })
}

fn legend_of(lines: &[Series]) -> Markup {
    legend(lines.iter().map(|l| (l.color, l.dashed, l.name.as_str())))
}

fn availability(analysis: &Analysis) -> Result<Markup, ReportError> {
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
        return Ok(html! {});
    }
    let svg = charts::flows("availability", &panels)?;
    let of_task = |task| tables::unusable(run, task);
    let unusable = (0..run.clips.tasks).map(of_task).max().unwrap_or(0);
    let meanings = charts::flow_legend().map(|(color, meaning)| (color, false, meaning));
    Ok(html! {
        section {
            h2 { "Availability" }
            p {
                "Training clips of each category that a task may use, and what it lost on entering the task."
                @if unusable > 0 { " At most " (unusable) " clips of a task's lists have no frames and were passed over." }
            }
            (figure(&svg, "Training clips by task; what was removed hangs below the axis", Some(legend(meanings))))
            details {
                summary { "The numbers" }
                (tables::availability(analysis))
            }
        }
    })
}

fn confusion(analysis: &Analysis) -> Markup {
    let evaluated = || {
        analysis
            .tasks
            .iter()
            .filter_map(|t| Some((t.task, t.evaluation.as_ref()?)))
    };
    html! {
        @if evaluated().next().is_some() {
            section {
                h2 { "Confusion" }
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
            }
        }
    }
}

fn curves(analysis: &Analysis) -> Result<Markup, ReportError> {
    let mut figures = Vec::new();
    for task in &analysis.tasks {
        let Some(evaluation) = &task.evaluation else {
            continue;
        };
        let lines: Vec<Series> = analysis
            .run
            .taxonomy
            .categories()
            .iter()
            .zip(&evaluation.pr_curves)
            .enumerate()
            .map(|(k, (category, curve))| curve_line(&category.name, k, curve))
            .collect();
        let axes = Axes {
            x: "recall".into(),
            y: "precision".into(),
            x_range: 0.0..1.0,
            x_ticks: charts::ticks(&(0.0..1.0)),
            y_range: 0.0..1.02,
        };
        let svg = charts::lines("precision-recall curves", CURVE_SIZE, &axes, &lines)?;
        figures.push((task.task, svg));
    }
    if figures.is_empty() {
        return Ok(html! {});
    }
    let categories = analysis.run.taxonomy.categories().iter().enumerate();
    let entries = categories.map(|(k, c)| (charts::color(k), false, c.name.as_str()));
    Ok(html! {
        section {
            h2 { "Precision and recall" }
            p { "One category against all others, on the test set, at the end of each task." }
            (legend(entries))
            div.grid.small {
                @for (task, svg) in &figures { (figure(svg, &format!("Task {task}"), None)) }
            }
        }
    })
}

/// A curve, thinned to what a screen shows.
fn curve_line(category: &str, k: usize, curve: &PrCurve) -> Series {
    let mut line = Series::new(category, charts::color(k));
    line.dots = false;
    let n = curve.precision.len();
    let step = n.div_ceil(CURVE_POINTS).max(1);
    let kept = (0..n).filter(|i| i % step == 0 || i + 1 == n);
    line.points = kept
        .map(|i| (curve.recall[i], Some(curve.precision[i])))
        .collect();
    line
}

fn history(analysis: &Analysis) -> Result<Markup, ReportError> {
    let rows = &analysis.run.history;
    if rows.is_empty() {
        return Ok(html! {});
    }
    // Epochs of all tasks one after the other.
    let mut epochs: Vec<(i32, i32)> = rows.iter().map(|r| (r.task, r.epoch)).collect();
    epochs.sort_unstable();
    epochs.dedup();
    let place = |task, epoch| epochs.binary_search(&(task, epoch)).unwrap_or(0);
    #[allow(clippy::cast_precision_loss)] // Some thousands of epochs.
    let line = |name: &str, k, split, metric: &str| {
        let mut line = Series::new(name, charts::color(k));
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
        line("validation loss", 4, Split::Validation, "loss"),
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
    Ok(html! {
        section {
            h2 { "Training" }
            div.grid {
                (figure(&loss, "Classification loss of each epoch", Some(legend_of(&losses))))
                (figure(&map, "Mean average precision on the task's validation set", Some(legend_of(&maps))))
            }
        }
    })
}

fn settings(analysis: &Analysis) -> Markup {
    let run = &analysis.run;
    let text = |value: &Value| {
        value
            .as_str()
            .map_or_else(|| value.to_string(), str::to_owned)
    };
    html! {
        section {
            h2 { "Settings" }
            p { "Run " code { (run.name) } ". Everything that can change its result." }
            div.grid {
                table.wide {
                    thead { tr { th { "setting" } th { "value" } } }
                    tbody {
                        tr { td { "scenario" } td { (run.scenario) } }
                        tr { td { "start" } td { (run.start) } }
                        @if let Some(seed) = run.tasks_seed { tr { td { "seed of the tasks" } td { (seed) } } }
                        @for (name, value) in run.settings.iter().filter(|(name, _)| *name != "scenario") {
                            @if let Some(inner) = value.as_object() {
                                @for (inner_name, value) in inner {
                                    tr { td { (name) "." (inner_name) } td { (text(value)) } }
                                }
                            } @else {
                                tr { td { (name) } td { (text(value)) } }
                            }
                        }
                    }
                }
            }
        }
    }
}
