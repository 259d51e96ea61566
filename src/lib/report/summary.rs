//! The report in a few lines, the last one for those who read only one.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::analyse::{Analysis, TaskAnalysis};
use super::groups::Group;
use super::numbers::{number, spread};
use super::withdrawals::Withdrawals;

/// What the report says, in short. Its text is the stage's output; the last line is a summary of
/// its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReportSummary {
    lines: Vec<String>,
    last: String,
    page: PathBuf,
}

impl ReportSummary {
    pub(super) fn new(
        page: &Path,
        analyses: &[Analysis],
        groups: &[Group<'_>],
        withdrawals: Option<&Withdrawals>,
    ) -> Self {
        let mut lines = match analyses {
            [] => Vec::new(),
            [one] => of_tasks(one),
            _ => of_groups(groups),
        };
        let chain = withdrawals.and_then(Withdrawals::chain);
        lines.extend(chain.map(|chain| format!("chain of the ledger of withdrawals: {chain}")));
        Self {
            lines,
            last: last_line(analyses, groups, withdrawals),
            page: page.to_owned(),
        }
    }
}

/// Everything in one line.
pub(super) fn last_line(
    analyses: &[Analysis],
    groups: &[Group<'_>],
    withdrawals: Option<&Withdrawals>,
) -> String {
    match (analyses, withdrawals) {
        ([], Some(withdrawals)) => withdrawals.one_line(),
        ([one], _) => one_line(one),
        _ => several(analyses, groups),
    }
}

fn of_tasks(analysis: &Analysis) -> Vec<String> {
    let (lost, width): (&[&str], usize) = if analysis.is_changing() {
        (&["available lost", "withdrawn lost"], 15)
    } else {
        (&["forgetting"], 11)
    };
    let line = |before: [&str; 5], lost: &[String], accuracy: &str| {
        let [task, train, map, chance, quantile] = before;
        let lost: Vec<String> = lost.iter().map(|text| format!(" {text:>width$}")).collect();
        let lost = lost.concat();
        format!("{task:>4} {train:>7} {map:>9} {chance:>12} {quantile:>15}{lost} {accuracy:>9}")
    };
    let head = lost.iter().map(|&name| name.to_owned());
    let mut lines = vec![line(
        ["task", "train", "test mAP", "chance mean", "chance 99th pc"],
        &head.collect::<Vec<_>>(),
        "accuracy",
    )];
    for task in &analysis.tasks {
        let map = analysis.test(task.task, "mean_ap");
        let listed = &analysis.run.clips.listed;
        let train = listed.get(&(task.task, crate::clip::Split::Train));
        let lost = match &task.populations {
            Some(populations) if analysis.is_changing() => {
                let of = [&populations.available, &populations.withdrawn];
                of.map(|of| number(of.forgetting)).to_vec()
            }
            _ => vec![number(map.forgetting)],
        };
        lines.push(line(
            [
                &task.task.to_string(),
                &train.map_or_else(|| "–".to_owned(), usize::to_string),
                &number(map.value),
                &number(task.chance.mean.mean_ap),
                &number(task.chance_quantile()),
            ],
            &lost,
            &number(analysis.test(task.task, "accuracy").value),
        ));
    }
    lines
}

/// What was forgotten: of all clips where all subcategories stay; otherwise at the end of the last
/// task, of what is available apart from what was withdrawn, whose loss is wanted.
fn forgotten(analysis: &Analysis) -> String {
    let last = analysis.last().and_then(|t| t.populations.as_ref());
    match last.filter(|_| analysis.is_changing()) {
        Some(populations) => format!(
            "forgotten of what is available {}, of what was withdrawn {} (wanted)",
            number(populations.available.forgetting),
            number(populations.withdrawn.forgetting)
        ),
        None => format!(
            "mean forgetting {}",
            number(analysis.mean_forgetting("mean_ap"))
        ),
    }
}

/// One run in one line.
fn one_line(analysis: &Analysis) -> String {
    let run = &analysis.run;
    let last = analysis.last();
    let map = last.and_then(|t| analysis.test(t.task, "mean_ap").value);
    let chance = last.and_then(TaskAnalysis::chance_quantile);
    let verdict = match (map, chance) {
        (Some(map), Some(chance)) if map > chance => "above chance",
        (Some(_), Some(_)) => "NOT above chance",
        _ => "chance unknown",
    };
    let unfinished = run.unfinished.map_or_else(String::new, |unfinished| {
        format!(" (unfinished: {unfinished})")
    });
    format!(
        "{} {} seed {}{unfinished}: last task's test mAP {} ({verdict}, 99th percentile {}), mean over {} tasks {}, {}",
        run.scenario,
        run.approach,
        run.seed,
        number(map),
        number(chance),
        analysis.tasks.len(),
        number(analysis.mean("mean_ap")),
        forgotten(analysis),
    )
}

fn of_groups(groups: &[Group<'_>]) -> Vec<String> {
    let name = |g: &Group<'_>| format!("{} {}", g.scenario, g.short_name());
    let names = groups.iter().map(|g| name(g).chars().count());
    let width = names.max().unwrap_or(0).max(8);
    let mut lines = vec![format!(
        "{:<width$} {:>5}  {:<15} {:<15}",
        "runs", "seeds", "mean test mAP", "mean forgetting"
    )];
    for group in groups {
        let [map, forgetting] = group.over_tasks("mean_ap");
        let [_, kept] = group.population(None, |p| &p.available);
        let [_, lost] = group.population(None, |p| &p.withdrawn);
        // Where nothing was withdrawn no loss is wanted.
        let forgotten = if group.is_changing() && lost.mean.is_some() {
            format!(
                "last task: available {}, withdrawn {} (wanted)",
                spread(&kept),
                spread(&lost)
            )
        } else {
            spread(&forgetting)
        };
        lines.push(format!(
            "{:<width$} {:>5}  {:<15} {:<15}",
            name(group),
            group.runs.len(),
            spread(&map),
            forgotten
        ));
    }
    let mut letters: BTreeMap<String, String> = BTreeMap::new();
    for group in groups {
        if let Some(letter) = &group.letter {
            let settings = group.differing.iter();
            let settings: Vec<String> = settings
                .map(|(key, value)| format!("{key} {value}"))
                .collect();
            letters.insert(format!("{} {letter}", group.approach), settings.join(", "));
        }
    }
    lines.extend(
        letters
            .iter()
            .map(|(name, settings)| format!("{name}: {settings}")),
    );
    lines
}

/// Several runs in one line.
fn several(analyses: &[Analysis], groups: &[Group<'_>]) -> String {
    let map = |g: &Group<'_>| g.over_tasks("mean_ap")[0];
    let best = groups
        .iter()
        .filter(|g| map(g).mean.is_some())
        .max_by(|a, b| {
            let mean = |g| map(g).mean.unwrap_or(f64::NEG_INFINITY);
            mean(a).total_cmp(&mean(b))
        });
    let best = best.map_or_else(String::new, |g| {
        format!(
            "; highest mean test mAP {} ({} {})",
            spread(&map(g)),
            g.scenario,
            g.short_name()
        )
    });
    let unfinished = analyses.iter().filter(|a| a.run.unfinished.is_some());
    let left_out = match unfinished.count() {
        0 => String::new(),
        n => format!(" ({n} unfinished, in none of them)"),
    };
    format!(
        "{} runs in {} groups{left_out}{best}",
        analyses.len(),
        groups.len()
    )
}

impl fmt::Display for ReportSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for line in &self.lines {
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f, "report: {}", self.page.display())?;
        writeln!(f, "{}", self.last)
    }
}
