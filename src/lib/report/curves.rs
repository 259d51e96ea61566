//! The section with a run's precision-recall curves.

use maud::html;

use super::ReportError;
use super::analyse::Analysis;
use super::charts::{self, Axes, Series};
use super::colors::color;
use super::judgement::Place;
use super::numbers::{clips, number};
use super::parts::{figure, legend};
use super::section::Section;
use crate::metrics::PrCurve;

const CURVE_SIZE: (u32, u32) = (380, 320);
/// Points of a precision-recall curve that are drawn: more than a screen shows.
const CURVE_POINTS: usize = 200;

/// The curves of each category, a figure for each task; nothing where no predictions are stored.
pub(super) fn section(analysis: &Analysis) -> Result<Option<Section>, ReportError> {
    let mut figures = Vec::new();
    for task in &analysis.tasks {
        let Some(evaluation) = &task.evaluation else {
            continue;
        };
        let lines: Vec<Series> = analysis
            .run
            .taxonomy
            .categories()
            .iter()
            .zip(&evaluation.pr_curves)
            .enumerate()
            .map(|(k, (category, curve))| curve_line(&category.name, k, curve))
            .collect();
        let axes = Axes {
            x: "recall".into(),
            y: "precision".into(),
            x_range: 0.0..1.0,
            x_ticks: charts::ticks(&(0.0..1.0)),
            y_range: 0.0..1.02,
        };
        let name = format!("precision over recall, task {}", task.task);
        let svg = charts::lines(&name, CURVE_SIZE, &axes, &lines)?;
        let n = clips(task.clips(Place::Overall).map(|n| (n, n)));
        figures.push((format!("Task {}, {n}", task.task), svg));
    }
    if figures.is_empty() {
        return Ok(None);
    }
    let names: Vec<String> = (0..analysis.run.taxonomy.classes())
        .map(|class| curve_name(analysis, class))
        .collect();
    let entries = names.iter().enumerate();
    let entries = entries.map(|(k, name)| (color(k), None, name.as_str()));
    let body = html! {
        p {
            "One category against all others, on the test set, at the end of each task. The closer to the upper right corner, the better. Behind "
            "each category stand its test clips in the last task and the precision of chance there, which is their share."
        }
        (legend(entries))
        div.grid.small {
            @for (caption, svg) in &figures { (figure(svg, caption, None)) }
        }
    };
    Ok(Some(Section::new("curves", "Precision and recall", body)))
}

/// A category with its test clips in the last task and their share, which is what a ranking by
/// chance has as its precision.
fn curve_name(analysis: &Analysis, class: usize) -> String {
    let name = &analysis.run.taxonomy.categories()[class].name;
    let last = analysis.last();
    let counts = last.and_then(|t| t.clips(Place::Class(class)).zip(t.clips(Place::Overall)));
    #[allow(clippy::cast_precision_loss)] // Counts of clips.
    let more = counts.map(|(n, all)| (n, n as f64 / all as f64));
    match more {
        Some((n, share)) => format!("{name} (n {n}, chance {})", number(Some(share))),
        None => name.clone(),
    }
}

/// A curve, thinned to what a screen shows.
fn curve_line(category: &str, k: usize, curve: &PrCurve) -> Series {
    let mut line = Series::new(category, color(k));
    line.dots = false;
    let n = curve.precision.len();
    let step = n.div_ceil(CURVE_POINTS).max(1);
    let kept = (0..n).filter(|i| i % step == 0 || i + 1 == n);
    line.points = kept
        .map(|i| (curve.recall[i], Some(curve.precision[i])))
        .collect();
    line
}
