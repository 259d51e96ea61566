//! Runs that differ in their seed alone, summed up: mean and standard deviation over seeds.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::analyse::Analysis;
use super::copies::set_apart;
use super::judgement::{Judgement, Place, Spread, judged_over_runs, over_runs};
use super::load::Run;
use super::populations::{Population, Populations, Presence, presence};
use super::run_figures::Measured;
use super::summary_row::SummaryRow;
use crate::clip::Split;
use crate::metrics::mean_defined;

/// Runs of one scenario and one approach under the same settings, over seeds; no run is among them
/// twice, and no seed.
#[derive(Clone, Debug)]
pub(super) struct Group<'a> {
    pub(super) scenario: String,
    /// The approach's name alone.
    pub(super) approach: String,
    /// Which of the approach's settings, where runs of it differ in them: A, B, ...
    pub(super) letter: Option<String>,
    /// The settings in which the approach's groups differ, as this one has them.
    pub(super) differing: Vec<(String, String)>,
    /// What sets outcomes of the same run apart: the machine, a number.
    apart: String,
    pub(super) runs: Vec<&'a Analysis>,
}

/// Sorts the finished runs into groups, by scenario and approach. One that has done a part of its
/// tasks is in none: its means would be over other tasks than those of the others.
pub(super) fn group(analyses: &[Analysis]) -> Vec<Group<'_>> {
    let finished = analyses.iter().filter(|a| a.run.unfinished.is_none());
    let analyses: Vec<&Analysis> = finished.collect();
    let mut alike: BTreeMap<(String, String, String), Vec<&Analysis>> = BTreeMap::new();
    for &analysis in &analyses {
        let run = &analysis.run;
        let settings = Value::Object(compared(&analysis.run)).to_string();
        let key = (run.scenario.clone(), run.approach.clone(), settings);
        alike.entry(key).or_default().push(analysis);
    }
    // Scenario, approach, settings, and what sets outcomes of the same run apart.
    let mut groups: BTreeMap<(String, String, String, String), Vec<&Analysis>> = BTreeMap::new();
    for ((scenario, approach, settings), runs) in alike {
        let apart = set_apart(&runs.iter().map(|a| &a.run).collect::<Vec<_>>());
        for (analysis, apart) in runs.into_iter().zip(apart) {
            let key = (scenario.clone(), approach.clone(), settings.clone(), apart);
            groups.entry(key).or_default().push(analysis);
        }
    }
    let mut variants: BTreeMap<String, Vec<Map<String, Value>>> = BTreeMap::new();
    for analysis in &analyses {
        let (of_approach, ours) = (
            variants.entry(analysis.run.approach.clone()).or_default(),
            compared(&analysis.run),
        );
        if !of_approach.contains(&ours) {
            of_approach.push(ours);
        }
    }
    for of_approach in variants.values_mut() {
        of_approach.sort_by_key(|settings| Value::Object(settings.clone()).to_string());
    }
    let named = groups
        .into_iter()
        .map(|((scenario, approach, _, apart), mut runs)| {
            runs.sort_by(|a, b| (a.run.seed, &a.run.name).cmp(&(b.run.seed, &b.run.name)));
            let all = variants.get(&approach).map_or(&[][..], Vec::as_slice);
            let ours = compared(&runs[0].run);
            let place = all.iter().position(|settings| *settings == ours);
            Group {
                letter: place.filter(|_| all.len() > 1).map(letter),
                differing: differences(&ours, all),
                scenario,
                approach,
                apart,
                runs,
            }
        });
    named.collect()
}

/// What must be the same in the runs of a group: everything but the seed, and but the scenario,
/// which it is named after.
fn compared(run: &Run) -> Map<String, Value> {
    let mut settings = run.settings.clone();
    for key in ["seed", "scenario"] {
        settings.shift_remove(key);
    }
    settings.insert("start".to_owned(), run.start.to_string().into());
    settings
}

