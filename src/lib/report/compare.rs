//! Several runs side by side: figures over seeds by scenario and approach.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::ReportError;
use super::analyse::Spread;
use super::charts::{self, Axes, Series};
use super::groups::Group;
use super::parts::{figure, forgetting_cell_text, legend, share_cell, spread};

const CHART_SIZE: (u32, u32) = (560, 330);

/// The sections that compare the groups.
pub(super) fn sections(groups: &[Group<'_>]) -> Result<Markup, ReportError> {
    let scenarios: BTreeSet<&str> = groups.iter().map(|g| g.scenario.as_str()).collect();
    let mut charts = Vec::new();
    for scenario in scenarios {
        let groups: Vec<&Group<'_>> = groups.iter().filter(|g| g.scenario == scenario).collect();
        charts.push((scenario, over_tasks(scenario, &groups)?));
    }
    Ok(html! {
        section {
            h2 { "Over seeds" }
            p {
                "Mean over the tasks of each run, then mean ± standard deviation (n − 1) over seeds. Forgetting is the best "
                "earlier value minus the present one, over tasks 1 and up; below 0 the model got better."
            }
            (overview(groups))
        }
        @for (scenario, charts) in &charts {
            section {
                h2 { (scenario) }
                (charts)
            }
        }
        section {
            h2 { "By subcategory" }
            p { "Average precision of each subcategory against all other categories, mean over tasks, over seeds." }
            (by_subcategory(groups, "value"))
            details {
                summary { "Forgetting by subcategory" }
                (by_subcategory(groups, "forgetting"))
            }
        }
    })
}

fn overview(groups: &[Group<'_>]) -> Markup {
    html! {
        div.scroll {
            table.wide.compact {
                thead {
                    tr {
                        th { "scenario" } th { "approach" } th.n { "seeds" }
                        th.n { "mAP" } th.n { "weighted mAP" } th.n { "accuracy" }
                        th.n { "forgetting of mAP" } th.n { "of accuracy" }
                        th.n { "last task's mAP" } th.n { "chance, 99th percentile" }
                    }
                }
                tbody {
                    @for group in groups {
                        @let (map, forgotten) = group.over_tasks("mean_ap");
                        @let (accuracy, forgotten_accuracy) = group.over_tasks("accuracy");
                        @let last = last_map(group);
                        tr {
                            td.name { (group.scenario) } td.name { (group.approach) } td.n { (group.runs.len()) }
                            (share_cell(map.mean, &spread(&map)))
                            td.n { (spread(&group.over_tasks("mean_ap_weighted").0)) }
                            td.n { (spread(&accuracy)) }
                            (forgetting_cell_text(forgotten.mean, &spread(&forgotten)))
                            (forgetting_cell_text(forgotten_accuracy.mean, &spread(&forgotten_accuracy)))
                            td.n { (spread(&last)) }
                            td.n { (spread(&last_chance(group))) }
                        }
                    }
                }
            }
        }
    }
}

fn last_map(group: &Group<'_>) -> Spread {
    super::analyse::over_runs(
        group
            .runs
            .iter()
            .map(|a| a.last().and_then(|t| a.test(t.task, "mean_ap").value)),
    )
}

fn last_chance(group: &Group<'_>) -> Spread {
    let last = group.runs.iter().map(|a| a.last().and_then(|t| t.chance));
    super::analyse::over_runs(last.map(|chance| chance.map(|c| c.quantile)))
}

/// mAP and forgetting over tasks, a line for each approach of a scenario.
fn over_tasks(scenario: &str, groups: &[&Group<'_>]) -> Result<Markup, ReportError> {
    let lines = |pick: fn((Spread, Spread)) -> Spread| -> Vec<Series> {
        let groups = groups.iter().enumerate();
        groups
            .map(|(k, group)| {
                let mut line = Series::new(group.approach.clone(), charts::color(k));
                for task in group.tasks() {
                    let spread = pick(group.of_task(task, "mean_ap"));
                    line.points.push((f64::from(task), spread.mean));
                    line.bars.push(spread.deviation);
                }
                line
            })
            .collect()
    };
    let (values, forgotten) = (lines(|s| s.0), lines(|s| s.1));
    let tasks: BTreeSet<i32> = groups.iter().flat_map(|g| g.tasks()).collect();
    let tasks: Vec<i32> = tasks.into_iter().collect();
    let drawn = |what: &str, lines: &[Series]| {
        let axes = Axes::tasks(&tasks, what).fitted(lines);
        charts::lines(&format!("{what}, {scenario}"), CHART_SIZE, &axes, lines)
    };
    let approaches = || {
        let entries = groups.iter().enumerate();
        legend(entries.map(|(k, g)| (charts::color(k), false, g.approach.as_str())))
    };
    let map = drawn("test mAP", &values)?;
    let forgetting = drawn("forgetting of mAP", &forgotten)?;
    Ok(html! {
        div.grid {
            (figure(&map, "Test mAP over tasks; bars are one standard deviation over seeds", Some(approaches())))
            (figure(&forgetting, "Forgetting of the test mAP over tasks", Some(approaches())))
        }
    })
}

fn by_subcategory(groups: &[Group<'_>], what: &str) -> Markup {
    // In the order of the first run that knows them.
    let mut subcategories: Vec<(String, String)> = Vec::new();
    for run in groups.iter().flat_map(|g| &g.runs).map(|a| &a.run) {
        for (class, name) in run.taxonomy.subcategories() {
            let category = run.taxonomy.categories()[class].name.clone();
            let entry = (category, name.to_owned());
            if !subcategories.contains(&entry) {
                subcategories.push(entry);
            }
        }
    }
    html! {
        div.scroll {
            table.compact {
                thead {
                    tr {
                        th {}
                        @for group in groups { th.n { (group.scenario) " · " (group.approach) } }
                    }
                }
                tbody {
                    @for (k, (category, subcategory)) in subcategories.iter().enumerate() {
                        @if k == 0 || subcategories[k - 1].0 != *category {
                            tr.group { th colspan=(groups.len() + 1) { (category) } }
                        }
                        tr {
                            td.name { (subcategory) }
                            @for group in groups {
                                @let (value, forgotten) = group.subcategory("ap_per_subcategory", category, subcategory);
                                @if what == "value" {
                                    (share_cell(value.mean, &spread(&value)))
                                } @else {
                                    (forgetting_cell_text(forgotten.mean, &spread(&forgotten)))
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
