//! The tables about one run.

use maud::{Markup, html};

use super::analyse::Analysis;
use super::judgement::Place;
use super::load::{Flow, Run};
use super::numbers::number;
use super::parts::{
    Column, away_cell, forgotten_cell, judged_cell, ordered_table, plain_forgotten_cell, table,
};
use super::populations::{Presence, presence};
use crate::clip::Split;
use crate::metrics::Metrics;
use crate::taxonomy::Category;

/// A row for each task: sizes, mAP, chance, forgetting.
pub(super) fn tasks(analysis: &Analysis, quantile: f64) -> Markup {
    let run = &analysis.run;
    let listed = |task, split| {
        let n = run.clips.listed.get(&(task, split));
        n.map_or_else(|| "–".to_owned(), usize::to_string)
    };
    let quantile = format!("chance, {}th percentile", (quantile * 100.0).round());
    let is_changing = analysis.is_changing();
    let mut columns = vec![
        Column::number("task"),
        Column::number("train clips"),
        Column::number("test clips (n)"),
        Column::number("test mAP ↑"),
        Column::number("chance, mean"),
        Column::number(quantile),
        Column::text("test mAP is"),
    ];
    // Where subcategories come and go, one forgetting over all clips would count wanted loss as bad.
    let forgetting: &[&str] = if is_changing {
        &["forgetting of available ↓", "forgetting of withdrawn ↑"]
    } else {
        &["forgetting of it ↓", "forgetting of accuracy ↓"]
    };
    columns.extend(forgetting.iter().copied().map(Column::number));
    let more = [
        "weighted mAP ↑",
        "chance",
        "accuracy ↑",
        "chance",
        "exact match ↑",
        "chance",
        "validation clips (n)",
        "validation mAP (other clips) ↑",
        "chance",
    ];
    columns.extend(more.map(Column::number));
    let rows = html! {
        @for t in &analysis.tasks {
            @let of = |metric| analysis.judgement(t, metric, Place::Overall);
            @let (map, accuracy) = (of("mean_ap"), of("accuracy"));
            @let (weighted, exact) = (of("mean_ap_weighted"), of("exact_match"));
            @let above = map.value.zip(map.chance_quantile).map(|(map, chance)| map > chance);
            tr {
                th.n scope="row" { (t.task) }
                td.n { (listed(t.task, Split::Train)) }
                td.n { (map.clips.map_or_else(|| "–".to_owned(), |n| n.to_string())) }
                (judged_cell(&map))
                td.n { (number(map.chance)) }
                td.n { (number(map.chance_quantile)) }
                td.name {
                    @match above {
                        Some(true) => span.good { "above" },
                        Some(false) => span.bad { "not above" },
                        None => "",
                    }
                }
                @match t.populations.as_ref().filter(|_| is_changing) {
                    Some(populations) => {
                        (forgotten_cell(&populations.available.judgement()))
                        (plain_forgotten_cell(&populations.withdrawn.judgement()))
                    },
                    None => { (forgotten_cell(&map)) (forgotten_cell(&accuracy)) },
                }
                (judged_cell(&weighted))
                td.n { (number(weighted.chance)) }
                (judged_cell(&accuracy))
                td.n { (number(accuracy.chance)) }
                (judged_cell(&exact))
                td.n { (number(exact.chance)) }
                td.n { (listed(t.task, Split::Validation)) }
                (judged_cell(&t.validation))
                td.n { (number(t.validation.chance)) }
            }
        }
    };
    table("Figures by task", &columns, &rows)
}

/// Training clips by task and category, with what came and went.
pub(super) fn availability(analysis: &Analysis) -> Markup {
    let run = &analysis.run;
    let flow = |task, category: &Category| -> Flow {
        let flow = run.clips.train.get(&(task, category.name.clone()));
        flow.copied().unwrap_or_default()
    };
    let text = |f: Flow| {
        let mut text = f.listed().to_string();
        for (sign, n) in [
            ("+", f.arrived),
            ("−", f.removed),
            ("withdrawn ", f.withdrawn),
        ] {
            if n > 0 {
                text += &format!(" {sign}{n}");
            }
        }
        text
    };
    let listed = |task, split| {
        let n = run.clips.listed.get(&(task, split));
        n.map_or_else(|| "–".to_owned(), usize::to_string)
    };
    let categories = run.taxonomy.categories().iter();
    let columns: Vec<Column> = std::iter::once(Column::number("task"))
        .chain(categories.map(|category| Column::number(category.name.clone())))
        .chain(["train", "validation", "test", "without frames"].map(Column::number))
        .collect();
    let rows = html! {
        @for task in 0..run.clips.tasks {
            tr {
                th.n scope="row" { (task) }
                @for category in run.taxonomy.categories() { td.n { (text(flow(task, category))) } }
                @for split in Split::ALL { td.n { (listed(task, split)) } }
                td.n { (unusable(run, task)) }
            }
        }
    };
    ordered_table("Training clips by task and category", &columns, &rows)
}

/// Clips in a task's lists that have no frames.
pub(super) fn unusable(run: &Run, task: i32) -> usize {
    let of = |split| run.clips.unusable.get(&(task, split)).copied();
    Split::ALL.into_iter().filter_map(of).sum()
}

/// The columns of a table by category or subcategory: a name, n, a column a task, and `more`.
fn by_task(analysis: &Analysis, more: &[&str]) -> Vec<Column> {
    let tasks = analysis.tasks.iter();
    [Column::text("name"), Column::number("n")]
        .into_iter()
        .chain(tasks.map(|t| Column::number(format!("task {}", t.task))))
        .chain(more.iter().copied().map(Column::number))
        .collect()
}

