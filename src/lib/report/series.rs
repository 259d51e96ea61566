//! A line of a chart before it is drawn.

use plotters::style::RGBColor;

use super::looks::{Dash, Look, Mark};

/// One line of a chart.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) color: RGBColor,
    /// How long its dashes and their gaps are, in pixels; none for a solid line.
    pub(super) dash: Option<Dash>,
    pub(super) mark: Mark,
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
            mark: Mark::default(),
            dots: true,
            points: Vec::new(),
            bars: Vec::new(),
        }
    }

    pub(super) fn with_look(name: impl Into<String>, look: Look) -> Self {
        Self {
            dash: look.dash,
            mark: look.mark,
            ..Self::new(name, look.color)
        }
    }

    pub(super) fn look(&self) -> Look {
        Look {
            color: self.color,
            dash: self.dash,
            mark: self.mark,
        }
    }

    /// Whether any of its points is marked.
    pub(super) fn has_marks(&self) -> bool {
        self.dots || !self.mark.is_plain()
    }
}
