//! The figures of the page: attack curves, and what is kept beside what is forgotten.

use std::collections::BTreeMap;

use super::figures::{END, Figures, PATH, SCRATCH, Wanted};
use super::table::MethodRow;
use crate::report::ReportError;
use crate::report::charts::{Axes, INK, MUTED, Series, dash, lines, ticks};
use crate::report::colors::color;
use crate::tables::CurveRow;

/// The size of a figure, in pixels.
const SIZE: (u32, u32) = (520, 380);
/// Half the length of the bar through a target, in accuracy.
const TARGET_BAR: f64 = 0.04;
/// The lowest rate of the logarithmic axes: a thousandth.
const LOWEST: f64 = -3.0;

/// The curves of the attack by confidence at the end of a task, both axes logarithmic: of every
/// method, of the model before and of the path reference, each over all seeds together.
pub(super) fn curves(
    figures: &Figures,
    methods: &[MethodRow],
    task: i32,
) -> Result<(String, Vec<Series>), ReportError> {
    let mut series = Vec::new();
    let own = methods.iter().filter(|row| row.task == task);
    for (place, row) in own.enumerate() {
        let points = rates(figures, &row.method, END, task);
        series.push(line(&row.method, color(place), points));
    }
    let before = methods.iter().find(|row| row.task == task);
    if let Some(row) = before {
        let mut line = line("before", MUTED, rates(figures, &row.method, "before", task));
        line.dash = dash(1);
        series.push(line);
    }
    for name in figures.references(PATH, task) {
        let mut path = line(name, INK, rates(figures, name, END, task));
        path.dash = dash(1);
        series.push(path);
    }
    let axes = Axes {
        x: "log10 of the false positive rate".into(),
        y: "log10 of the true positive rate".into(),
        x_range: LOWEST..0.0,
        x_ticks: ticks(&(LOWEST..0.0)),
        y_range: LOWEST..0.0,
    };
    let svg = lines("attack curves", SIZE, &axes, &series)?;
    Ok((svg, series))
}

fn line(name: &str, color: plotters::style::RGBColor, points: Vec<(f64, Option<f64>)>) -> Series {
    Series {
        points,
        dots: false,
        ..Series::new(name, color)
    }
}

/// The logarithms of the mean rates over runs: the true positive rate at each false positive rate
/// that some run reaches.
fn rates(figures: &Figures, method: &str, moment: &str, task: i32) -> Vec<(f64, Option<f64>)> {
    let mut runs: BTreeMap<&str, Vec<&CurveRow>> = BTreeMap::new();
    let of = |row: &&CurveRow| {
        row.method == method && row.moment == moment && row.task == task && row.attack == "phi"
    };
    for row in figures.curves.iter().filter(of) {
        runs.entry(&row.run).or_default().push(row);
    }
    let share = |part: i64, all: i64| part as f64 / all.max(1) as f64;
    let mut at: Vec<f64> = runs
        .values()
        .flatten()
        .map(|row| share(row.false_positives, row.others))
        .filter(|rate| *rate > 0.0)
        .collect();
    at.sort_by(f64::total_cmp);
    at.dedup();
    let reached = |points: &Vec<&CurveRow>, rate: f64| {
        let within = points
            .iter()
            .filter(|row| share(row.false_positives, row.others) <= rate);
        within
            .map(|row| share(row.hits, row.members))
            .fold(0.0, f64::max)
    };
    at.into_iter()
        .map(|rate| {
            let rates = runs.values().map(|points| reached(points, rate));
            let mean = rates.sum::<f64>() / runs.len().max(1) as f64;
            let y = (mean > 0.0).then(|| mean.log10().max(LOWEST));
            (rate.log10().max(LOWEST), y)
        })
        .collect()
}

/// Accuracy on F against that on R at the end of a task, with both references as targets.
pub(super) fn scatter(
    figures: &Figures,
    methods: &[MethodRow],
    task: i32,
) -> Result<(String, Vec<Series>), ReportError> {
    let accuracy = |method: &str, population| {
        let wanted = Wanted::own(method, task, population, "accuracy");
        figures.over_seeds(wanted).and_then(|row| row.value)
    };
    let own = methods.iter().filter(|row| row.task == task);
    let own = own
        .enumerate()
        .map(|(place, row)| (&row.method[..], color(place)));
    let of_kind = |kind, color| {
        let names = figures.references(kind, task).into_iter();
        names.map(move |name| (name, color))
    };
    let targets: Vec<_> = of_kind(PATH, INK).chain(of_kind(SCRATCH, MUTED)).collect();
    let mut series = Vec::new();
    for (name, color) in own.chain(targets.iter().copied()) {
        let Some(x) = accuracy(name, "retain") else {
            continue;
        };
        let mut point = Series::new(name, color);
        let y = accuracy(name, "forget");
        point.points = vec![(x, y)];
        // A target is a cross: its point has a bar.
        if targets.iter().any(|(target, _)| *target == name) {
            point.dash = dash(1);
            point.bars = vec![y.map(|y| (y - TARGET_BAR, y + TARGET_BAR))];
        }
        series.push(point);
    }
    let axes = Axes {
        x: "accuracy on what stays (R)".into(),
        y: "accuracy on what left (F)".into(),
        x_range: 0.0..1.0,
        x_ticks: ticks(&(0.0..1.0)),
        y_range: 0.0..1.0,
    };
    let svg = lines("retain against forget", SIZE, &axes, &series)?;
    Ok((svg, series))
}
