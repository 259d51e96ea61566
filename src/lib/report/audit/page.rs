//! The page.

use std::collections::BTreeSet;

use maud::{Markup, html};

use super::charts::{curves, scatter};
use super::definitions::{DEFINITIONS, FLOOR, STATEMENTS};
use super::figures::{END, Figures, PATH, SCRATCH, Wanted};
use super::table::{COLUMNS, MethodRow, seconds};
use crate::report::ReportError;
use crate::report::charts::Series;
use crate::report::document::Document;
use crate::report::numbers::number;
use crate::report::parts::{Column as Head, figure, legend_of, ordered_table};
use crate::report::section::{Section, contents};
use crate::tables::AuditRow;

/// Fewer seeds are warned of.
const FEW_SEEDS: i64 = 3;

/// The page's HTML, with the value of the chain of the ledger of withdrawals where there is one.
pub(super) fn page(
    figures: &Figures,
    methods: &[MethodRow],
    chain: Option<&str>,
) -> Result<String, ReportError> {
    let tasks: BTreeSet<i32> = methods.iter().map(|row| row.task).collect();
    let mut sections = vec![table(methods)];
    for &task in &tasks {
        let curves = curves(figures, methods, task)?;
        let scatter = scatter(figures, methods, task)?;
        let body = html! {
            div.grid {
                (drawing(&curves, "An attack by confidence, mean over seeds; to the left of 1 over the number of others nothing is resolved."))
                (drawing(&scatter, "What is kept beside what is forgotten; bars mark the references, which are the targets."))
            }
        };
        sections.push(Section::new(
            format!("task-{task}"),
            format!("Task {task}"),
            body,
        ));
    }
    sections.push(spread(figures, &tasks));
    sections.extend(sequences(figures));
    sections.push(statements());
    let title = match methods {
        [one] => format!("audit of {}", one.method),
        _ => format!("audit of {} methods", methods.len()),
    };
    let document = Document {
        kind: "audit",
        title: &title,
        lead: "How models that were made to forget compare with models that never saw what left.",
        chain,
        main: html! {
            (warnings(figures, methods))
            (contents(&sections))
            @for section in &sections { (section.render()) }
        },
        foot: definitions(figures),
    };
    Ok(document.html())
}

fn drawing((svg, series): &(String, Vec<Series>), caption: &str) -> Markup {
    figure(svg, caption, Some(legend_of(series)))
}

/// What must be known before any figure is read.
fn warnings(figures: &Figures, methods: &[MethodRow]) -> Markup {
    let named = |verdict: &str| -> Vec<&str> {
        let rows = methods.iter().filter(|row| row.verdict == verdict);
        rows.map(|row| &row.method[..]).collect()
    };
    let (over, contradictory) = (named("over-forgotten"), named("contradictory"));
    let few = methods.iter().any(|row| row.seeds < FEW_SEEDS);
    let unresolved = figures
        .rows
        .iter()
        .any(|row| row.measure == "phi_resolved_1" && row.run.is_some() && row.value == Some(0.0));
    let slow: Vec<&str> = methods
        .iter()
        .filter(|row| {
            let scratch = figures.seconds(SCRATCH, row.task, "training");
            row.seconds[0]
                .zip(scratch)
                .is_some_and(|(own, scratch)| own > scratch)
        })
        .map(|row| &row.method[..])
        .collect();
    let note = |text: String| html! { p.note.warn { (text) } };
    html! {
        @if !over.is_empty() {
            (note(format!("Over-forgotten: {}. They know less of what left than a model that never saw it, which tells who was withdrawn as surely as knowing more.", over.join(", "))))
        }
        @if !contradictory.is_empty() {
            (note(format!("Contradictory: {}. One figure lies above the reference's and another below.", contradictory.join(", "))))
        }
        @if few { (note("Fewer than three seeds: intervals are wide or absent.".to_owned())) }
        @if unresolved {
            (note("Too few others for a false positive rate of 1 %: tpr_at_1 is the rate without any false positive.".to_owned()))
        }
        @if !slow.is_empty() {
            (note(format!("Slower than training the task from the start: {}.", slow.join(", "))))
        }
        p.muted {
            "F, what left, was read after its withdrawal to make these figures: this is a research run in which F was kept."
        }
    }
}

