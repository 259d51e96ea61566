//! The section with the paired tests of a scenario's approaches.

use maud::html;

use super::export::{Cell, Export, Kind};
use super::groups::Group;
use super::numbers::{ends, number};
use super::paired::{LEVEL, comparisons};
use super::parts::{Column, table};
use super::section::Section;

/// Every pair of a scenario's approaches on the seeds that both have.
pub(super) fn section(scenarios: &[(&str, Vec<&Group<'_>>)]) -> Option<Section> {
    let columns = [
        Column::text("scenario"),
        Column::text("first"),
        Column::text("second"),
        Column::number("seeds (n)"),
        Column::number("first − second, mean test mAP"),
        Column::number("95 % interval"),
        Column::number("p, sign flips"),
        Column::number("p after Holm"),
        Column::text(format!("at {LEVEL} after Holm")),
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
    let export = Export {
        columns: vec![
            ("scenario", Kind::One),
            ("first", Kind::One),
            ("second", Kind::One),
            ("first - second", Kind::Difference),
            ("p", Kind::One),
            ("p after Holm", Kind::One),
            ("verdict", Kind::One),
        ],
        rows: pairs
            .iter()
            .map(|(scenario, pair)| {
                let text = |text: &str| Cell::Text(text.to_owned());
                vec![
                    text(scenario),
                    text(&pair.first),
                    text(&pair.second),
                    Cell::Spread(pair.difference),
                    Cell::Number(pair.p),
                    Cell::Number(pair.corrected),
                    text(pair.verdict()),
                ]
            })
            .collect(),
    };
    let body = html! {
        p {
            "Differences of the mean test mAP on the seeds that both have, of finished runs of the same tasks: Student's interval over the pairs, "
            "and the sign-flip test, two-sided. With n seeds its p cannot fall below 2 / 2ⁿ (0.25 with three, 0.031 with six). Holm's correction "
            "is for all pairs of the scenario, and it decides: one of two is called higher only where p after Holm is at most " (LEVEL)
            ", whatever the interval, which is not corrected, says."
        }
        (table("Paired tests over seeds", &columns, &rows))
        (export.render())
    };
    Some(Section::new("paired", "Paired tests over seeds", body))
}
