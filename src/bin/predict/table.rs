//! The answers as a table for people.

use std::path::{Path, PathBuf};

use incdec::foreign::printable;
use incdec::predict::ClipPrediction;

/// Width of a probability with four decimals.
const PROBABILITY_WIDTH: usize = 6;

/// How wide the columns are.
pub(crate) struct Table {
    video_width: usize,
}

impl Table {
    pub(crate) fn new(videos: &[PathBuf]) -> Self {
        let widths = videos.iter().map(|video| shown(video).chars().count());
        Self {
            video_width: widths.max().unwrap_or(0).max("video".len()),
        }
    }

    /// The names of the columns.
    pub(crate) fn head(&self, categories: &[String]) -> String {
        let probabilities = categories.iter().map(|name| {
            let width = width(name);
            format!("  {:>width$}", printable(name))
        });
        let widest = widest(categories);
        format!(
            "{:<video$}  {:>8}  {:>6}  {:<widest$}{}",
            "video",
            "start",
            "frames",
            "prediction",
            probabilities.collect::<String>(),
            video = self.video_width,
        )
    }

    /// The line of a clip.
    pub(crate) fn row(&self, categories: &[String], clip: &ClipPrediction) -> String {
        let probabilities = categories.iter().zip(&clip.probabilities).map(|(name, p)| {
            let width = width(name);
            format!("  {p:>width$.4}")
        });
        let widest = widest(categories);
        let prediction = categories.get(clip.class).map_or("", String::as_str);
        format!(
            "{:<video$}  {:>6.1} s  {:>6}  {:<widest$}{}",
            shown(&clip.video),
            clip.start_s,
            clip.frames,
            printable(prediction),
            probabilities.collect::<String>(),
            video = self.video_width,
        )
    }
}

/// Width of the column of a category's probability.
fn width(category: &str) -> usize {
    printable(category).chars().count().max(PROBABILITY_WIDTH)
}

/// Width of the column of predictions.
fn widest(categories: &[String]) -> usize {
    let widths = categories
        .iter()
        .map(|name| printable(name).chars().count());
    widths.max().unwrap_or(0).max("prediction".len())
}

/// A path as it is shown.
fn shown(path: &Path) -> String {
    printable(&path.to_string_lossy()).into_owned()
}