/// Methods as rows, figures as columns.
fn table(methods: &[MethodRow]) -> Section {
    let mut heads = vec![
        Head::text("method"),
        Head::number("task"),
        Head::number("seeds"),
        Head::text("verdict"),
    ];
    heads.extend(COLUMNS.iter().map(|column| Head::number(column.heading)));
    heads.extend(["weights from path", "unlearning, s", "training, s"].map(Head::number));
    let rows = html! {
        @for row in methods {
            tr {
                th.name scope="row" { (row.method) @if row.is_exact() { " (exact)" } }
                td.n { (row.task) } td.n { (row.seeds) } td { (row.verdict) }
                @for cell in row.cells.iter().chain([&row.weights]) {
                    td.n {
                        @if cell.is_apart() { strong { (cell.value_text()) } } @else { (cell.value_text()) }
                        @if let Some(ends) = cell.ends_text() { small { (ends) } }
                    }
                }
                td.n { (seconds(row.seconds[0])) } td.n { (seconds(row.seconds[1])) }
            }
        }
    };
    let body = html! {
        p {
            "Best first: by how near the accuracies on F (what left), R (what stays) and T (the test clips) are to the path \
             reference's (ToW), the largest first. A difference whose 95 % interval leaves 0 out is bold. Exact methods are exact \
             for the part that they train again; a backbone that saw F stays as it was."
        }
        (ordered_table("Methods", &heads, &rows))
    };
    Section::new("methods", "Methods", body)
}

/// The references' own figures and how far two of them are apart.
fn spread(figures: &Figures, tasks: &BTreeSet<i32>) -> Section {
    let row = |method, task, population, measure| {
        figures.over_seeds(Wanted::own(method, task, population, measure))
    };
    let floors: Vec<_> = figures
        .rows
        .iter()
        .filter(|row| row.run.is_none() && row.moment == END && row.measure.ends_with("_floor"))
        .filter(|row| {
            row.group
                .as_deref()
                .is_none_or(|g| g == "all" || g == "heads")
        })
        .collect();
    let heads = [
        Head::text("reference"),
        Head::number("task"),
        Head::text("clips"),
        Head::text("figure"),
        Head::number("mean"),
        Head::number("over seeds"),
        Head::number("seeds"),
    ];
    let own = |task: i32| {
        let kinds = [PATH, SCRATCH].into_iter();
        kinds.flat_map(move |kind| figures.references(kind, task))
    };
    let rows = html! {
        @for &task in tasks {
            @for reference in own(task) {
                @for population in ["forget", "retain", "test"] {
                    @if let Some(row) = row(reference, task, population, "accuracy") {
                        tr {
                            th.name scope="row" { (reference) } td.n { (task) } td { (population) } td { "accuracy" }
                            (mean_cells(row)) td.n { (row.n) }
                        }
                    }
                }
            }
        }
        @for row in floors {
            tr {
                th.name scope="row" { (row.method) } td.n { (row.task) } td { (row.population) } td { (row.measure) }
                (mean_cells(row)) td.n { (row.n) }
            }
        }
    };
    let body = html! {
        p { "What no method can be expected to do better than: how much references of different seeds differ." }
        (ordered_table("Spread of the references", &heads, &rows))
    };
    Section::new("references", "The references' own spread", body)
}

/// The cells of a mean over seeds with Student's interval.
fn mean_cells(row: &AuditRow) -> Markup {
    html! {
        td.n { (number(row.value)) }
        td.n { "[" (number(row.t_low)) ", " (number(row.t_high)) "]" }
    }
}

/// What several requests did, where there were several.
fn sequences(figures: &Figures) -> Option<Section> {
    let of = [
        "erosion_step",
        "erosion_gap",
        "erosion_slope",
        "reversal",
        "relapse",
    ];
    let rows: Vec<_> = figures
        .rows
        .iter()
        .filter(|row| row.run.is_none() && of.contains(&&row.measure[..]))
        .collect();
    let heads = [
        Head::text("method"),
        Head::number("task"),
        Head::text("figure"),
        Head::text("of"),
        Head::text("beside"),
        Head::number("mean"),
        Head::number("over seeds"),
    ];
    let table = html! {
        @for row in &rows {
            tr {
                th.name scope="row" { (row.method) } td.n { (row.task) } td { (row.measure) }
                td { (row.group.as_deref().unwrap_or("all")) }
                td { (row.reference.as_deref().unwrap_or("its own")) }
                (mean_cells(row))
            }
        }
    };
    let body = ordered_table("Several requests", &heads, &table);
    (!rows.is_empty()).then(|| Section::new("requests", "Several requests", body))
}

fn statements() -> Section {
    let body = html! { ol { @for statement in STATEMENTS { li { (statement) } } } };
    Section::new("statements", "What these figures are, and are not", body)
}

/// Every measure that has rows, defined.
fn definitions(figures: &Figures) -> Markup {
    let measures = figures.measures();
    let is_there = |name: &str| {
        measures
            .iter()
            .any(|measure| *measure == name || (name.ends_with('_') && measure.starts_with(name)))
    };
    html! {
        "A dash is an undefined figure. The page loads nothing."
        dl {
            @for (name, meaning) in DEFINITIONS {
                @if is_there(name) { dt { code { (name) } } dd { (meaning) "." } }
            }
            @if measures.iter().any(|m| m.ends_with("_floor")) { dd { (FLOOR) "." } }
        }
    }
}
