//! The page as a whole: head, style, what is to be known first, contents, comparison, and the runs.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::analyse::Analysis;
use super::document::Document;
use super::groups::Group;
use super::judgement::Place;
use super::load::Start;
use super::numbers::{number, spread};
use super::parts::{Column, card, judged_cell, table};
use super::section::{Section, contents};
use super::withdrawals::Withdrawals;
use super::{ReportError, compare, detail, summary};
use crate::run_record::Machine;
use crate::withdrawn::ERASE_COMMAND;

/// The page's HTML. `links` are the pages of each run, where they have pages of their own; without
/// them every run is shown in full. `overview` is the address of the page of all runs from that of
/// one.
pub(super) fn page(
    analyses: &[Analysis],
    groups: &[Group<'_>],
    links: Option<&[&str]>,
    withdrawals: Option<&Withdrawals>,
    overview: Option<&str>,
    permutations: usize,
    quantile: f64,
) -> Result<String, ReportError> {
    let title = match analyses {
        [] => "Withdrawals".to_owned(),
        [one] => format!(
            "{} · {} · seed {}",
            one.run.scenario, one.run.approach, one.run.seed
        ),
        _ => format!("{} runs compared", analyses.len()),
    };
    let line = summary::last_line(analyses, groups, withdrawals);
    let (cards, mut sections) = match analyses {
        [] => (html! {}, Vec::new()),
        [one] => (
            detail::cards(one, quantile),
            detail::sections(one, permutations, quantile)?,
        ),
        _ => (
            cards(analyses, groups),
            several(analyses, groups, links, permutations, quantile)?,
        ),
    };
    sections.extend(withdrawals.map(Withdrawals::section));
    let document = Document {
        kind: "report",
        title: &title,
        lead: &line,
        chain: withdrawals.and_then(Withdrawals::chain),
        main: html! {
            @if let Some(overview) = overview { p { a href=(overview) { "All runs" } } }
            (notes(analyses))
            (cards)
            (contents(&sections))
            @for section in &sections { (section.render()) }
        },
        foot: html! { "All figures are shares of 0..1; a dash is an undefined figure. The page loads nothing." },
    };
    Ok(document.html())
}

/// What must be known before any figure is read.
fn notes(analyses: &[Analysis]) -> Markup {
    let names = |pick: &dyn Fn(&Analysis) -> bool| -> Vec<&str> {
        let picked = analyses.iter().filter(|a| pick(a));
        picked.map(|a| a.run.name.as_str()).collect()
    };
    let scratch = names(&|a| a.run.start == Start::Scratch);
    let which = |names: &[&str]| {
        if names.len() == analyses.len() {
            if names.len() == 1 {
                "This run".to_owned()
            } else {
                "Every run here".to_owned()
            }
        } else {
            names.join(", ")
        }
    };
    html! {
        @if !scratch.is_empty() {
            p.note {
                strong { (which(&scratch)) " started from scratch, without pretrained weights." }
                " The figures are not comparable with the paper's, whose models started from pretrained weights."
            }
        }
        @for run in analyses.iter().map(|a| &a.run) {
            @if let Some(unfinished) = &run.unfinished {
                p.note.warn {
                    strong { (which(&[&run.name])) " is not finished: " (unfinished) "." }
                    " The figures are those of the tasks that are done."
                    @if analyses.len() > 1 { " It is in no mean over seeds and in no pair of runs: those are of finished runs alone." }
                }
            }
            @if let Start::Partly(share) = &run.start {
                p.note.warn {
                    strong { (run.name) " started from weights that fit its model " (share) "." }
                    " The rest of its backbone began as new."
                }
            }
            @for copy in &run.copies {
                p.note {
                    strong { (copy.display()) " is a copy of " (run.folder.display()) }
                    ": the same settings, inputs, machine and predictions. It is counted once."
                }
            }
            @if run.withdrawn_since > 0 {
                p.note.warn {
                    strong { (run.name) " was judged with " (run.withdrawn_since) " clips that have been withdrawn since." }
                    " Its figures stay as they were judged."
                    @if run.withdrawn_held > 0 {
                        " The predictions of " (run.withdrawn_held) " of them are still in it: " code { (ERASE_COMMAND) } " takes them away."
                    }
                }
            }
            @if !run.skipped.is_empty() {
                p.note.warn {
                    strong { (run.skipped.len()) " clips of " (run.name) " could not be read and were passed over." }
                    " The figures are without them."
                    details { summary { "Their names" } (run.skipped.join(", ")) }
                }
            }
        }
        @for (machine, runs) in machines(analyses) {
            p.muted { (which(&runs)) ": computed on " (machine) "." }
        }
    }
}

/// What the runs were computed on, each machine with its runs.
fn machines(analyses: &[Analysis]) -> BTreeMap<String, Vec<&str>> {
    let mut machines: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for run in analyses.iter().map(|a| &a.run) {
        let machine = run.machine.as_ref().map_or_else(
            || "a machine that was not recorded".to_owned(),
            Machine::to_string,
        );
        machines.entry(machine).or_default().push(&run.name);
    }
    machines
}

/// The sections of a page about several runs.
fn several(
    analyses: &[Analysis],
    groups: &[Group<'_>],
    links: Option<&[&str]>,
    permutations: usize,
    quantile: f64,
) -> Result<Vec<Section>, ReportError> {
    let mut sections = compare::sections(groups)?;
    let mut details = Vec::new();
    if links.is_none() {
        for analysis in analyses {
            details.push((
                analysis,
                detail::sections(analysis, permutations, quantile)?,
            ));
        }
    }
    let runs = html! {
        (each_run(analyses, links))
        @for (k, (analysis, sections)) in details.iter().enumerate() {
            details.run {
                summary {
                    strong { (analysis.run.scenario) " · " (analysis.run.approach) " · seed " (analysis.run.seed) }
                    " " span.muted { (analysis.run.name) }
                    span.right { "mean test mAP " (number(analysis.mean("mean_ap"))) }
                }
                (detail::cards(analysis, quantile))
                @for section in sections { (section.render_within(&format!("run-{k}"))) }
            }
        }
    };
    sections.push(Section::new("each-run", "Each run", runs));
    Ok(sections)
}

/// A row for each run, which leads to the run's own page where it has one.
fn each_run(analyses: &[Analysis], links: Option<&[&str]>) -> Markup {
    let columns = [
        Column::text("run"),
        Column::text("scenario"),
        Column::text("approach"),
        Column::number("seed"),
        Column::number("tasks"),
        Column::number("test clips (n)"),
        Column::number("last task's test mAP ↑"),
        Column::number("chance, 99th percentile"),
        Column::number("mean test mAP ↑"),
        Column::number("chance, 99th percentile"),
        Column::number("mean test accuracy ↑"),
        Column::number("chance, 99th percentile"),
    ];
    let rows = html! {
        @for (k, analysis) in analyses.iter().enumerate() {
            @let last = analysis.last().map(|t| analysis.judgement(t, "mean_ap", Place::Overall)).unwrap_or_default();
            @let (map, accuracy) = (analysis.over_tasks("mean_ap"), analysis.over_tasks("accuracy"));
            tr {
                th.name scope="row" {
                    @match links.and_then(|links| links.get(k)) {
                        Some(link) => a href=(link) { (analysis.run.name) },
                        None => (analysis.run.name),
                    }
                }
                td.name { (analysis.run.scenario) } td.name { (analysis.run.approach) } td.n { (analysis.run.seed) }
                td.n { (analysis.tasks.len()) @if let Some(unfinished) = &analysis.run.unfinished { " of " (unfinished.tasks) } }
                td.n { (last.clips.map_or_else(|| "–".to_owned(), |n| n.to_string())) }
                (judged_cell(&last))
                td.n { (number(last.chance_quantile)) }
                (judged_cell(&map))
                td.n { (number(map.chance_quantile)) }
                (judged_cell(&accuracy))
                td.n { (number(accuracy.chance_quantile)) }
            }
        }
    };
    table("Each run", &columns, &rows)
}

fn cards(analyses: &[Analysis], groups: &[Group<'_>]) -> Markup {
    let seeds: std::collections::BTreeSet<u64> = analyses.iter().map(|a| a.run.seed).collect();
    let map = |g: &Group<'_>| g.over_tasks("mean_ap")[0];
    let best = groups.iter().max_by(|a, b| {
        let mean = |g| map(g).mean.unwrap_or(f64::NEG_INFINITY);
        mean(a).total_cmp(&mean(b))
    });
    html! {
        div.cards {
            (card(&analyses.len().to_string(), "runs", ""))
            (card(&groups.len().to_string(), "scenario and approach", ""))
            (card(&seeds.len().to_string(), "seeds", ""))
            @if let Some(best) = best {
                (card(&spread(&map(best)), "highest mean test mAP ↑", &format!("{} · {}", best.scenario, best.short_name())))
            }
        }
    }
}
