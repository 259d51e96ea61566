//! The section with each subcategory's figures over seeds.

use maud::{Markup, html};

use super::groups::Group;
use super::judgement::Spread;
use super::parts::{
    Column, away_spread_cell, forgetting_spread_cell, ordered_table, share_spread_cell,
};
use super::populations::Presence;
use super::section::Section;

/// Columns of a table by subcategory before the next table begins: as many as a printed page has
/// room for.
const COLUMNS_A_TABLE: usize = 6;

/// Tasks over which a subcategory's figures are averaged, and never over those of two kinds: what a
/// model forgets while it may use a subcategory is a loss, afterwards it is what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Available,
    Withdrawn,
    NotYet,
}

impl Phase {
    const ALL: [Self; 3] = [Self::Available, Self::Withdrawn, Self::NotYet];

    /// What a subcategory is to the tasks of it.
    fn presence(self) -> fn(Presence) -> bool {
        match self {
            Self::Available => |presence| presence == Presence::Available,
            Self::Withdrawn => Presence::is_withdrawn,
            Self::NotYet => |presence| presence == Presence::NotYet,
        }
    }

    /// What the page calls it.
    fn name(self) -> &'static str {
        match self {
            Self::Available => "while available",
            Self::Withdrawn => "since withdrawn",
            Self::NotYet => "before it arrived",
        }
    }
}

/// Which of a subcategory's figures a table shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Value,
    Forgetting,
}

impl Shown {
    fn name(self) -> &'static str {
        match self {
            Self::Value => "value",
            Self::Forgetting => "forgetting",
        }
    }
}

/// A table of each scenario.
pub(super) fn section(tables: &[(&str, Vec<&Group<'_>>)]) -> Section {
    Section::new(
        "by-subcategory",
        "By subcategory",
        html! {
            p {
                "Average precision of each subcategory against all other categories, mean over tasks, then mean ± standard deviation over seeds. "
                "A subcategory that comes or goes has a row of each of its times: the tasks that have clips of it (↑ higher is better), those since "
                "it was withdrawn (hatched, with the tasks at which it left in one seed or another; lower is what is wanted), and those before it arrived."
            }
            @for (scenario, groups) in tables {
                h3 { (scenario) }
                @for part in groups.chunks(COLUMNS_A_TABLE) { (by_subcategory(scenario, part, Shown::Value)) }
                details {
                    summary { "Forgetting by subcategory, " (scenario) " (↓ lower is better while it is available)" }
                    @for part in groups.chunks(COLUMNS_A_TABLE) { (by_subcategory(scenario, part, Shown::Forgetting)) }
                }
            }
        },
    )
}

fn by_subcategory(scenario: &str, groups: &[&Group<'_>], shown: Shown) -> Markup {
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
            @let phases = phases(groups, subcategory, shown);
            @for (phase, spreads) in &phases {
                tr {
                    th.name scope="row" {
                        (subcategory)
                        @if phases.len() > 1 || *phase != Phase::Available { " " small { (phase.name()) } }
                    }
                    @for (group, spread) in groups.iter().zip(spreads) { (cell(group, subcategory, *phase, shown, spread)) }
                }
            }
        }
    };
    ordered_table(
        &format!("Subcategories, {}, {scenario}", shown.name()),
        &columns,
        &rows,
    )
}

/// The times of a subcategory in which some group has a figure of it, with those figures. What has
/// never been there cannot be forgotten.
fn phases(groups: &[&Group<'_>], subcategory: &str, shown: Shown) -> Vec<(Phase, Vec<Spread>)> {
    let of = |phase: Phase| {
        let of_group = |group: &&Group<'_>| {
            let [value, forgetting] = group.subcategory(subcategory, phase.presence());
            match shown {
                Shown::Value => value,
                Shown::Forgetting => forgetting,
            }
        };
        (phase, groups.iter().map(of_group).collect::<Vec<_>>())
    };
    let wanted = Phase::ALL.into_iter();
    let wanted = wanted.filter(|phase| shown == Shown::Value || *phase != Phase::NotYet);
    let all = wanted.map(of);
    all.filter(|(_, spreads)| spreads.iter().any(|spread| spread.runs > 0))
        .collect()
}

fn cell(
    group: &Group<'_>,
    subcategory: &str,
    phase: Phase,
    shown: Shown,
    spread: &Spread,
) -> Markup {
    match (phase, shown) {
        (Phase::Available, Shown::Value) => share_spread_cell(spread),
        (Phase::Available, Shown::Forgetting) => forgetting_spread_cell(spread),
        (Phase::Withdrawn, _) => {
            let tasks = group.left_at(subcategory);
            let tasks: Vec<String> = tasks.iter().map(i32::to_string).collect();
            away_spread_cell(spread, &format!("left at task {}", tasks.join(", ")))
        }
        (Phase::NotYet, _) => away_spread_cell(spread, "not yet"),
    }
}
