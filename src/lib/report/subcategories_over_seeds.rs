//! The section with each subcategory's figures over seeds.

use maud::{Markup, html};

use super::groups::Group;
use super::parts::{Column, forgetting_spread_cell, ordered_table, share_spread_cell};
use super::section::Section;

/// Columns of a table by subcategory before the next table begins: as many as a printed page has
/// room for.
const COLUMNS_A_TABLE: usize = 6;

/// A table of each scenario.
pub(super) fn section(tables: &[(&str, Vec<&Group<'_>>)]) -> Section {
    Section::new(
        "by-subcategory",
        "By subcategory",
        html! {
            p {
                "Average precision of each subcategory against all other categories (↑ higher is better, but for what was withdrawn), "
                "mean over tasks, then mean ± standard deviation over seeds."
            }
            @for (scenario, groups) in tables {
                h3 { (scenario) }
                @for part in groups.chunks(COLUMNS_A_TABLE) { (by_subcategory(scenario, part, "value")) }
                details {
                    summary { "Forgetting by subcategory, " (scenario) " (↓ lower is better, but for what was withdrawn)" }
                    @for part in groups.chunks(COLUMNS_A_TABLE) { (by_subcategory(scenario, part, "forgetting")) }
                }
            }
        },
    )
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
