//! The section with the figures of each group over its seeds.

use maud::html;

use super::export::{Cell, Export, Kind};
use super::groups::Group;
use super::parts::{Column, forgetting_spread_cell, share_spread_cell, spread_cell, table};
use super::section::Section;

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
        let [map, _] = group.over_tasks("mean_ap");
        let [accuracy, _] = group.over_tasks("accuracy");
        let [available, kept] = group.population(None, |p| &p.available);
        let [withdrawn, lost] = group.population(None, |p| &p.withdrawn);
        let [not_yet, _] = group.population(None, |p| &p.not_yet);
        [
            map,
            group.last_map(),
            group.last_chance_quantile(),
            accuracy,
            available,
            kept,
            withdrawn,
            lost,
            not_yet,
        ]
    };
    let export = Export {
        columns: vec![
            ("scenario", Kind::One),
            ("approach", Kind::One),
            ("seeds", Kind::One),
            ("mAP", Kind::Figure),
            ("last mAP", Kind::Figure),
            ("99th percentile of chance", Kind::Difference),
            ("accuracy", Kind::Figure),
            ("available AP", Kind::Figure),
            ("available forgetting", Kind::Difference),
            ("withdrawn AP", Kind::Figure),
            ("withdrawn forgetting", Kind::Difference),
            ("not yet AP", Kind::Figure),
        ],
        rows: groups
            .iter()
            .map(|group| {
                let names = [group.scenario.clone(), group.short_name()].map(Cell::Text);
                let figures = figures(group).map(Cell::Spread);
                let seeds = Cell::Count(group.runs.len());
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
            "Each run's figure first, then mean ± standard deviation (n − 1) over seeds. In small print stand n, the number of seeds, Student's "
            "95 % interval of the mean, the test clips of a run, and chance: what permuted labels reach on average. ↑ higher is better, "
            "↓ lower is better. Subcategories are those of the last task: of what was withdrawn a low figure and a large forgetting are what is "
            "wanted. All on the test set."
        }
        (table("Figures over seeds", &columns, &rows))
        (export.render())
    };
    Section::new("over-seeds", "Over seeds", body)
}
