//! Several requests to one run: what each costs the others' clips, and what comes back.

use std::collections::BTreeSet;

use super::super::sequence::{Request, erosion, relapse, reversal};
use super::AuditStageError;
use super::models::Models;
use super::pooled::Judged;
use super::references::Case;
use super::rows::{About, END, Figure, PATH, UNLEARNED};
use super::runs::AuditedRun;
use super::said::{Answers, answers, metrics};
use super::sets::{ClipSet, Sets};
use crate::metrics::mean_defined;
use crate::tables::AuditRow;

/// The rows of a run's requests, in the order of their tasks; none for a single one.
///
/// # Errors
/// When a measure refuses, or a model cannot be had.
pub(super) fn rows(
    runs: &[AuditedRun],
    cases: &[Case],
    judged: &[Judged<'_>],
    models: &mut Models<'_>,
) -> Result<Vec<AuditRow>, AuditStageError> {
    let mut rows = Vec::new();
    let mut seen = BTreeSet::new();
    for case in cases.iter().filter(|case| seen.insert(case.run)) {
        let run = &runs[case.run];
        let own: Vec<&Case> = cases.iter().filter(|c| c.run == case.run).collect();
        if own.len() < 2 {
            continue;
        }
        let of_run = |moment: &str, task: usize| {
            judged.iter().find(|one| {
                one.about.moment == moment
                    && one.about.task == task
                    && one.about.run.name == run.name
            })
        };
        let ends: Vec<&Judged<'_>> = own.iter().filter_map(|c| of_run(END, c.task)).collect();
        let after = |task| of_run(UNLEARNED, task).map(|one| &one.own);
        rows.extend(erosion_rows(run, &ends, &after)?);
        for (place, later) in own.iter().enumerate() {
            for earlier in &own[..place] {
                let pair = Pair {
                    runs,
                    earlier: earlier.task,
                    later,
                };
                let about = ends[place].about;
                rows.extend(pair.rows(about, after(earlier.task), models)?);
            }
        }
    }
    Ok(rows)
}

/// What each request cost the groups that stayed.
fn erosion_rows<'a>(
    run: &AuditedRun,
    ends: &[&'a Judged<'_>],
    after: &dyn Fn(usize) -> Option<&'a Answers>,
) -> Result<Vec<AuditRow>, AuditStageError> {
    let mut requests = Vec::new();
    for end in ends {
        let mean_ap = |answers: &Answers| mean_of_available(run, &end.sets, answers);
        let after = after(end.about.task).map(mean_ap).transpose()?;
        requests.push(Request {
            before: mean_ap(&end.before)?,
            after: after.flatten(),
            end_of_task: mean_ap(&end.own)?,
            path_reference_end: mean_ap(&end.path)?,
        });
    }
    let found = erosion(&requests);
    let mut rows = Vec::new();
    for (end, (step, gap)) in ends.iter().zip(found.step.iter().zip(&found.gap)) {
        let n = end.sets.available.len();
        let figure = |measure, value| Figure::new("test_available", measure, value, n);
        rows.push(end.about.row(figure("erosion_step", *step), None));
        rows.push(end.about.row(figure("erosion_gap", *gap), Some(PATH)));
    }
    if let Some(last) = ends.last() {
        let figure = Figure::new("test_available", "erosion_slope", found.slope, ends.len());
        rows.push(last.about.row(figure, Some(PATH)));
    }
    Ok(rows)
}

/// The mean AP on the test clips over the subcategories that are available.
fn mean_of_available(
    run: &AuditedRun,
    sets: &Sets,
    answers: &Answers,
) -> Result<Option<f64>, AuditStageError> {
    let found = metrics(run, &sets.test, &answers[sets.test.name])?;
    let aps = found.map_or_else(Vec::new, |m| m.figures.ap_per_subcategory);
    let of = |group: &usize| aps.get(*group).copied().flatten();
    Ok(mean_defined(sets.available.iter().map(of)))
}

/// An earlier request, looked at after a later one.
struct Pair<'a> {
    runs: &'a [AuditedRun],
    earlier: usize,
    later: &'a Case,
}

impl Pair<'_> {
    fn rows(
        &self,
        about: About<'_>,
        right_after: Option<&Answers>,
        models: &mut Models<'_>,
    ) -> Result<Vec<AuditRow>, AuditStageError> {
        let Some(right_after) = right_after else {
            return Ok(Vec::new());
        };
        let (run, path) = (&self.runs[self.later.run], &self.runs[self.later.path]);
        let sets = Sets::of(run, self.earlier);
        let criterion = run.criterion();
        let own = models.load(run, &run.end(self.later.task))?;
        let own = answers(&own, &sets, criterion)?;
        let theirs = models.load(path, &path.end(self.later.task))?;
        let theirs = answers(&theirs, &sets, criterion)?;
        let theirs_then = models.load(path, &path.end(self.earlier - 1))?;
        let theirs_then = answers(&theirs_then, &sets, criterion)?;
        let request = format!("request {}", self.earlier);
        let mut rows = Vec::new();
        for (reference, then, now) in [
            (None, right_after, &own),
            (Some(PATH), &theirs_then, &theirs),
        ] {
            let is_right =
                |answers: &Answers| answers["forget"].right.iter().map(|r| *r > 0.5).collect();
            let right: Vec<bool> = is_right(then);
            let wrong: Vec<bool> = right.iter().map(|right| !right).collect();
            let later: Vec<bool> = is_right(now);
            let found = reversal(&wrong, &later).map_err(AuditStageError::of(&run.name))?;
            let figure = Figure::new("forget", "reversal", found.share, found.wrong);
            rows.push(about.row(figure.of(&request), reference));
        }
        let lost = lost_groups(&sets);
        let names: Vec<&str> = run.taxonomy.subcategories().map(|s| s.1).collect();
        let aps = |answers: &Answers| aps(run, &sets.test, answers);
        let (then, now) = (aps(right_after)?, aps(&own)?);
        let (their_then, their_now) = (aps(&theirs_then)?, aps(&theirs)?);
        for group in lost {
            let at = |aps: &Vec<Option<f64>>| aps.get(group).copied().flatten();
            let found = relapse([at(&then), at(&now)], [at(&their_then), at(&their_now)]);
            let name = names.get(group).copied().unwrap_or_default();
            let n = sets
                .test
                .clips
                .iter()
                .filter(|c| c.subcategory == group)
                .count();
            let name = format!("{name}, {request}");
            let figure =
                |measure, value| Figure::new("test_withdrawn", measure, value, n).of(&name);
            rows.push(about.row(figure("relapse", found.own), None));
            rows.push(about.row(figure("relapse", found.net), Some(PATH)));
        }
        Ok(rows)
    }
}

fn aps(
    run: &AuditedRun,
    test: &ClipSet,
    answers: &Answers,
) -> Result<Vec<Option<f64>>, AuditStageError> {
    let found = metrics(run, test, &answers[test.name])?;
    Ok(found.map_or_else(Vec::new, |m| m.figures.ap_per_subcategory))
}

/// The groups that a request withdrew whole.
fn lost_groups(sets: &Sets) -> BTreeSet<usize> {
    let forget = sets.forget.clips.iter().map(|clip| clip.subcategory);
    forget
        .filter(|group| !sets.available.contains(group))
        .collect()
}
