//! The section with the figures of each group over its seeds.

use maud::html;

use super::analyse::TaskAnalysis;
use super::export::Export;
use super::groups::Group;
use super::judgement::Spread;
use super::numbers::spread;
use super::parts::{Column, forgetting_spread_cell, share_spread_cell, spread_cell, table};
use super::populations::{Population, Populations};
use super::section::Section;

/// A figure of a population at the end of each run's last task, over seeds.
fn of_population(
    group: &Group<'_>,
    population: fn(&Populations) -> &Population,
    figure: fn(&Population) -> Option<f64>,
) -> Spread {
    group.last(|t: &TaskAnalysis| figure(population(t.populations.as_ref()?)))
}

/// A row for each group.
pub(super) fn section(groups: &[Group<'_>]) -> Section {
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
