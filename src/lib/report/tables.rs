//! The tables about one run.

use maud::{Markup, html};

use super::analyse::Analysis;
use super::load::{Flow, Run};
use super::parts::{forgetting_cell, measured_cells, number, share_cell};
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
    html! {
        div.scroll {
            table.wide.compact {
                thead {
                    tr {
                        th.n { "task" } th.n { "train clips" } th.n { "validation mAP" } th.n { "test mAP" }
                        th.n { "chance, mean" } th.n { "chance, " (format!("{}th percentile", (quantile * 100.0).round())) } th { "test mAP is" }
                        th.n { "forgetting" } th.n { "weighted mAP" } th.n { "accuracy" } th.n { "forgetting" } th.n { "exact match" }
                    }
                }
                tbody {
                    @for t in &analysis.tasks {
                        @let map = analysis.test(t.task, "mean_ap");
                        @let accuracy = analysis.test(t.task, "accuracy");
                        @let above = map.value.zip(t.chance).map(|(map, chance)| map > chance.quantile);
                        tr {
                            td.n { (t.task) }
                            td.n { (listed(t.task, Split::Train)) }
                            td.n { (number(run.figures.overall(t.task, Split::Validation, "mean_ap").value)) }
                            (share_cell(map.value, &number(map.value)))
                            td.n { (number(t.chance.map(|c| c.mean))) }
                            td.n { (number(t.chance.map(|c| c.quantile))) }
                            td.name {
                                @match above {
                                    Some(true) => span.good { "above" },
                                    Some(false) => span.bad { "not above" },
                                    None => "",
                                }
                            }
                            (forgetting_cell(map.forgetting))
                            td.n { (number(analysis.test(t.task, "mean_ap_weighted").value)) }
                            (measured_cells(accuracy.value, accuracy.forgetting))
                            td.n { (number(analysis.test(t.task, "exact_match").value)) }
                        }
                    }
                }
            }
        }
    }
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
        for (sign, n) in [("+", f.arrived), ("−", f.removed)] {
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
    html! {
        div.scroll {
            table {
                thead {
                    tr {
                        th.n { "task" }
                        @for category in run.taxonomy.categories() { th.n { (category.name) } }
                        th.n { "train" } th.n { "validation" } th.n { "test" } th.n { "without frames" }
                    }
                }
                tbody {
                    @for task in 0..run.clips.tasks {
                        tr {
                            td.n { (task) }
                            @for category in run.taxonomy.categories() { td.n { (text(flow(task, category))) } }
                            @for split in Split::ALL { td.n { (listed(task, split)) } }
                            td.n { (unusable(run, task)) }
                        }
                    }
                }
            }
        }
    }
}

/// Clips in a task's lists that have no frames.
pub(super) fn unusable(run: &Run, task: i32) -> usize {
    let of = |split| run.clips.unusable.get(&(task, split)).copied();
    Split::ALL.into_iter().filter_map(of).sum()
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
    let last = analysis.last().map_or(0, |t| t.task);
    html! {
        div.scroll {
            table.wide {
                thead {
                    tr {
                        th {}
                        @for t in &analysis.tasks { th.n { "task " (t.task) } }
                        th.n { "forgetting" }
                    }
                }
                tbody {
                    @for (name, metric) in metrics {
                        tr.group { th colspan=(analysis.tasks.len() + 2) { (name) } }
                        @for category in run.taxonomy.categories() {
                            @let category = category.name.as_str();
                            tr {
                                td { (category) }
                                @for t in &analysis.tasks {
                                    @let value = run.figures.get(t.task, Split::Test, metric, Some(category), None).value;
                                    (share_cell(value, &number(value)))
                                }
                                (forgetting_cell(run.figures.get(last, Split::Test, metric, Some(category), None).forgetting))
                            }
                        }
                    }
                }
            }
        }
    }
}

/// Average precision of each subcategory by task, and its figures in the last task.
pub(super) fn by_subcategory(analysis: &Analysis) -> Markup {
    let run = &analysis.run;
    let last = analysis.last().map_or(0, |t| t.task);
    let away = |task: i32, subcategory: &str| {
        let clips = run.clips.subcategories.get(&(task, subcategory.to_owned()));
        run.clips.tasks > 0 && clips.is_none_or(|&n| n == 0)
    };
    html! {
        div.scroll {
            table.wide {
                thead {
                    tr {
                        th {}
                        @for t in &analysis.tasks { th.n { "task " (t.task) } }
                        th.n { "forgetting" } th.n { "recall" } th.n { "forgetting" } th.n { "precision" }
                    }
                }
                tbody {
                    @for category in run.taxonomy.categories() {
                        @if !category.subcategories.is_empty() {
                            tr.group { th colspan=(analysis.tasks.len() + 5) { (category.name) } }
                        }
                        @for subcategory in &category.subcategories {
                            @let of = |task, metric| run.figures.get(task, Split::Test, metric, Some(&category.name), Some(subcategory));
                            tr {
                                td.name { (subcategory) }
                                @for t in &analysis.tasks {
                                    @let value = of(t.task, "ap_per_subcategory").value;
                                    @if away(t.task, subcategory) {
                                        td.n.away title="not in the training list of this task" { (number(value)) }
                                    } @else {
                                        (share_cell(value, &number(value)))
                                    }
                                }
                                (forgetting_cell(of(last, "ap_per_subcategory").forgetting))
                                @let recall = of(last, "recall_per_subcategory");
                                (measured_cells(recall.value, recall.forgetting))
                                td.n { (number(of(last, "precision_per_subcategory").value)) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// One task's confusion matrix.
pub(super) fn confusion(task: i32, categories: &[Category], counts: &[Vec<u64>]) -> Markup {
    #[allow(clippy::cast_precision_loss)] // Counts of clips.
    let share = |row: &[u64], n: u64| (n as f64) / (row.iter().sum::<u64>().max(1) as f64);
    html! {
        div.scroll {
            table.matrix {
                caption { "Task " (task) }
                thead { tr { th {} @for category in categories { th { (category.name) } } } }
                tbody {
                    @for (u, row) in counts.iter().enumerate() {
                        tr {
                            th { (categories[u].name) }
                            @for (v, &n) in row.iter().enumerate() {
                                td.true[u == v] style=(format!("background:rgba(0,114,178,{:.2})", share(row, n) * 0.75)) { (n) }
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
    html! {
        div.scroll {
            table {
                thead {
                    tr { th.n { "task" } th { "category" } th.n { "true positive" } th.n { "false positive" } th.n { "false negative" } th.n { "true negative" } }
                }
                tbody {
                    @for (task, evaluation) in tasks {
                        @for (category, [[tn, fp], [fn_, tp]]) in categories.iter().zip(evaluation.confusion_at_half.iter().flatten()) {
                            tr { td.n { (task) } td { (category.name) } td.n { (tp) } td.n { (fp) } td.n { (fn_) } td.n { (tn) } }
                        }
                    }
                }
            }
        }
    }
}
