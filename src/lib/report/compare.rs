//! Several runs side by side: figures over seeds by scenario and approach.

use std::collections::{BTreeMap, BTreeSet};

use maud::{Markup, html};

use super::charts::{self, Axes, CHART_SIZE, Series};
use super::groups::Group;
use super::judgement::Spread;
use super::looks::{Look, Mark};
use super::numbers::clips;
use super::parts::{Column, figure, legend_of, table};
use super::section::Section;
use super::{ReportError, over_seeds, paired_section, subcategories_over_seeds};

/// The sections that compare the groups; none where no run is finished.
pub(super) fn sections(all: &[Group<'_>]) -> Result<Vec<Section>, ReportError> {
    if all.is_empty() {
        return Ok(Vec::new());
    }
    let mut sections = vec![over_seeds::section(all)];
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
    sections.extend(paired_section::section(&tables));
    sections.push(subcategories_over_seeds::section(&tables));
    Ok(sections)
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

/// mAP and forgetting over tasks, a line for each approach of a scenario. Where subcategories come
/// and go, what is forgotten of those that are there stands apart from what is lost of the others.
fn over_tasks(
    scenario: &str,
    groups: &[&Group<'_>],
    all: &[Group<'_>],
) -> Result<Markup, ReportError> {
    let tasks: BTreeSet<i32> = groups.iter().flat_map(|g| g.tasks()).collect();
    let tasks: Vec<i32> = tasks.into_iter().collect();
    let lines = |of: &dyn Fn(&Group<'_>, i32) -> Spread| -> Vec<Series> {
        let of_group = |group: &&Group<'_>| {
            let mut line = Series::with_look(group.short_name(), look(group, all));
            for task in group.tasks() {
                let spread = of(group, task);
                line.points.push((f64::from(task), spread.mean));
                let ends = spread.mean.zip(spread.deviation);
                line.bars.push(ends.map(|(mean, d)| (mean - d, mean + d)));
            }
            line
        };
        groups.iter().map(of_group).collect()
    };
    let drawn = |what: &str, lines: &[Series], caption: &str| {
        let axes = Axes::tasks(&tasks, what).fitted(lines);
        let name = format!("{what} over tasks, {scenario}");
        let svg = charts::lines(&name, CHART_SIZE, &axes, lines)?;
        Ok::<_, ReportError>(figure(&svg, caption, Some(legend_of(lines))))
    };
    let counts = groups.iter().flat_map(|group| &group.runs);
    let counts = counts.filter_map(|run| run.test_clips());
    let n = clips(counts.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))));
    let mut values = lines(&|group, task| group.of_task(task, "mean_ap")[0]);
    values.push(chance(&tasks, groups));
    let map = format!(
        "Test mAP over tasks, of {n} (↑ higher is better); bars are one standard deviation over seeds"
    );
    let mut figures = vec![drawn("test mAP", &values, &map)?];
    if groups.iter().any(|group| group.is_changing()) {
        let kept = lines(&|group, task| group.population(Some(task), |p| &p.available)[1]);
        let lost = lines(&|group, task| group.population(Some(task), |p| &p.withdrawn)[1]);
        figures.push(drawn(
            "forgetting of what is available",
            &kept,
            "Forgetting of what is available over tasks, since its best task (↓ lower is better)",
        )?);
        figures.push(drawn(
            "forgetting of what was withdrawn",
            &lost,
            "Forgetting of what was withdrawn over tasks, since the last task that had it (↑ more is better: it is what withdrawing is for)",
        )?);
    } else {
        let forgotten = lines(&|group, task| group.of_task(task, "mean_ap")[1]);
        figures.push(drawn(
            "forgetting of test mAP",
            &forgotten,
            &format!("Forgetting of the test mAP over tasks, of {n} (↓ lower is better)"),
        )?);
    }
    Ok(html! { div.grid { @for figure in &figures { (figure) } } })
}

/// The level of chance in each task: of all runs' the highest, which is above chance in each.
fn chance(tasks: &[i32], groups: &[&Group<'_>]) -> Series {
    let runs = || groups.iter().flat_map(|group| &group.runs);
    let highest = |task: i32| {
        let levels = runs().filter_map(|a| a.task(task)?.chance_quantile());
        levels.reduce(f64::max)
    };
    let mut line = Series::new(
        "chance, 99th percentile, highest of all runs",
        charts::MUTED,
    );
    line.points = tasks.iter().map(|&t| (f64::from(t), highest(t))).collect();
    (line.dash, line.dots) = (Some((6, 4)), false);
    line
}