/// A, B, ..., Z, AA, AB, ...
fn letter(k: usize) -> String {
    let before = k / 26;
    let last = char::from(b'A' + u8::try_from(k % 26).unwrap_or(0));
    let first = before.checked_sub(1).map(letter).unwrap_or_default();
    format!("{first}{last}")
}

/// The settings in which `all` differ, as `ours` has them.
fn differences(ours: &Map<String, Value>, all: &[Map<String, Value>]) -> Vec<(String, String)> {
    let keys: BTreeSet<&String> = all.iter().flat_map(|m| m.keys()).collect();
    let differing = keys.into_iter().filter(|key| {
        let first = all.first().and_then(|settings| settings.get(*key));
        all.iter().any(|other| other.get(*key) != first)
    });
    let text = |value: &Value| {
        let plain = value.as_str().map(str::to_owned);
        plain.unwrap_or_else(|| value.to_string())
    };
    differing
        .map(|key| {
            let value = ours.get(key).map_or_else(|| "–".to_owned(), text);
            (key.clone(), value)
        })
        .collect()
}

impl Group<'_> {
    /// The approach with its letter and with what sets it apart: what the page calls it within its
    /// scenario.
    pub(super) fn short_name(&self) -> String {
        let letter = self.letter.as_deref().map(|letter| format!(" {letter}"));
        format!(
            "{}{}{}",
            self.approach,
            letter.unwrap_or_default(),
            self.apart
        )
    }

    /// The approach with the settings that set it apart spelled out, for a table that stands alone.
    fn full_name(&self) -> String {
        let settings: Vec<String> = self
            .differing
            .iter()
            .map(|(key, value)| format!("{key} {value}"))
            .collect();
        let settings = if settings.is_empty() {
            String::new()
        } else {
            format!(" ({})", settings.join(", "))
        };
        format!("{}{settings}{}", self.approach, self.apart)
    }

    /// Value and forgetting of a figure of each run, over seeds, with chance.
    fn judged(&self, of: impl Fn(&Analysis) -> Judgement) -> [Spread; 2] {
        judged_over_runs(&self.runs.iter().map(|a| of(a)).collect::<Vec<_>>())
    }

    /// The level of chance of each run's last mAP, over seeds: the asked quantile.
    pub(super) fn last_chance_quantile(&self) -> Spread {
        over_runs(self.runs.iter().map(|a| a.last()?.chance_quantile()))
    }

    /// The mAP of each run's last task, over seeds.
    pub(super) fn last_map(&self) -> Spread {
        let [value, _] = self.judged(|a| {
            let last = a.last();
            let of = |t| a.judgement(t, "mean_ap", Place::Overall);
            last.map(of).unwrap_or_default()
        });
        value
    }

    /// A population's figure at the end of a task, or of each run's last one, over seeds.
    pub(super) fn population(
        &self,
        task: Option<i32>,
        which: fn(&Populations) -> &Population,
    ) -> [Spread; 2] {
        self.judged(|a| {
            let of = match task {
                Some(task) => a.task(task),
                None => a.last(),
            };
            let populations = of.and_then(|t| t.populations.as_ref());
            populations.map_or_else(Judgement::default, |p| which(p).judgement())
        })
    }

    /// Whether a subcategory is withdrawn, or yet to come, in some task of a run.
    pub(super) fn is_changing(&self) -> bool {
        self.runs.iter().any(|a| a.is_changing())
    }

    /// The tasks that any run has evaluated.
    pub(super) fn tasks(&self) -> Vec<i32> {
        let tasks: BTreeSet<i32> = self
            .runs
            .iter()
            .flat_map(|a| a.tasks.iter().map(|t| t.task))
            .collect();
        tasks.into_iter().collect()
    }

    /// An overall figure of one task over seeds.
    pub(super) fn of_task(&self, task: i32, metric: &str) -> [Spread; 2] {
        self.judged(|a| {
            let of = |t| a.judgement(t, metric, Place::Overall);
            a.task(task).map(of).unwrap_or_default()
        })
    }

    /// The mean over tasks of an overall figure, and of its forgetting over tasks 1 and up, over
    /// seeds.
    pub(super) fn over_tasks(&self, metric: &str) -> [Spread; 2] {
        self.judged(|a| a.over_tasks(metric))
    }

    /// The same of a subcategory's average precision over the tasks to which it is `wanted`.
    pub(super) fn subcategory(&self, name: &str, wanted: fn(Presence) -> bool) -> [Spread; 2] {
        self.judged(|a| a.of_subcategory(name, wanted))
    }

    /// The tasks at which a subcategory left, in whatever run.
    pub(super) fn left_at(&self, name: &str) -> BTreeSet<i32> {
        let of_run = |a: &&Analysis| {
            let tasks = a.task_numbers();
            let presence = presence(&a.run, &tasks, name);
            let left = tasks.into_iter().zip(presence);
            let left = left.filter(|(_, presence)| *presence == Presence::Left);
            left.map(|(task, _)| task).collect::<Vec<_>>()
        };
        self.runs.iter().flat_map(of_run).collect()
    }

    /// Value and forgetting, each over the runs.
    fn spreads(&self, measure: impl Fn(&Analysis) -> Measured) -> (Spread, Spread) {
        let measured: Vec<Measured> = self.runs.iter().map(|a| measure(a)).collect();
        (
            over_runs(measured.iter().map(|m| m.value)),
            over_runs(measured.iter().map(|m| m.forgetting)),
        )
    }

    /// Everything about the group as rows of the table.
    pub(super) fn rows(&self) -> Vec<SummaryRow> {
        type About = (String, Option<String>, Option<String>);
        let mut about: BTreeSet<About> = BTreeSet::new();
        for analysis in &self.runs {
            for ((_, split, metric, class, subcategory), _) in analysis.run.figures.iter() {
                // Counts of clips are no figures to average.
                if *split == Split::Test && !metric.starts_with("confusion") {
                    about.insert((metric.clone(), class.clone(), subcategory.clone()));
                }
            }
        }
        let tasks: Vec<Option<i32>> = std::iter::once(None)
            .chain(self.tasks().into_iter().map(Some))
            .collect();
        let mut rows = Vec::new();
        for (metric, class, subcategory) in about {
            for &task in &tasks {
                let (class_name, subcategory_name) = (class.as_deref(), subcategory.as_deref());
                let (value, forgetting) = self.spreads(|a| match task {
                    None => mean_over_tasks(a, &metric, class_name, subcategory_name),
                    Some(task) => {
                        let figures = &a.run.figures;
                        figures.get(task, Split::Test, &metric, class_name, subcategory_name)
                    }
                });
                rows.push(SummaryRow {
                    scenario: self.scenario.clone(),
                    approach: self.full_name(),
                    metric: metric.clone(),
                    category: class.clone(),
                    subcategory: subcategory.clone(),
                    task,
                    seeds: i32::try_from(self.runs.len()).unwrap_or(i32::MAX),
                    mean: value.mean,
                    deviation: value.deviation,
                    forgetting_mean: forgetting.mean,
                    forgetting_deviation: forgetting.deviation,
                });
            }
        }
        rows
    }
}

/// One run's mean over tasks of a figure, and over tasks 1 and up of its forgetting.
fn mean_over_tasks(
    analysis: &Analysis,
    metric: &str,
    class: Option<&str>,
    subcategory: Option<&str>,
) -> Measured {
    let measured: Vec<Measured> = analysis
        .tasks
        .iter()
        .map(|t| {
            let figures = &analysis.run.figures;
            figures.get(t.task, Split::Test, metric, class, subcategory)
        })
        .collect();
    Measured {
        value: mean_defined(measured.iter().map(|m| m.value)),
        forgetting: mean_defined(measured.iter().skip(1).map(|m| m.forgetting)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn letters_go_on_after_z() {
        assert_eq!([0, 25, 26, 27].map(letter), ["A", "Z", "AA", "AB"]);
    }
}
