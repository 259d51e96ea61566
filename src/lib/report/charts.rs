//! The figures, drawn as SVG text that stands in the page itself.

use std::io;
use std::ops::Range;

use plotters::coord::Shift;
use plotters::drawing::DrawingAreaErrorKind;
use plotters::prelude::*;

use super::ReportError;
use super::load::Flow;
use super::numbers::number;
pub(super) use super::ticked_axis::ticks;
use super::ticked_axis::{TickedAxis, label};

// The style sheet turns these two over on a dark page.
pub(super) const INK: RGBColor = RGBColor(71, 85, 105);
const GRID: RGBColor = RGBColor(226, 232, 240);
/// What chance is drawn in.
pub(super) const MUTED: RGBColor = RGBColor(118, 118, 118);
const ARRIVED: RGBColor = RGBColor(0, 158, 115);
const KEPT: RGBColor = RGBColor(0, 114, 178);
const REMOVED: RGBColor = RGBColor(213, 94, 0);
const WITHDRAWN: RGBColor = RGBColor(88, 88, 88);
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

/// Length of a dash and of the gap behind it, in pixels.
pub(super) type Dash = (u32, u32);

/// The dashes that tell lines of one colour apart: of the k-th of them.
pub(super) fn dash(k: usize) -> Option<Dash> {
    [
        None,
        Some((9, 4)),
        Some((2, 4)),
        Some((14, 7)),
        Some((5, 8)),
    ][k % 5]
}

/// One line of a chart.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) color: RGBColor,
    /// How long its dashes and their gaps are, in pixels; none for a solid line.
    pub(super) dash: Option<Dash>,
    /// Whether each point is marked.
    pub(super) dots: bool,
    /// In ascending x (curves aside); the line has a gap where y is undefined.
    pub(super) points: Vec<(f64, Option<f64>)>,
    /// The ends of the bar through each point; empty for none.
    pub(super) bars: Vec<Option<(f64, f64)>>,
}

impl Series {
    pub(super) fn new(name: impl Into<String>, color: RGBColor) -> Self {
        Self {
            name: name.into(),
            color,
            dash: None,
            dots: true,
            points: Vec::new(),
            bars: Vec::new(),
        }
    }
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
    let svg = drawn(figure, size, |area| draw_lines(area, axes, lines))?;
    Ok(named_points(&svg, &axes.x, lines))
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
        for ((name, flows), cell) in panels.iter().zip(cells) {
            draw_panel(&cell, name, flows, &range)?;
        }
        Ok(())
    })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

/// Runs `draw` on an empty figure and returns its SVG, sized by the page and without a namespace,
/// which HTML implies.
fn drawn(
    figure: &str,
    (width, height): (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), Error>,
) -> Result<String, ReportError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, (width, height)).into_drawing_area();
        let result = draw(&area).and_then(|()| area.present());
        result.map_err(|e| ReportError::Chart {
            figure: figure.to_owned(),
            reason: e.to_string(),
        })?;
    }
    let body = svg.split_once('>').map_or("", |(_, body)| body);
    let name = maud::html! { (figure) }.into_string();
    Ok(format!(
        "<svg viewBox=\"0 0 {width} {height}\" style=\"max-width:{width}px\" role=\"img\" aria-label=\"{name}\">{body}"
    ))
}

/// Gives every marked point its name and value, which a pointer that rests on it is shown. The
/// marks stand in the order of the lines and of their points.
fn named_points(svg: &str, x_name: &str, lines: &[Series]) -> String {
    let dotted = lines.iter().filter(|line| line.dots);
    let mut names = dotted.flat_map(|line| {
        let points = line.points.iter().enumerate();
        points.filter_map(move |(k, &(x, y))| {
            let y = number(Some(y?));
            let bar = line.bars.get(k).copied().flatten();
            let bar = bar.map_or_else(String::new, |(low, high)| {
                format!(" ({} to {})", number(Some(low)), number(Some(high)))
            });
            let x_name = x_name.split([' ', ';']).next().unwrap_or_default();
            Some(format!("{}, {x_name} {}: {y}{bar}", line.name, label(&x)))
        })
    });
    let mut parts = svg.split("<circle");
    let mut named = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (mark, rest) = part.split_once("/>").unwrap_or((part, ""));
        let name = maud::html! { (names.next().unwrap_or_default()) }.into_string();
        named += &format!("<circle{mark}><title>{name}</title></circle>{rest}");
    }
    named
}

fn draw_lines(area: &Area<'_>, axes: &Axes, lines: &[Series]) -> Result<(), Error> {
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
    for line in lines {
        for part in line.points.split(|(_, y)| y.is_none()) {
            let points = part.iter().filter_map(|&(x, y)| Some((x, y?)));
            let style = line.color.stroke_width(2);
            if let Some((dash, gap)) = line.dash {
                chart.draw_series(DashedLineSeries::new(points, dash, gap, style))?;
            } else {
                chart.draw_series(LineSeries::new(points, style))?;
            }
        }
        for (k, &(x, y)) in line.points.iter().enumerate() {
            let Some(y) = y else { continue };
            if let Some(bar) = line.bars.get(k).copied().flatten() {
                let ends = vec![(x, bar.0), (x, bar.1)];
                let path = PathElement::new(ends, line.color.mix(0.55).stroke_width(2));
                chart.draw_series(std::iter::once(path))?;
            }
            if line.dots {
                let dot = Circle::new((x, y), 3, line.color.filled());
                chart.draw_series(std::iter::once(dot))?;
            }
        }
    }
    Ok(())
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
) -> Result<(), Error> {
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
    for &(task, flow) in flows {
        let bar = |from: f64, to: f64, color: RGBColor| {
            let x = f64::from(task);
            Rectangle::new([(x - 0.36, from), (x + 0.36, to)], color.filled())
        };
        let (kept, listed) = (count(flow.kept), count(flow.listed()));
        let usable = kept + count(flow.arrived);
        let bars = [
            bar(0.0, kept, KEPT),
            bar(kept, usable, ARRIVED),
            bar(usable, listed, WITHDRAWN),
            bar(0.0, -count(flow.removed), REMOVED),
        ];
        let heights = [flow.kept, flow.arrived, flow.withdrawn, flow.removed];
        let shown = bars.into_iter().zip(heights).filter(|(_, n)| *n > 0);
        chart.draw_series(shown.map(|(bar, _)| bar))?;
    }
    let axis = PathElement::new(
        vec![(f64::from(first) - 0.6, 0.0), (f64::from(last) + 0.6, 0.0)],
        MUTED,
    );
    chart.draw_series(std::iter::once(axis))?;
    Ok(())
}

#[allow(clippy::cast_precision_loss)] // Counts of clips.
fn count(n: usize) -> f64 {
    n as f64
}

#[cfg(test)]
mod tests {
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
        assert_eq!(svg.matches("<circle").count(), 2);
        assert!(svg.contains("<title>x, task 2: 0.300</title>"), "{svg}");
        assert!(svg.contains("aria-label=\"line\""), "{svg}");
    }
}
