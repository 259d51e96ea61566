//! Over seeds: means, Student's and bootstrap intervals, attacks that need other seeds' references,
//! and what may be said.

use std::collections::BTreeMap;

use super::super::interval::{Draw, REPLICATES, Side, paired_bootstrap, t_interval};
use super::super::membership::{attack, auc};
use super::super::rmia::{self, DEFAULT_A, Probabilities};
use super::super::scores::sigmoid;
use super::super::verdict::verdict;
use super::super::{AuditError, Rows, mean};
use super::AuditStageError;
use super::rows::{About, PATH, SCRATCH, number};
use super::runs::AuditedRun;
use super::said::{Answers, Said, attack_rows};
use super::sets::{ClipSet, Sets};
use crate::tables::{AuditRow, CurveRow};

/// A withdrawal of one run at one moment, after its models are put away.
pub(super) struct Judged<'a> {
    pub(super) about: About<'a>,
    pub(super) sets: Sets,
    pub(super) own: Answers,
    pub(super) before: Answers,
    pub(super) path: Answers,
    pub(super) path_run: &'a AuditedRun,
    /// What the path reference's own rows are called.
    pub(super) path_name: String,
    pub(super) scratch: Option<Answers>,
}

impl Judged<'_> {
    /// Whether two are the same withdrawal by the same method, under two seeds.
    fn is_beside(&self, other: &Self) -> bool {
        self.about.method == other.about.method && self.is_of_same_clips(other)
    }

    /// Whether two are of the same clips at the same moment.
    fn is_of_same_clips(&self, other: &Self) -> bool {
        let same = |a: &ClipSet, b: &ClipSet| a.clips == b.clips;
        self.about.moment == other.about.moment
            && self.about.task == other.about.task
            && same(&self.sets.forget, &other.sets.forget)
            && same(&self.sets.retain, &other.sets.retain)
            && same(&self.sets.test, &other.sets.test)
    }

    fn seed(&self) -> u64 {
        self.about.run.settings.seed
    }
}

/// Groups of the same withdrawal by the same method over seeds, in the order of their first.
pub(super) fn groups<'a, 'b>(judged: &'b [Judged<'a>]) -> Vec<Vec<&'b Judged<'a>>> {
    let mut groups: Vec<Vec<&Judged<'_>>> = Vec::new();
    for one in judged {
        match groups.iter_mut().find(|group| group[0].is_beside(one)) {
            Some(group) => group.push(one),
            None => groups.push(vec![one]),
        }
    }
    groups
}

/// RMIA of every run, with the path references of other seeds; none where there is no other seed.
///
/// # Errors
/// When a measure refuses.
pub(super) fn rmia_rows(
    judged: &[Judged<'_>],
) -> Result<(Vec<AuditRow>, Vec<CurveRow>), AuditStageError> {
    let (mut rows, mut curves) = (Vec::new(), Vec::new());
    for one in judged {
        // One reference of each other seed, whichever method's run names it.
        let mut references: BTreeMap<u64, &Answers> = BTreeMap::new();
        for other in judged.iter().filter(|other| other.is_of_same_clips(one)) {
            if other.seed() != one.seed() && other.path_name == one.path_name {
                references.entry(other.seed()).or_insert(&other.path);
            }
        }
        let references: Vec<&Answers> = references.into_values().collect();
        if references.is_empty() {
            continue;
        }
        let failed = AuditStageError::of(&one.about.run.name);
        let scores = |target: &Answers| rmia_scores(target, &references);
        let [members, others] = scores(&one.own).map_err(&failed)?;
        let [path_members, path_others] = scores(&one.path).map_err(&failed)?;
        let own = attack(&members, &others).map_err(&failed)?;
        let path = attack(&path_members, &path_others).map_err(&failed)?;
        rows.extend(attack_rows(one.about, "rmia", &own, &[]));
        rows.extend(attack_rows(one.about, "rmia", &own, &[(PATH, &path)]));
        let about = About {
            run: one.path_run,
            method: &one.path_name,
            ..one.about
        };
        rows.extend(attack_rows(about, "rmia", &path, &[]));
        curves.extend(one.about.curve("rmia", &members, &others));
        curves.extend(about.curve("rmia", &path_members, &path_others));
    }
    Ok((rows, curves))
}

/// The scores of F and of clips like it; clips without a score are left out.
fn rmia_scores(target: &Answers, references: &[&Answers]) -> Result<[Vec<f64>; 2], AuditError> {
    let probabilities = |answers: &Answers, set: &str| -> Vec<f64> {
        answers[set].phi.iter().map(|phi| sigmoid(*phi)).collect()
    };
    let of_references = |set: &str| -> Vec<f64> {
        let each: Vec<Vec<f64>> = references.iter().map(|r| probabilities(r, set)).collect();
        let clips = each.first().map_or(0, Vec::len);
        (0..clips)
            .flat_map(|clip| each.iter().map(move |p| p[clip]))
            .collect()
    };
    let width = references.len();
    let population_target = probabilities(target, "population");
    let population = of_references("population");
    let of = |set: &str| -> Result<Vec<f64>, AuditError> {
        let (own, theirs) = (probabilities(target, set), of_references(set));
        let input = Probabilities {
            references: Rows::new(&theirs, own.len(), width)?,
            never_saw: &vec![true; theirs.len()],
            target: &own,
            population_target: &population_target,
            population_references: Rows::new(&population, population_target.len(), width)?,
        };
        Ok(rmia::scores(&input, DEFAULT_A)?
            .into_iter()
            .flatten()
            .collect())
    };
    Ok([of("forget")?, of("like_forget")?])
}

/// What rows of one figure share over runs.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    method: String,
    moment: String,
    task: i32,
    population: String,
    group: Option<String>,
    measure: String,
    reference: Option<String>,
}

