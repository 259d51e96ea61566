//! Figures as text.

use super::judgement::{Interval, Spread};

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

/// The ends of an interval with two decimals; a dash where there is none.
pub(super) fn ends(interval: Option<Interval>) -> String {
    let ends = interval.map(|i| [i.low, i.high].map(|end| format!("{end:.2}")));
    let ends = ends.map(|ends| ends.map(|end| end.replace("-0.00", "0.00")));
    ends.map_or_else(|| "–".to_owned(), |[low, high]| format!("{low} to {high}"))
}

/// Mean and deviation over seeds.
pub(super) fn spread(s: &Spread) -> String {
    match (s.mean, s.deviation) {
        (Some(_), Some(deviation)) => format!("{} ± {deviation:.3}", number(s.mean)),
        _ => number(s.mean),
    }
}

/// A number of test clips, or the fewest and the most of several; a dash where unknown.
pub(super) fn clips(range: Option<(usize, usize)>) -> String {
    match range {
        None => "– test clips".to_owned(),
        Some((1, 1)) => "1 test clip".to_owned(),
        Some((least, most)) if least == most => format!("{least} test clips"),
        Some((least, most)) => format!("{least} to {most} test clips"),
    }
}
