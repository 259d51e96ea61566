//! A linear axis with labels at round numbers, or at given places.

use std::ops::Range;

use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use plotters::coord::types::RangedCoordf64;

/// Key points of an axis, about.
const TICKS: f64 = 5.0;

/// A linear axis with labels at given places.
pub(super) struct TickedAxis {
    scale: RangedCoordf64,
    ticks: Vec<f64>,
}

impl TickedAxis {
    pub(super) fn new(range: &Range<f64>, ticks: Vec<f64>) -> Self {
        Self {
            scale: range.clone().into(),
            ticks,
        }
    }
}

impl Ranged for TickedAxis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, limit: (i32, i32)) -> i32 {
        self.scale.map(value, limit)
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() {
            Vec::new()
        } else {
            self.ticks.clone()
        }
    }

    fn range(&self) -> Range<f64> {
        self.scale.range()
    }
}

/// Round numbers within a range, about [`TICKS`] of them.
pub(super) fn ticks(range: &Range<f64>) -> Vec<f64> {
    let span = range.end - range.start;
    if !(span > 0.0 && span.is_finite()) {
        return Vec::new();
    }
    let magnitude = 10_f64.powf((span / TICKS).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|s| s * magnitude);
    let step = steps.into_iter().find(|s| span / s <= TICKS + 1.0);
    let step = step.unwrap_or(span);
    let mut found = Vec::new();
    let mut k = (range.start / step).ceil();
    while k * step <= range.end + step * 1e-9 {
        found.push(k * step);
        k += 1.0;
    }
    found
}

/// A tick's label: no more digits than it needs.
#[allow(clippy::trivially_copy_pass_by_ref)] // The signature that the plotting library calls.
pub(super) fn label(x: &f64) -> String {
    // -0 is 0.
    let text = format!("{:.4}", x + 0.0);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_round_and_within_the_range() {
        assert_eq!(ticks(&(0.0..1.0)).len(), 6);
        assert_eq!(ticks(&(0.0..390.0)), [0.0, 100.0, 200.0, 300.0]);
        assert_eq!(ticks(&(-30.0..60.0)), [-20.0, 0.0, 20.0, 40.0, 60.0]);
        assert!(ticks(&(1.0..1.0)).is_empty());
        assert_eq!(
            ticks(&(0.0..1.0)).iter().map(label).collect::<Vec<_>>(),
            ["0", "0.2", "0.4", "0.6", "0.8", "1"]
        );
    }
}
