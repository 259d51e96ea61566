//! Several runs side by side: figures over seeds by scenario and approach.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::ReportError;
use super::analyse::TaskAnalysis;
use super::charts::{self, Axes, CHART_SIZE, Series};
use super::export::Export;
use super::groups::Group;
use super::judgement::Spread;
use super::looks::{Look, Mark};
use super::numbers::{ends, number, spread};
use super::paired::comparisons;
use super::parts::{
    Column, figure, forgetting_spread_cell, legend_of, ordered_table, share_spread_cell,
    spread_cell, table,
};
use super::populations::{Population, Populations};
use super::section::Section;

/// Columns of a table by subcategory before the next table begins: as many as a printed page has
/// room for.
const COLUMNS_A_TABLE: usize = 6;

/// The sections that compare the groups.
pub(super) fn sections(all: &[Group<'_>]) -> Result<Vec<Section>, ReportError> {
    let mut sections = vec![overview(all)];
    sections.extend(settings(all));
    let scenarios: BTreeSet<&str> = all.iter().map(|g| g.scenario.as_str()).collect();
    let mut charts = Vec::new();
    let mut tables = Vec::new();
    for scenario in &scenarios {
        let groups: Vec<&Group<'_>> = all.iter().filter(|g| g.scenario == *scenario).collect();
        charts.push((*scenario, over_tasks(scenario, &groups, all)?));
        tables.push((*scenario, groups));
    }
    sections.push(Section::new(
        "over-tasks",
        "Over tasks",
        html! {
            p { "An approach has the same colour and dashes everywhere; the marks of its points tell its settings apart." }
            @for (scenario, charts) in &charts {
                h3 { (scenario) }
                (charts)
            }
        },
    ));
    sections.extend(paired(&tables));
    sections.push(Section::new(
        "by-subcategory",
        "By subcategory",
        html! {
            p {
                "Average precision of each subcategory against all other categories (↑ higher is better, but for what was withdrawn), "
                "mean over tasks, then mean ± standard deviation over seeds."
            }
            @for (scenario, groups) in &tables {
                h3 { (scenario) }
                @for part in groups.chunks(COLUMNS_A_TABLE) { (by_subcategory(scenario, part, "value")) }
                details {
                    summary { "Forgetting by subcategory, " (scenario) " (↓ lower is better, but for what was withdrawn)" }
                    @for part in groups.chunks(COLUMNS_A_TABLE) { (by_subcategory(scenario, part, "forgetting")) }
                }
            }
        },
    ));
    Ok(sections)
}

/// A figure of a population at the end of each run's last task, over seeds.
fn of_population(
    group: &Group<'_>,
    population: fn(&Populations) -> &Population,
    figure: fn(&Population) -> Option<f64>,
) -> Spread {
    group.last(|t: &TaskAnalysis| figure(population(t.populations.as_ref()?)))
}

fn overview(groups: &[Group<'_>]) -> Section {
    let columns = [
        Column::text("scenario"),
        Column::text("approach"),
        Column::number("seeds"),
        Column::number("mAP, mean over tasks ↑"),
        Column::number("last task's mAP ↑"),
        Column::number("chance, 99th percentile"),
        Column::number("accuracy ↑"),
        Column::number("AP of what is available ↑"),
        Column::number("its forgetting ↓"),
        Column::number("AP of what was withdrawn ↓"),
        Column::number("its forgetting ↑"),
        Column::number("AP of what has not arrived"),
    ];
    let figures = |group: &Group<'_>| {
        [
            group.over_tasks("mean_ap").0,
            group.last_map(),
            group.last(TaskAnalysis::chance_quantile),
            group.over_tasks("accuracy").0,
            of_population(group, |p| &p.available, |p| p.value),
            of_population(group, |p| &p.available, |p| p.forgetting),
            of_population(group, |p| &p.withdrawn, |p| p.value),
            of_population(group, |p| &p.withdrawn, |p| p.forgetting),
            of_population(group, |p| &p.not_yet, |p| p.value),
        ]
    };
    let export = Export {
        columns: vec![
            "scenario",
            "approach",
            "seeds",
            "mAP",
            "last mAP",
            "chance",
            "accuracy",
            "available AP",
            "available forgetting",
            "withdrawn AP",
            "withdrawn forgetting",
            "not yet AP",
        ],
        rows: groups
            .iter()
            .map(|group| {
                let names = [group.scenario.clone(), group.short_name()];
                let figures = figures(group).into_iter().map(|f| spread(&f));
                let seeds = group.runs.len().to_string();
                names.into_iter().chain([seeds]).chain(figures).collect()
            })
            .collect(),
    };
    let rows = html! {
        @for group in groups {
            @let [map, last, chance, accuracy, available, kept, withdrawn, lost, not_yet] = figures(group);
            tr {
                td.name { (group.scenario) } th.name scope="row" { (group.short_name()) } td.n { (group.runs.len()) }
                (share_spread_cell(&map)) (share_spread_cell(&last)) (spread_cell(&chance)) (spread_cell(&accuracy))
                (share_spread_cell(&available)) (forgetting_spread_cell(&kept))
                (share_spread_cell(&withdrawn)) (spread_cell(&lost)) (share_spread_cell(&not_yet))
            }
        }
    };
    let body = html! {
        p {
            "Each run's figure first, then mean ± standard deviation (n − 1) over seeds; in small print the number of seeds and Student's "
            "95 % interval of the mean. ↑ higher is better, ↓ lower is better. Subcategories are those of the last task: of what was withdrawn a low figure "
            "and a large forgetting are what is wanted. All on the test set."
        }
        (table("Figures over seeds", &columns, &rows))
        (export.render())
    };
    Section::new("over-seeds", "Over seeds", body)
}

/// The settings that each letter of an approach stands for.
type Letters<'a> = BTreeMap<&'a str, &'a [(String, String)]>;

/// What the letters of the groups stand for; nothing where there are none.
fn settings(groups: &[Group<'_>]) -> Option<Section> {
    let mut approaches: BTreeMap<&str, Letters<'_>> = BTreeMap::new();
    for group in groups {
        if let Some(letter) = &group.letter {
            let letters = approaches.entry(&group.approach).or_default();
            letters.insert(letter, &group.differing);
        }
    }
    if approaches.is_empty() {
        return None;
    }
    let body = html! {
        p { "Runs of one approach under other settings are groups of their own, named by letters. The settings that are not listed are the same in all of them." }
        @for (approach, letters) in &approaches {
            @let names: Vec<&String> = letters.values().next().into_iter().flat_map(|d| d.iter().map(|(key, _)| key)).collect();
            @let columns: Vec<Column> = std::iter::once(Column::text(*approach)).chain(names.iter().map(|name| Column::text(name.as_str()))).collect();
            @let rows = html! {
                @for (letter, differing) in letters {
                    tr { th scope="row" { (letter) } @for (_, value) in *differing { td { (value) } } }
                }
            };
            (table(&format!("Settings of {approach}"), &columns, &rows))
        }
    };
    Some(Section::new("settings", "What the letters stand for", body))
}

/// Every pair of a scenario's approaches on the seeds that both have.
fn paired(scenarios: &[(&str, Vec<&Group<'_>>)]) -> Option<Section> {
    let columns = [
        Column::text("scenario"),
        Column::text("first"),
        Column::text("second"),
        Column::number("seeds (n)"),
        Column::number("first − second, mean test mAP"),
        Column::number("95 % interval"),
        Column::number("p, sign flips"),
        Column::number("p after Holm"),
        Column::text("by the interval"),
    ];
    let pairs: Vec<_> = scenarios
        .iter()
        .flat_map(|(scenario, groups)| {
            let found = comparisons(groups);
            found.into_iter().map(move |pair| (*scenario, pair))
        })
        .collect();
    if pairs.is_empty() {
        return None;
    }
    let rows = html! {
        @for (scenario, pair) in &pairs {
            tr {
                td.name { (scenario) } td.name { (pair.first) } td.name { (pair.second) }
                td.n { (pair.difference.runs) }
                td.n { (number(pair.difference.mean)) }
                td.n { (ends(pair.difference.interval)) }
                td.n { (number(pair.p)) }
                td.n { (number(pair.corrected)) }
                td.name { (pair.verdict()) }
            }
        }
    };
    let body = html! {
        p {
            "Differences of the mean test mAP on the seeds that both have: Student's interval over the pairs, and the exact sign-flip test, "
            "two-sided. With n seeds its p cannot fall below 2 / 2ⁿ (0.25 with three). Holm's correction is for all pairs of the scenario."
        }
        (table("Paired tests over seeds", &columns, &rows))
    };
    Some(Section::new("paired", "Paired tests over seeds", body))
}

/// The look of a group: its approach's, with a mark by its place among the approach's groups.
fn look(group: &Group<'_>, all: &[Group<'_>]) -> Look {
    let same = all.iter().filter(|g| g.approach == group.approach);
    let names: BTreeSet<String> = same.map(Group::short_name).collect();
    let place = names.iter().position(|name| *name == group.short_name());
    Look {
        mark: Mark::nth(place.unwrap_or(0)),
        ..Look::of(&group.approach)
    }
}

/// mAP and forgetting over tasks, a line for each approach of a scenario.
fn over_tasks(
    scenario: &str,
    groups: &[&Group<'_>],
    all: &[Group<'_>],
) -> Result<Markup, ReportError> {
    let lines = |pick: fn((Spread, Spread)) -> Spread| -> Vec<Series> {
        let of_group = |group: &&Group<'_>| {
            let mut line = Series::with_look(group.short_name(), look(group, all));
            for task in group.tasks() {
                let spread = pick(group.of_task(task, "mean_ap"));
                line.points.push((f64::from(task), spread.mean));
                let ends = spread.mean.zip(spread.deviation);
                line.bars.push(ends.map(|(mean, d)| (mean - d, mean + d)));
            }
            line
        };
        groups.iter().map(of_group).collect()
    };
    let (values, forgotten) = (lines(|s| s.0), lines(|s| s.1));
    let tasks: BTreeSet<i32> = groups.iter().flat_map(|g| g.tasks()).collect();
    let tasks: Vec<i32> = tasks.into_iter().collect();
    let drawn = |what: &str, lines: &[Series]| {
        let axes = Axes::tasks(&tasks, what).fitted(lines);
        charts::lines(
            &format!("{what} over tasks, {scenario}"),
            CHART_SIZE,
            &axes,
            lines,
        )
    };
    let map = drawn("test mAP", &values)?;
    let forgetting = drawn("forgetting of test mAP", &forgotten)?;
    Ok(html! {
        div.grid {
            (figure(&map, "Test mAP over tasks (↑ higher is better); bars are one standard deviation over seeds", Some(legend_of(&values))))
            (figure(&forgetting, "Forgetting of the test mAP over tasks, all clips (↓ lower is better)", Some(legend_of(&forgotten))))
        }
    })
}

fn by_subcategory(scenario: &str, groups: &[&Group<'_>], what: &str) -> Markup {
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
    let columns: Vec<Column> = std::iter::once(Column::text("name"))
        .chain(groups.iter().map(|g| Column::number(g.short_name())))
        .collect();
    let rows = html! {
        @for (k, (category, subcategory)) in subcategories.iter().enumerate() {
            @if k == 0 || subcategories[k - 1].0 != *category {
                tr.group { th colspan=(columns.len()) scope="rowgroup" { (category) } }
            }
            tr {
                th.name scope="row" { (subcategory) }
                @for group in groups {
                    @let (value, forgotten) = group.subcategory("ap_per_subcategory", category, subcategory);
                    @if what == "value" {
                        (share_spread_cell(&value))
                    } @else {
                        (forgetting_spread_cell(&forgotten))
                    }
                }
            }
        }
    };
    ordered_table(
        &format!("Subcategories, {what}, {scenario}"),
        &columns,
        &rows,
    )
}
