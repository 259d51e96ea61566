//! Lines, the bars through their points and the marks on them, as SVG. What the plotting library
//! draws has no name that a pointer which rests on it could be shown; these have.

use maud::{Markup, html};

use super::colors::hex;
use super::looks::{Dash, Look};
use super::numbers::number;
use super::series::Series;
use super::ticked_axis::label;

/// Marks of a line that has too many points for one each.
const FEW_MARKS: usize = 6;
/// Width and height of a legend's sample of a line, in pixels.
const SAMPLE_SIZE: (u32, u32) = (36, 12);

/// The strokes of a chart's lines. `x` is what its axis shows, `place` where a point lies.
pub(super) fn strokes(x: &str, lines: &[Series], place: &dyn Fn(f64, f64) -> (i32, i32)) -> Markup {
    let x = x.split([' ', ';']).next().unwrap_or_default();
    html! {
        // The script tells the values of lines without marks by the name of the axis.
        g data-x=(x) {
            @for line in lines {
                @for part in line.points.split(|(_, y)| y.is_none()) { (stroke(line, part, place)) }
                @for (k, &(at, y)) in line.points.iter().enumerate() {
                    @if let Some(y) = y {
                        @let bar = line.bars.get(k).copied().flatten();
                        @if let Some((low, high)) = bar { (between(line, place(at, low), place(at, high))) }
                        @if is_marked(line, k) {
                            @let ends = bar.map_or_else(String::new, |(low, high)| format!(" ({} to {})", number(Some(low)), number(Some(high))));
                            @let name = format!("{}, {x} {}: {}{ends}", line.name, label(&at), number(Some(y)));
                            (mark(line.look(), place(at, y), Some(&name)))
                        }
                    }
                }
            }
        }
    }
}

/// A line through points that are all defined.
fn stroke(
    line: &Series,
    part: &[(f64, Option<f64>)],
    place: &dyn Fn(f64, f64) -> (i32, i32),
) -> Markup {
    let defined = || part.iter().filter_map(|&(x, y)| Some((x, y?)));
    let places = defined().map(|(x, y)| place(x, y));
    let points: Vec<String> = places.map(|(x, y)| format!("{x},{y}")).collect();
    // Marks tell the values themselves.
    let values = (!line.dots).then(|| {
        let values = defined().map(|(x, y)| format!("{} {}", label(&x), number(Some(y))));
        values.collect::<Vec<_>>().join(";")
    });
    html! {
        @if !points.is_empty() {
            polyline fill="none" stroke=(hex(line.color)) stroke-width="2" stroke-dasharray=[dashes(line.dash)]
                points=(points.join(" ")) data-name=[values.as_ref().map(|_| &line.name)] data-values=[values] {
                title { (line.name) }
            }
        }
    }
}

/// The bar through a point, from end to end.
fn between(line: &Series, low: (i32, i32), high: (i32, i32)) -> Markup {
    html! {
        line x1=(low.0) y1=(low.1) x2=(high.0) y2=(high.1) stroke=(hex(line.color)) stroke-width="1" {}
    }
}

/// Whether the k-th point has a mark: every one of a dotted line, and a few of any that is told
/// apart by its marks.
fn is_marked(line: &Series, k: usize) -> bool {
    let every = line.points.len().div_ceil(FEW_MARKS).max(1);
    line.dots || (!line.mark.is_plain() && k % every == every / 2)
}

fn mark(look: Look, (x, y): (i32, i32), name: Option<&str>) -> Markup {
    let color = hex(look.color);
    let outline = format!("M{x} {y}{}", look.mark.path());
    html! {
        @if look.mark.is_hollow() {
            path.mark.hollow d=(outline) fill="#ffffff" stroke=(color) stroke-width="1.5" {
                @if let Some(name) = name { title { (name) } }
            }
        } @else {
            path.mark d=(outline) fill=(color) { @if let Some(name) = name { title { (name) } } }
        }
    }
}

fn dashes(dash: Option<Dash>) -> Option<String> {
    dash.map(|(dash, gap)| format!("{dash} {gap}"))
}

/// A short piece of a line for a legend, with a mark where the line has some.
pub(super) fn sample(look: Look, has_marks: bool) -> Markup {
    let (width, height) = SAMPLE_SIZE;
    let middle = (18, 6);
    html! {
        svg viewBox=(format!("0 0 {width} {height}")) width=(width) height=(height) aria-hidden="true" {
            line x1="0" y1=(middle.1) x2=(width) y2=(middle.1) stroke=(hex(look.color)) stroke-width="3" stroke-dasharray=[dashes(look.dash)] {}
            @if has_marks { (mark(look, middle, None)) }
        }
    }
}
