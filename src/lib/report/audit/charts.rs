//! The figures of the page: attack curves, and what is kept beside what is forgotten.

use std::collections::BTreeMap;

use super::figures::{END, Figures, PATH, SCRATCH, Wanted};
use super::table::MethodRow;
use crate::report::ReportError;
use crate::report::charts::{Axes, Series, lines, ticks};
use crate::report::looks::Look;
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
    for row in own {
        let points = rates(figures, &row.method, END, task);
        series.push(line(&row.method, Look::of(&row.method), points));
    }
    let before = methods.iter().find(|row| row.task == task);
    if let Some(row) = before {
        let points = rates(figures, &row.method, "before", task);
        series.push(line("before", Look::BEFORE, points));
    }
    for name in figures.references(PATH, task) {
        let points = rates(figures, name, END, task);
        series.push(line(name, of_reference(name), points));
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

fn line(name: &str, look: Look, points: Vec<(f64, Option<f64>)>) -> Series {
    Series {
        points,
        dots: false,
        ..Series::with_look(name, look)
    }
}

/// The look of a reference, `path` or `ridge path`: its kind's, with the mark of its approach.
fn of_reference(name: &str) -> Look {
    let (approach, kind) = name.rsplit_once(' ').unwrap_or(("", name));
    let look = if kind == PATH {
        Look::PATH
    } else {
        Look::SCRATCH
    };
    look.behind(approach)
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
    let own = own.map(|row| (&row.method[..], Look::of(&row.method), None));
    let kinds = [PATH, SCRATCH].into_iter();
    let references = kinds.flat_map(|kind| figures.references(kind, task));
    // A target is a cross: its point has a bar.
    let targets = references.map(|name| (name, of_reference(name), Some(TARGET_BAR)));
    let mut series = Vec::new();
    for (name, look, bar) in own.chain(targets) {
        let Some(x) = accuracy(name, "retain") else {
            continue;
        };
        let y = accuracy(name, "forget");
        series.push(Series {
            points: vec![(x, y)],
            bars: vec![y.zip(bar).map(|(y, bar)| (y - bar, y + bar))],
            ..Series::with_look(name, look)
        });
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
