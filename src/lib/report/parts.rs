//! Pieces that the page is made of: numbers, coloured cells, legends, figures.

use maud::{Markup, PreEscaped, html};
use plotters::style::RGBColor;

use super::analyse::Spread;
use super::charts::hex;

/// A share with three decimals; a dash where undefined.
pub(super) fn number(value: Option<f64>) -> String {
    let text = value.map_or_else(|| "–".to_owned(), |v| format!("{v:.3}"));
    // A loss of less than half a thousandth is none.
    if text == "-0.000" {
        "0.000".into()
    } else {
        text
    }
}

/// Mean and deviation over seeds.
pub(super) fn spread(s: &Spread) -> String {
    match (s.mean, s.deviation) {
        (Some(_), Some(deviation)) => format!("{} ± {deviation:.3}", number(s.mean)),
        _ => number(s.mean),
    }
}

/// A cell whose blue deepens with a share of 0..1.
pub(super) fn share_cell(value: Option<f64>, text: &str) -> Markup {
    let depth = value.map_or(0.0, |v| v.clamp(0.0, 1.0)) * 0.55;
    html! { td.n style=(format!("background:rgba(0,114,178,{depth:.2})")) { (text) } }
}

/// A cell that is orange for what was forgotten and green for what got better.
pub(super) fn forgetting_cell(value: Option<f64>) -> Markup {
    forgetting_cell_text(value, &number(value))
}

/// The cell of a figure and of what was forgotten of it.
pub(super) fn measured_cells(value: Option<f64>, forgetting: Option<f64>) -> Markup {
    html! { (share_cell(value, &number(value))) (forgetting_cell(forgetting)) }
}

/// The cell of [`forgetting_cell`] with a text of its own.
pub(super) fn forgetting_cell_text(value: Option<f64>, text: &str) -> Markup {
    let depth = value.map_or(0.0, |v| v.abs().min(1.0)) * 0.8;
    let color = if value.is_some_and(|v| v > 0.0) {
        "213,94,0"
    } else {
        "0,158,115"
    };
    html! { td.n style=(format!("background:rgba({color},{depth:.2})")) { (text) } }
}

/// Coloured swatches with their meanings.
pub(super) fn legend<'a>(entries: impl IntoIterator<Item = (RGBColor, bool, &'a str)>) -> Markup {
    html! {
        p.legend {
            @for (color, dashed, name) in entries {
                @let border = if dashed { "dashed" } else { "solid" };
                span { i style=(format!("border-top:3px {border} {}", hex(color))) {} (name) }
            }
        }
    }
}

/// A drawn figure with what it shows.
pub(super) fn figure(svg: &str, caption: &str, legend: Option<Markup>) -> Markup {
    html! {
        figure aria-label=(caption) {
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