impl Key {
    fn of(row: &AuditRow) -> Self {
        Self {
            method: row.method.clone(),
            moment: row.moment.clone(),
            task: row.task,
            population: row.population.clone(),
            group: row.group.clone(),
            measure: row.measure.clone(),
            reference: row.reference.clone(),
        }
    }
}

/// The figures over seeds: means with Student's intervals of every measure, bootstrap intervals of
/// the means over clips and of the attack by confidence, and the verdict.
///
/// # Errors
/// When a measure refuses.
pub(super) fn over_seeds(
    rows: &[AuditRow],
    judged: &[Judged<'_>],
    seed: u64,
) -> Result<Vec<AuditRow>, AuditStageError> {
    let mut values: BTreeMap<Key, Vec<&AuditRow>> = BTreeMap::new();
    for row in rows {
        values.entry(Key::of(row)).or_default().push(row);
    }
    let mut pooled: BTreeMap<Key, AuditRow> = values
        .into_iter()
        .map(|(key, rows)| {
            let row = mean_row(&rows);
            (key, row)
        })
        .collect();
    for group in groups(judged) {
        let failed = AuditStageError::of(&group[0].about.run.name);
        let mut beyond = [None, None];
        for reference in [PATH, SCRATCH] {
            let found = intervals(&group, reference, seed).map_err(&failed)?;
            for (population, measure, low, high) in found {
                let key = Key {
                    method: group[0].about.method.to_owned(),
                    moment: group[0].about.moment.to_owned(),
                    task: i32::try_from(group[0].about.task).unwrap_or(i32::MAX),
                    population: population.to_owned(),
                    group: None,
                    measure: measure.to_owned(),
                    reference: Some(reference.to_owned()),
                };
                let ends = low.zip(high).map(|(low, high)| [low, high]);
                match (reference, population, measure) {
                    (PATH, "forget", "accuracy") => beyond[0] = ends,
                    (PATH, "forget", "phi_auc") => beyond[1] = ends,
                    _ => {}
                }
                if let Some(row) = pooled.get_mut(&key) {
                    (row.low, row.high) = (low, high);
                }
            }
        }
        let word = verdict(beyond[0], beyond[1]).to_string();
        let row = verdict_row(&group, &word, seed);
        pooled.insert(Key::of(&row), row);
    }
    Ok(pooled.into_values().collect())
}

/// The mean of a figure over runs.
fn mean_row(rows: &[&AuditRow]) -> AuditRow {
    let values: Vec<Option<f64>> = rows.iter().map(|row| row.value).collect();
    let interval = t_interval(&values);
    AuditRow {
        run: None,
        seed_train: None,
        seed_unlearn: None,
        value: interval.mean,
        t_low: interval.low,
        t_high: interval.high,
        n: number(rows.len()),
        ..rows[0].clone()
    }
}

/// The row over seeds of what may be said of a group.
pub(super) fn verdict_row(group: &[&Judged<'_>], word: &str, seed: u64) -> AuditRow {
    let about = group[0].about;
    AuditRow {
        run: None,
        method: about.method.to_owned(),
        moment: about.moment.to_owned(),
        task: i32::try_from(about.task).unwrap_or(i32::MAX),
        population: "forget".to_owned(),
        group: Some(word.to_owned()),
        measure: "verdict".to_owned(),
        reference: Some(PATH.to_owned()),
        seed_train: None,
        seed_unlearn: None,
        seed_evaluate: number(seed),
        value: None,
        low: None,
        high: None,
        t_low: None,
        t_high: None,
        n: number(group.len()),
    }
}

/// The values of a figure, clip by clip.
type Values = fn(&Said) -> &[f64];

/// A population, a measure, and the ends of its interval.
type Interval = (&'static str, &'static str, Option<f64>, Option<f64>);

/// The bootstrap intervals of a group's differences to its references.
fn intervals(
    group: &[&Judged<'_>],
    reference: &str,
    seed: u64,
) -> Result<Vec<Interval>, AuditError> {
    let theirs: Option<Vec<&Answers>> = group
        .iter()
        .map(|one| {
            if reference == PATH {
                Some(&one.path)
            } else {
                one.scratch.as_ref()
            }
        })
        .collect();
    let Some(theirs) = theirs else {
        return Ok(Vec::new());
    };
    let sets = &group[0].sets;
    let answers = |side: Side, j: usize| match side {
        Side::Unlearned => &group[j].own,
        Side::Reference => theirs[j],
    };
    let mut found = Vec::new();
    for set in [&sets.forget, &sets.retain, &sets.like_forget, &sets.test] {
        let strata = if set.name == "forget" {
            vec![(0..set.clips.len()).collect()]
        } else {
            set.strata()
        };
        let draws: Vec<Draw> = draws(seed, group.len(), &strata);
        let measures: [(&str, Values); 3] = [
            ("accuracy", |said| &said.right),
            ("loss", |said| &said.loss),
            ("phi", |said| &said.phi),
        ];
        for (measure, values) in measures {
            let statistic = |side: Side, j: usize, clips: &[usize]| {
                let values = values(&answers(side, j)[set.name]);
                let drawn: Vec<f64> = clips.iter().map(|&clip| values[clip]).collect();
                Ok(mean(&drawn))
            };
            let ends = paired_bootstrap(group.len(), &strata, draws.iter().cloned(), statistic)?;
            found.push((set.name, measure, ends.low, ends.high));
        }
    }
    let (members, others) = (sets.forget.clips.len(), sets.like_forget.strata());
    let shifted = |stratum: Vec<usize>| stratum.into_iter().map(|p| members + p).collect();
    let mut strata: Vec<Vec<usize>> = vec![(0..members).collect()];
    strata.extend(others.into_iter().map(shifted));
    let statistic = |side: Side, j: usize, clips: &[usize]| {
        let answers = answers(side, j);
        let score = |at: &usize| match at.checked_sub(members) {
            None => answers["forget"].phi[*at],
            Some(at) => answers["like_forget"].phi[at],
        };
        let (inside, outside): (Vec<usize>, Vec<usize>) =
            clips.iter().partition(|&&clip| clip < members);
        let of = |clips: &[usize]| clips.iter().map(score).collect::<Vec<f64>>();
        auc(&of(&inside), &of(&outside))
    };
    let draws = draws(seed, group.len(), &strata);
    let ends = paired_bootstrap(group.len(), &strata, draws, statistic)?;
    found.push(("forget", "phi_auc", ends.low, ends.high));
    Ok(found)
}

fn draws(seed: u64, seeds: usize, strata: &[Vec<usize>]) -> Vec<Draw> {
    let draw = |replicate| Draw::new(seed, replicate, seeds, strata);
    (0..REPLICATES).map(draw).collect()
}
