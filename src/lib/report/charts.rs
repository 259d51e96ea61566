//! The figures, drawn as SVG text that stands in the page itself.

use std::io;
use std::ops::Range;

use maud::{Markup, html};
use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;

use super::ReportError;
pub(super) use super::colors::MUTED;
use super::colors::{ARRIVED, GRID, INK, KEPT, REMOVED, WITHDRAWN, hex};
use super::load::Flow;
pub(super) use super::series::Series;
use super::strokes::strokes;
pub(super) use super::ticked_axis::ticks;
use super::ticked_axis::{TickedAxis, label};

const FONT_SIZE: u32 = 13;
/// Width and height of a chart of lines.
pub(super) const CHART_SIZE: (u32, u32) = (560, 330);
/// Panels beside one another before a new row begins.
const PANELS_A_ROW: usize = 5;
const PANEL_SIZE: (u32, u32) = (216, 220);

type Error = DrawingAreaErrorKind<io::Error>;

/// The colour of the populations available, withdrawn and yet to come.
pub(super) fn population_color(k: usize) -> RGBColor {
    [KEPT, REMOVED, MUTED][k % 3]
}

/// The colours that availability is drawn in, with what they mean; the last only where a clip is
/// withdrawn.
pub(super) fn flow_legend() -> [(RGBColor, &'static str); 4] {
    [
        (KEPT, "there before (in task 0: from the start)"),
        (ARRIVED, "arrived"),
        (REMOVED, "removed"),
        (WITHDRAWN, "in the list, and withdrawn: no task uses them"),
    ]
}

/// What the axes of a chart show.
#[derive(Clone, Debug)]
pub(super) struct Axes {
    pub(super) x: String,
    pub(super) y: String,
    /// The ends of the x axis, and the places of its labels.
    pub(super) x_range: Range<f64>,
    pub(super) x_ticks: Vec<f64>,
    pub(super) y_range: Range<f64>,
}

impl Axes {
    /// Tasks against shares of 0..1.
    pub(super) fn tasks(tasks: &[i32], y: &str) -> Self {
        let ticks: Vec<f64> = tasks.iter().map(|&t| f64::from(t)).collect();
        let ends = ticks.first().zip(ticks.last());
        let (first, last) = ends.map_or((0.0, 0.0), |(a, b)| (*a, *b));
        Self {
            x: "task".into(),
            y: y.into(),
            x_range: first - 0.3..last + 0.3,
            x_ticks: ticks,
            y_range: 0.0..1.0,
        }
    }

    /// The same with the y axis fitted to `lines` (bars included), 0 always on it.
    pub(super) fn fitted(mut self, lines: &[Series]) -> Self {
        let mut ends = (0.0_f64, 0.0_f64);
        for line in lines {
            for (k, (_, y)) in line.points.iter().enumerate() {
                if let Some(y) = y.filter(|y| y.is_finite()) {
                    let (low, high) = line.bars.get(k).copied().flatten().unwrap_or((y, y));
                    ends = (ends.0.min(low), ends.1.max(high));
                }
            }
        }
        let margin = ((ends.1 - ends.0) * 0.06).max(0.01);
        let low = if ends.0 < 0.0 { ends.0 - margin } else { 0.0 };
        self.y_range = low..ends.1 + margin;
        self
    }
}

/// Draws lines over labelled axes.
pub(super) fn lines(
    figure: &str,
    size: (u32, u32),
    axes: &Axes,
    lines: &[Series],
) -> Result<String, ReportError> {
    drawn(figure, size, |area| draw_lines(area, axes, lines))
}

/// Draws availability: a panel for each category, a bar for each task, what left below the axis.
pub(super) fn flows(
    figure: &str,
    panels: &[(String, Vec<(i32, Flow)>)],
) -> Result<String, ReportError> {
    let columns = panels.len().clamp(1, PANELS_A_ROW);
    let rows = panels.len().div_ceil(columns).max(1);
    // A page has some dozens of categories at most.
    let times = |n: usize| u32::try_from(n).unwrap_or(1);
    let size = (PANEL_SIZE.0 * times(columns), PANEL_SIZE.1 * times(rows));
    let highest = |f: fn(&Flow) -> usize| {
        let flows = panels.iter().flat_map(|(_, flows)| flows);
        flows.map(|(_, flow)| f(flow)).max().unwrap_or(0)
    };
    let range =
        -count(highest(|f| f.removed)) * 1.08..count(highest(|f| f.listed())).max(1.0) * 1.08;
    drawn(figure, size, |area| {
        let cells = area.split_evenly((rows, columns));
        let panels = panels.iter().zip(cells);
        let bars = panels.map(|((name, flows), cell)| draw_panel(&cell, name, flows, &range));
        let bars = bars.collect::<Result<Vec<_>, _>>()?;
        Ok(html! { @for bars in &bars { (bars) } })
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Runs `draw` on an empty figure and returns its SVG, sized by the page and without a namespace,
/// which HTML implies. What `draw` gives stands in front of what it has drawn.
fn drawn(
    figure: &str,
    (width, height): (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<Markup, Error>,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    let front = {
        let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        let result = draw(&area).and_then(|front| area.present().map(|()| front));
        result.map_err(|e| ReportError::Chart {
            figure: figure.to_owned(),
            reason: e.to_string(),
        })?
    };
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let body = body.trim_end().trim_end_matches("</svg>");
    let name = html! { (figure) }.into_string();
    Ok(format!(
        "<svg viewBox=\"0 0 {width} {height}\" style=\"max-width:{width}px\" role=\"img\" aria-label=\"{name}\">{body}{}</svg>\n",
        front.into_string()
    ))
}

fn draw_lines(area: &Area<'_>, axes: &Axes, lines: &[Series]) -> Result<Markup, Error> {
    let mut chart = ChartBuilder::on(area)
        .margin(8)
        .margin_right(14)
        .x_label_area_size(38)
        .y_label_area_size(50)
        .build_cartesian_2d(
            TickedAxis::new(&axes.x_range, axes.x_ticks.clone()),
            TickedAxis::new(&axes.y_range, ticks(&axes.y_range)),
        )?;
    mesh(&mut chart, &axes.x, &axes.y)?;
    let place = |x, y| chart.backend_coord(&(x, y));
    Ok(strokes(&axes.x, lines, &place))
}

type Chart<'a, 'b> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<TickedAxis, TickedAxis>>;

fn mesh(chart: &mut Chart<'_, '_>, x: &str, y: &str) -> Result<(), Error> {
    let font = ("sans-serif", FONT_SIZE).into_font().color(&INK);
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(MUTED)
        .label_style(font.clone())
        .axis_desc_style(font)
        .x_label_formatter(&label)
        .y_label_formatter(&label)
        .x_desc(x)
        .y_desc(y)
        .draw()
}

fn draw_panel(
    area: &Area<'_>,
    name: &str,
    flows: &[(i32, Flow)],
    range: &Range<f64>,
) -> Result<Markup, Error> {
    let ends = flows.first().zip(flows.last());
    let (first, last) = ends.map_or((0, 0), |(a, b)| (a.0, b.0));
    let title = ("sans-serif", FONT_SIZE + 1, FontStyle::Bold).into_font();
    let tasks: Vec<f64> = flows.iter().map(|&(task, _)| f64::from(task)).collect();
    let mut chart = ChartBuilder::on(area)
        .margin(6)
        .caption(name, title.color(&INK))
        .x_label_area_size(34)
        .y_label_area_size(38)
        .build_cartesian_2d(
            TickedAxis::new(&(f64::from(first) - 0.6..f64::from(last) + 0.6), tasks),
            TickedAxis::new(range, ticks(range)),
        )?;
    mesh(&mut chart, "task", "")?;
    let axis = PathElement::new(
        vec![(f64::from(first) - 0.6, 0.0), (f64::from(last) + 0.6, 0.0)],
        MUTED,
    );
    chart.draw_series(std::iter::once(axis))?;
    let bars = flows.iter().map(|&(task, flow)| {
        let (kept, listed) = (count(flow.kept), count(flow.listed()));
        let usable = kept + count(flow.arrived);
        let bars = [
            (0.0, kept, KEPT, flow.kept, "there before"),
            (kept, usable, ARRIVED, flow.arrived, "arrived"),
            (usable, listed, WITHDRAWN, flow.withdrawn, "withdrawn"),
            (0.0, -count(flow.removed), REMOVED, flow.removed, "removed"),
        ];
        let shown = bars.into_iter().filter(|(.., clips, _)| *clips > 0);
        html! {
            @for (from, to, color, clips, what) in shown {
                @let x = f64::from(task);
                @let [start, end] = [(x - 0.36, from.max(to)), (x + 0.36, from.min(to))].map(|corner| chart.backend_coord(&corner));
                rect x=(start.0) y=(start.1) width=(end.0 - start.0) height=(end.1 - start.1) fill=(hex(color)) {
                    title { (name) ", task " (task) ": " (clips) " " (what) }
                }
            }
        }
    });
    let bars: Vec<Markup> = bars.collect();
    Ok(html! { @for bar in &bars { (bar) } })
}

#[allow(clippy::cast_precision_loss)] // Counts of clips.
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
    use super::super::looks::Mark;
    use super::*;

    #[test]
    fn names_are_escaped_and_nothing_points_outside() {
        let flow = Flow {
            kept: 3,
            arrived: 1,
            removed: 2,
            withdrawn: 1,
        };
        let svg = flows("availability", &[("a<b & c".into(), vec![(0, flow)])]).unwrap();
        assert!(svg.contains("a&lt;b &amp; c"), "{svg}");
        assert!(!svg.contains("http"), "{svg}");
        assert!(svg.ends_with("</svg>\n"));
    }

    #[test]
    fn a_line_has_a_gap_where_it_is_undefined() {
        let mut line = Series::new("x", KEPT);
        line.points = vec![(0.0, Some(0.1)), (1.0, None), (2.0, Some(0.3))];
        let axes = Axes::tasks(&[0, 1, 2], "mAP").fitted(std::slice::from_ref(&line));
        let svg = lines("line", (400, 300), &axes, &[line]).unwrap();
        assert_eq!(svg.matches("class=\"mark\"").count(), 2);
        assert!(svg.contains("<title>x, task 2: 0.300</title>"), "{svg}");
        assert!(svg.contains("aria-label=\"line\""), "{svg}");
    }

    #[test]
    fn a_line_without_marks_carries_its_values_and_its_dashes() {
        let mut line = Series::new("a & b", KEPT);
        (line.dash, line.dots) = (Some((6, 4)), false);
        line.points = vec![
            (0.0, Some(0.1)),
            (0.5, Some(0.25)),
            (1.0, None),
            (2.0, Some(0.3)),
        ];
        let axes = Axes {
            x: "recall".into(),
            ..Axes::tasks(&[0, 1, 2], "precision")
        };
        let drawn = |line: &Series| {
            let all = std::slice::from_ref(line);
            lines("line", (400, 300), &axes, all).unwrap()
        };
        let svg = drawn(&line);
        for text in [
            "<g data-x=\"recall\">",
            "data-name=\"a &amp; b\" data-values=\"0 0.100;0.5 0.250\"",
            "data-values=\"2 0.300\"",
            "stroke-dasharray=\"6 4\"",
        ] {
            assert!(svg.contains(text), "{text}: {svg}");
        }
        assert!(!svg.contains("class=\"mark"), "{svg}");
        // Told apart by its marks, it has a few of them.
        line.mark = Mark::nth(9);
        assert!(drawn(&line).contains("class=\"mark hollow\""));
    }

    #[test]
    fn every_bar_of_availability_says_what_it_counts() {
        let flow = Flow {
            kept: 3,
            arrived: 1,
            removed: 2,
            withdrawn: 0,
        };
        let svg = flows("availability", &[("food".into(), vec![(4, flow)])]).unwrap();
        for text in ["3 there before", "1 arrived", "2 removed"] {
            let title = format!("<title>food, task 4: {text}</title></rect>");
            assert!(svg.contains(&title), "{text}: {svg}");
        }
        assert!(!svg.contains("withdrawn"), "{svg}");
    }
}