fn count(n: Option<usize>) -> String {
    n.map_or_else(|| "–".to_owned(), |n| n.to_string())
}

/// Average precision, recall and precision of each category.
pub(super) fn by_category(analysis: &Analysis) -> Markup {
    let run = &analysis.run;
    let metrics = [
        ("average precision", "ap_per_class"),
        ("recall", "recall_per_class"),
        ("precision", "precision_per_class"),
        ("accuracy, one against the rest", "accuracy_per_class"),
    ];
    let is_changing = analysis.is_changing();
    let forgetting = if is_changing {
        "forgetting, withdrawn clips too"
    } else {
        "forgetting ↓"
    };
    let columns = by_task(analysis, &["chance", forgetting]);
    let rows = html! {
        @for (name, metric) in metrics {
            tr.group { th colspan=(columns.len()) scope="rowgroup" { (name) } }
            @for (class, category) in run.taxonomy.categories().iter().enumerate() {
                @let of = |t| analysis.judgement(t, metric, Place::Class(class));
                @let last = analysis.last().map(of).unwrap_or_default();
                tr {
                    th scope="row" { (category.name) }
                    td.n { (count(last.clips)) }
                    @for t in &analysis.tasks { (judged_cell(&of(t))) }
                    td.n { (number(last.chance)) }
                    @if is_changing { (plain_forgotten_cell(&last)) } @else { (forgotten_cell(&last)) }
                }
            }
        }
    };
    ordered_table("Figures by category and task", &columns, &rows)
}

/// Average precision of each subcategory by task, and its figures in the last task.
pub(super) fn by_subcategory(analysis: &Analysis) -> Markup {
    let run = &analysis.run;
    let columns = by_task(
        analysis,
        &[
            "chance",
            "forgetting",
            "recall ↑",
            "forgetting",
            "precision ↑",
        ],
    );
    let mark = |presence: Presence| match presence {
        Presence::Available => None,
        Presence::Left => Some("left here"),
        Presence::Withdrawn => Some("withdrawn"),
        Presence::NotYet => Some("not yet"),
    };
    let rows = html! {
        @for (k, (class, subcategory)) in run.taxonomy.subcategories().enumerate() {
            @if k == 0 || run.taxonomy.subcategories().nth(k - 1).is_some_and(|(before, _)| before != class) {
                tr.group { th colspan=(columns.len()) scope="rowgroup" { (run.taxonomy.categories()[class].name) } }
            }
            @let of = |t, metric| analysis.judgement(t, metric, Place::Subcategory(k));
            @let last = |metric| analysis.last().map(|t| of(t, metric)).unwrap_or_default();
            @let (ap, recall) = (last("ap_per_subcategory"), last("recall_per_subcategory"));
            @let presence = presence(run, &analysis.task_numbers(), subcategory);
            // What was withdrawn is to be forgotten.
            @let forgotten = if presence.last().is_some_and(|p| *p != Presence::Available) { plain_forgotten_cell } else { forgotten_cell };
            tr {
                th.name scope="row" { (subcategory) }
                td.n { (count(ap.clips)) }
                @for (t, presence) in analysis.tasks.iter().zip(&presence) {
                    @match mark(*presence) {
                        None => (judged_cell(&of(t, "ap_per_subcategory"))),
                        Some(mark) => (away_cell(&of(t, "ap_per_subcategory"), mark)),
                    }
                }
                td.n { (number(ap.chance)) }
                (forgotten(&ap))
                (judged_cell(&recall))
                (forgotten(&recall))
                (judged_cell(&last("precision_per_subcategory")))
            }
        }
    };
    ordered_table("Average precision by subcategory and task", &columns, &rows)
}

/// One task's confusion matrix.
pub(super) fn confusion(task: i32, categories: &[Category], counts: &[Vec<u64>]) -> Markup {
    #[allow(clippy::cast_precision_loss)] // Counts of clips.
    let share = |row: &[u64], n: u64| (n as f64) / (row.iter().sum::<u64>().max(1) as f64);
    html! {
        div.scroll tabindex="0" role="region" aria-label=(format!("Confusion in task {task}")) {
            table.matrix {
                caption { "Task " (task) }
                thead { tr { th scope="col" { "true" } @for category in categories { th scope="col" { (category.name) } } } }
                tbody {
                    @for (u, row) in counts.iter().enumerate() {
                        tr {
                            th scope="row" { (categories[u].name) }
                            @for (v, &n) in row.iter().enumerate() {
                                td.true[u == v] style=(format!("background-color:rgba(0,114,178,{:.2})", share(row, n) * 0.5)) { (n) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// True and false positives and negatives of each category at 0.5, by task.
pub(super) fn at_half<'a>(
    categories: &[Category],
    tasks: impl Iterator<Item = (i32, &'a Metrics)>,
) -> Markup {
    let columns = [
        Column::number("task"),
        Column::text("category"),
        Column::number("true positive"),
        Column::number("false positive"),
        Column::number("false negative"),
        Column::number("true negative"),
    ];
    let rows = html! {
        @for (task, evaluation) in tasks {
            @for (category, [[tn, fp], [fn_, tp]]) in categories.iter().zip(evaluation.confusion_at_half.iter().flatten()) {
                tr { td.n { (task) } th scope="row" { (category.name) } td.n { (tp) } td.n { (fp) } td.n { (fn_) } td.n { (tn) } }
            }
        }
    };
    table("Decisions at a probability of 0.5", &columns, &rows)
}
