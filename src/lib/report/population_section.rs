//! The section about the three populations: a chart and a table.

use maud::html;

use super::ReportError;
use super::analyse::Analysis;
use super::charts::{self, Axes, CHART_SIZE, Series};
use super::numbers::{ends, number};
use super::parts::{self, Column, figure, ordered_table};
use super::populations::Populations;
use super::section::Section;

/// The chart and the table of the populations; nothing where every subcategory is always there.
pub(super) fn section(analysis: &Analysis) -> Result<Option<Section>, ReportError> {
    let of_tasks: Vec<(i32, &Populations)> = analysis
        .tasks
        .iter()
        .filter_map(|t| Some((t.task, t.populations.as_ref()?)))
        .collect();
    if !analysis.is_changing() {
        return Ok(None);
    }
    let tasks: Vec<i32> = of_tasks.iter().map(|&(task, _)| task).collect();
    let lines: Vec<Series> = (0..3)
        .map(|k| {
            let name = Populations::default().each()[k].0;
            let mut line = Series::new(name, charts::population_color(k));
            for (task, populations) in &of_tasks {
                let of = populations.each()[k].1;
                line.points.push((f64::from(*task), of.value));
                line.bars.push(of.interval.map(|i| (i.low, i.high)));
            }
            line
        })
        .collect();
    let mut axes = Axes::tasks(&tasks, "mean AP of subcategories");
    axes.y_range = 0.0..1.0;
    let caption = "Mean average precision of the subcategories of each population, by task, with 95 % bootstrap intervals. \
        ↑ of what is available higher is better; of what was withdrawn lower is what is wanted";
    let svg = charts::lines(caption, CHART_SIZE, &axes, &lines)?;
    let columns = [
        Column::number("task"),
        Column::text("population"),
        Column::number("subcategories"),
        Column::number("test clips (n)"),
        Column::number("mean AP"),
        Column::number("95 % interval"),
        Column::number("chance, mean"),
        Column::number("forgetting"),
        Column::number("95 % interval"),
        Column::text("wanted"),
    ];
    let rows = of_tasks.iter().flat_map(|(task, populations)| {
        let each = populations.each().into_iter().enumerate();
        each.filter(|(_, (_, of))| of.subcategories > 0)
            .map(move |(k, (name, of))| html! {
                tr {
                    td.n { (task) }
                    th scope="row" { (name) }
                    td.n { (of.subcategories) }
                    td.n { (of.clips) }
                    (parts::share_cell(of.value, &number(of.value)))
                    td.n { (ends(of.interval)) }
                    td.n { (number(of.chance)) }
                    td.n { (number(of.forgetting)) }
                    td.n { (ends(of.forgetting_interval)) }
                    td { (["high AP, no forgetting", "AP down to chance", "nothing: it was never shown"][k]) }
                }
            })
    });
    let body = html! {
        p {
            "Subcategories in three populations: those with clips in the task's training list, those that were withdrawn, and those "
            "yet to come. Forgetting of what is available counts from its best task and is a loss; of what was withdrawn it counts "
            "from the last task that had it, and is what withdrawing is for. The figures are means over subcategories, on the test set."
        }
        (figure(&svg, caption, Some(parts::legend_of(&lines))))
        (ordered_table("Populations by task", &columns, &html! { @for row in rows { (row) } }))
    };
    Ok(Some(Section::new(
        "populations",
        "Available, withdrawn, not yet arrived",
        body,
    )))
}
