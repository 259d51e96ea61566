//! Pieces that the page is made of: numbers, coloured cells, tables, legends, figures.

use maud::{Markup, PreEscaped, html};
use plotters::style::RGBColor;

use super::charts::Series;
use super::judgement::{Interval, Judgement, Spread};
use super::looks::{Dash, Look, Mark};
use super::numbers::{clips, ends, number, spread};
use super::strokes::sample;

/// Mean and deviation over seeds with their number and the interval of the mean.
pub(super) fn spread_cell(s: &Spread) -> Markup {
    html! { td.n data-sort=[s.mean] { (spread(s)) (seeds(s)) } }
}

/// What a mean over seeds must be read beside, in small print: seeds, the interval, test clips, and
/// what permuted labels reach on average. Each stands on a line of its own, as narrow as the mean.
fn seeds(s: &Spread) -> Markup {
    html! {
        @if s.runs > 0 {
            small { "n " (s.runs) @if s.interval.is_some() { " · " (ends(s.interval)) } }
            @if s.clips.is_some() { small { (clips(s.clips)) } }
            @if s.chance.is_some() { small { "chance " (number(s.chance)) } }
        }
    }
}

/// How deep the blue of a share of 0..1 is.
fn share_style(value: Option<f64>) -> String {
    let depth = value.map_or(0.0, |v| v.clamp(0.0, 1.0)) * 0.5;
    format!("background-color:rgba(0,114,178,{depth:.2})")
}

/// Orange for what was forgotten, green for what got better.
fn forgetting_style(value: Option<f64>) -> String {
    let depth = value.map_or(0.0, |v| v.abs().min(1.0)) * 0.55;
    let color = if value.is_some_and(|v| v > 0.0) {
        "213,94,0"
    } else {
        "0,158,115"
    };
    format!("background-color:rgba({color},{depth:.2})")
}

/// A cell whose blue deepens with a share of 0..1.
pub(super) fn share_cell(value: Option<f64>, text: &str) -> Markup {
    html! { td.n style=(share_style(value)) { (text) } }
}

/// The cell of a mean over seeds of a share of 0..1.
pub(super) fn share_spread_cell(s: &Spread) -> Markup {
    html! { td.n data-sort=[s.mean] style=(share_style(s.mean)) { (spread(s)) (seeds(s)) } }
}

/// The cell of a mean over seeds of what was forgotten.
pub(super) fn forgetting_spread_cell(s: &Spread) -> Markup {
    html! { td.n data-sort=[s.mean] style=(forgetting_style(s.mean)) { (spread(s)) (seeds(s)) } }
}

/// The cell of a mean over seeds of what had no training clips: `mark` says since when.
pub(super) fn away_spread_cell(s: &Spread, mark: &str) -> Markup {
    html! {
        td.n.away data-sort=[s.mean] {
            (spread(s)) (seeds(s)) @if s.runs > 0 { small.mark { (mark) } }
        }
    }
}

/// What a figure must be read beside, in words, for a pointer that rests on it.
fn beside(j: &Judgement) -> String {
    let clips = j.clips.map_or_else(|| "–".to_owned(), |n| n.to_string());
    format!(
        "n = {clips} clips; 95 % interval {}; chance {}, 99th percentile {}",
        ends(j.interval),
        number(j.chance),
        number(j.chance_quantile)
    )
}

/// The cell of a figure with its interval.
pub(super) fn judged_cell(j: &Judgement) -> Markup {
    html! {
        td.n data-sort=[j.value] title=(beside(j)) style=(share_style(j.value)) {
            (number(j.value)) (small_ends(j.interval))
        }
    }
}

/// The same where the model has no training clips of what it is about: `mark` says since when.
pub(super) fn away_cell(j: &Judgement, mark: &str) -> Markup {
    html! {
        td.n.away data-sort=[j.value] title=(format!("{mark}; {}", beside(j))) {
            (number(j.value)) (small_ends(j.interval)) small.mark { (mark) }
        }
    }
}

/// The cell of what was forgotten of a figure, with its interval.
pub(super) fn forgotten_cell(j: &Judgement) -> Markup {
    html! {
        td.n data-sort=[j.forgetting] style=(forgetting_style(j.forgetting)) {
            (number(j.forgetting)) (small_ends(j.forgetting_interval))
        }
    }
}

/// The same where what was forgotten is not, or not only, a loss: no colour says that it is.
pub(super) fn plain_forgotten_cell(j: &Judgement) -> Markup {
    html! { td.n data-sort=[j.forgetting] { (number(j.forgetting)) (small_ends(j.forgetting_interval)) } }
}

fn small_ends(interval: Option<Interval>) -> Markup {
    html! { @if interval.is_some() { small { (ends(interval)) } } }
}

/// A column of a table: its name, and whether numbers stand in it.
pub(super) struct Column {
    name: String,
    number: bool,
}

impl Column {
    pub(super) fn text(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            number: false,
        }
    }

    pub(super) fn number(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            number: true,
        }
    }
}

/// A table in a frame that scrolls where the page is too narrow; the script lets its rows be
/// sorted and, where there are many, filtered.
pub(super) fn table(name: &str, columns: &[Column], rows: &Markup) -> Markup {
    framed(name, "sortable", columns, rows)
}

/// A table whose rows keep their order: they stand below headings of their own.
pub(super) fn ordered_table(name: &str, columns: &[Column], rows: &Markup) -> Markup {
    framed(name, "ordered", columns, rows)
}

fn framed(name: &str, kind: &str, columns: &[Column], rows: &Markup) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-label=(name) {
            table class=(kind) {
                thead {
                    tr {
                        @for column in columns {
                            th.n[column.number] scope="col" { (column.name) }
                        }
                    }
                }
                tbody { (rows) }
            }
        }
    }
}

/// Samples of colours with their meanings.
pub(super) fn legend<'a>(
    entries: impl IntoIterator<Item = (RGBColor, Option<Dash>, &'a str)>,
) -> Markup {
    let sampled = entries.into_iter().map(|(color, dash, name)| {
        let look = Look {
            color,
            dash,
            mark: Mark::default(),
        };
        (sample(look, false), name)
    });
    samples(sampled)
}

/// The legend of the lines of a chart.
pub(super) fn legend_of(lines: &[Series]) -> Markup {
    samples(
        lines
            .iter()
            .map(|line| (sample(line.look(), line.has_marks()), line.name.as_str())),
    )
}

fn samples<'a>(entries: impl Iterator<Item = (Markup, &'a str)>) -> Markup {
    html! {
        p.legend {
            @for (sample, name) in entries { span { (sample) (name) } }
        }
    }
}

/// A drawn figure with what it shows.
pub(super) fn figure(svg: &str, caption: &str, legend: Option<Markup>) -> Markup {
    html! {
        figure {
            (PreEscaped(svg))
            @if let Some(legend) = legend { (legend) }
            figcaption { (caption) }
        }
    }
}

/// A big number with what it is.
pub(super) fn card(value: &str, what: &str, more: &str) -> Markup {
    html! {
        div.card {
            strong { (value) }
            span { (what) }
            @if !more.is_empty() { small { (more) } }
        }
    }
}
