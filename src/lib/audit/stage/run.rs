//! The stage itself: reads the runs, measures, publishes the tables.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use serde_json::json;

use super::models::{Model, Models};
use super::pooled::{Judged, over_seeds, rmia_rows};
use super::references::{Case, cases, missing};
use super::rows::{About, END, Figure, PATH, SCRATCH, UNLEARNED};
use super::runs::{AuditedRun, is_run_folder};
use super::said::answers;
use super::sets::Sets;
use super::single::{Comparison, Side};
use super::summary::{AuditSummary, methods};
use super::train::train;
use super::{AuditConfig, AuditStageError, klom, relearning, sequences, shadows};
use crate::artifact::{self, hash_file};
use crate::audit::interval::REPLICATES;
use crate::audit::lira::FEWEST_SHADOWS;
use crate::features::{FeaturesError, refuse_withdrawn};
use crate::lock::Lock;
use crate::parquet_file::{self, Provenance};
use crate::progress::{Progress, Unit};
use crate::run_record::PROGRESS_FILE;
use crate::shard::Shards;
use crate::tables::{AuditRow, AuditTimingRow, CurveRow, MetricRow, TimingRow};
use crate::train::unlearn::Visits;
use crate::withdrawn::WITHDRAWN_FILE;

/// Who holds the lock, for messages.
const HOLDER: &str = "incdec-audit";

/// Judges every run of `config` that withdraws clips against its references, and publishes
/// `curves.parquet`, `timing.parquet` and, last, `audit.parquet`.
///
/// # Errors
/// When a run, its references or its shards cannot be read, or a measure refuses its input.
pub fn run(config: &AuditConfig) -> Result<AuditSummary, AuditStageError> {
    if config.shadows < FEWEST_SHADOWS {
        return Err(AuditStageError::Setting {
            flag: "--shadows",
            why: format!("{}, at least {FEWEST_SHADOWS}", config.shadows),
        });
    }
    if is_run_folder(&config.out) {
        return Err(AuditStageError::NotARun {
            folder: config.out.clone(),
            what: "it is a run directory, and the tables need a folder of their own",
        });
    }
    let _lock = Lock::folder(&config.out, HOLDER, config.wait)?;
    artifact::sweep(&config.out)?;
    if let Some(list) = &config.withdrawn {
        let shards = Shards::at(&config.shards).map_err(FeaturesError::from)?;
        refuse_withdrawn(list, &config.shards, &shards)?;
    }
    let mut runs = read(&config.runs)?;
    if let Some(how) = &config.train_references {
        let made = train(config, how, &runs, |run, task| missing(&runs, run, task))?;
        runs.extend(read(&made)?);
    }
    // In whichever order they were named: sums of floats are those of one order.
    runs.sort_by(|a, b| a.name.cmp(&b.name));
    let mut names = BTreeSet::new();
    if let Some(twice) = runs.iter().find(|run| !names.insert(&run.name)) {
        return Err(AuditStageError::SameName {
            name: twice.name.clone(),
        });
    }
    let cases = cases(&runs)?;
    let methods_of: Vec<String> = runs.iter().map(AuditedRun::method).collect();
    let mut models = Models::new(config)?;
    let (mut judged, mut rows, mut curves) = (Vec::new(), Vec::new(), Vec::new());
    let total = Some(cases.len() as u64);
    let progress = Progress::new("withdrawals", total, Unit::Count("withdrawals"));
    for case in &cases {
        for moment in [UNLEARNED, END] {
            let about = About {
                run: &runs[case.run],
                method: &methods_of[case.run],
                moment,
                task: case.task,
                seed_evaluate: config.seed,
            };
            let another = another(&runs, &cases, case);
            let compared = compare(&runs, case, about, another, &mut models)?;
            if let Some(comparison) = compared {
                rows.extend(comparison.rows()?);
                rows.extend(relearning::rows(&comparison, &mut models)?);
                if moment == END {
                    rows.extend(passes(about));
                    rows.extend(shadows::rows(&comparison, config.shadows)?);
                }
                curves.extend(comparison.curves());
                judged.push(put_away(comparison, &runs[case.path]));
            }
        }
        progress.inc(1);
    }
    progress.finish();
    let (of_rmia, of_curves) = rmia_rows(&judged)?;
    rows.extend(of_rmia);
    curves.extend(of_curves);
    rows.extend(sequences::rows(&runs, &cases, &judged, &mut models)?);
    let rows = without_copies(rows);
    let pooled = over_seeds(&rows, &judged, config.seed)?;
    let rows = sorted([rows, pooled, klom::rows(&judged, config.seed)?].concat());
    publish(config, &runs, &rows, curves)?;
    let run_numbers: BTreeSet<usize> = cases.iter().map(|case| case.run).collect();
    Ok(AuditSummary {
        folder: config.out.clone(),
        judged: run_numbers.len(),
        methods: methods(&rows),
        rows: rows.len(),
    })
}

fn read(folders: &[PathBuf]) -> Result<Vec<AuditedRun>, AuditStageError> {
    folders
        .iter()
        .map(|folder| AuditedRun::read(folder))
        .collect()
}

/// The path reference of another seed for the same withdrawal.
fn another<'a>(runs: &'a [AuditedRun], cases: &[Case], case: &Case) -> Option<&'a AuditedRun> {
    let seed = runs[case.run].settings.seed;
    let mut others = cases.iter().filter(|other| {
        let (a, b) = (&runs[case.run], &runs[other.run]);
        other.task == case.task && b.settings.seed != seed && a.scenario == b.scenario
    });
    others
        .find(|other| runs[other.path].features == runs[case.path].features)
        .map(|other| &runs[other.path])
}

/// The models of a withdrawal at a moment beside each other; none where the run kept no weights of
/// that moment.
fn compare<'a>(
    runs: &'a [AuditedRun],
    case: &Case,
    about: About<'a>,
    another: Option<&AuditedRun>,
    models: &mut Models<'_>,
) -> Result<Option<Comparison<'a>>, AuditStageError> {
    let run = &runs[case.run];
    let is_end = about.moment == END;
    let own = if is_end {
        Some(run.end(case.task))
    } else {
        run.unlearned(case.task)
    };
    let Some(own) = own else {
        return Ok(None);
    };
    // After unlearning, the reference is the path run before it trains on the task, too.
    let task = if is_end { case.task } else { case.task - 1 };
    let sets = Sets::of(run, case.task);
    let criterion = run.criterion();
    let mut side = |reference: Option<&'static str>,
                    run: &'a AuditedRun,
                    path: &Path|
     -> Result<_, AuditStageError> {
        let model: Rc<Model> = models.load(run, path)?;
        let kind = reference.map(|kind| run.as_reference(kind));
        Ok(Side {
            reference,
            name: kind.unwrap_or_else(|| about.method.to_owned()),
            run,
            answers: answers(&model, &sets, criterion)?,
            model,
        })
    };
    let own = side(None, run, &own)?;
    let before = side(None, run, &run.end(case.task - 1))?;
    let path = &runs[case.path];
    let mut references = vec![side(Some(PATH), path, &path.end(task))?];
    if let Some(scratch) = case.scratch.filter(|_| is_end).map(|index| &runs[index]) {
        references.push(side(Some(SCRATCH), scratch, &scratch.end(task))?);
    }
    let untrained = models.untrained(run)?;
    let untrained = untrained.map(|model| answers(&model, &sets, criterion));
    let another = another.map(|other| models.load(other, &other.end(task)));
    Ok(Some(Comparison {
        about,
        own,
        references,
        before: before.answers,
        before_model: before.model,
        another: another.transpose()?,
        untrained: untrained.transpose()?,
        sets,
    }))
}

/// What unlearning cost the run in passes, as the run has counted them.
fn passes(about: About<'_>) -> Vec<AuditRow> {
    let of_task = |row: &&MetricRow| {
        usize::try_from(row.task) == Ok(about.task) && row.metric.starts_with(Visits::METRIC)
    };
    let rows = about.run.metrics.iter().filter(of_task);
    rows.map(|row| about.row(Figure::new("all", &row.metric, row.value, 0), None))
        .collect()
}

/// What is left of a comparison when its models are put away.
fn put_away<'a>(comparison: Comparison<'a>, path_run: &'a AuditedRun) -> Judged<'a> {
    let mut references = comparison.references.into_iter();
    // The path reference always comes first.
    let (path_name, path) = references
        .next()
        .map(|side| (side.name, side.answers))
        .unwrap_or_default();
    Judged {
        about: comparison.about,
        sets: comparison.sets,
        own: comparison.own.answers,
        before: comparison.before,
        path,
        path_name,
        path_run,
        scratch: references.next().map(|side| side.answers),
    }
}

/// The rows without copies: a reference that serves several runs is measured beside each of them.
fn without_copies(rows: Vec<AuditRow>) -> Vec<AuditRow> {
    let mut rows = sorted(rows);
    rows.dedup();
    rows
}

fn sorted(mut rows: Vec<AuditRow>) -> Vec<AuditRow> {
    rows.sort_by(|a, b| key(a).cmp(&key(b)));
    rows
}

/// What a table of audits is sorted by.
#[allow(clippy::type_complexity)] // The sort key of one table, in the table's words.
fn key(
    row: &AuditRow,
) -> (
    &str,
    &str,
    i32,
    &str,
    Option<&str>,
    &str,
    Option<&str>,
    Option<&str>,
) {
    (
        &row.method,
        &row.moment,
        row.task,
        &row.population,
        row.group.as_deref(),
        &row.measure,
        row.reference.as_deref(),
        row.run.as_deref(),
    )
}

fn publish(
    config: &AuditConfig,
    runs: &[AuditedRun],
    rows: &[AuditRow],
    mut curves: Vec<CurveRow>,
) -> Result<(), AuditStageError> {
    let mut provenance = Provenance::of(&json!({
        "seed": config.seed, "replicates": REPLICATES, "shadows": config.shadows,
    }));
    for run in runs {
        let hash = hash_file(&run.folder.join(PROGRESS_FILE))?;
        provenance.inputs.insert(format!("run {}", run.name), hash);
    }
    if let Some(list) = &config.withdrawn {
        let hash = hash_file(list)?;
        provenance.inputs.insert(WITHDRAWN_FILE.to_owned(), hash);
    }
    curves.sort_by(|a, b| {
        let key = |row: &CurveRow| (row.run.clone(), row.method.clone(), row.moment.clone());
        let place = |row: &CurveRow| (row.task, row.attack.clone(), row.point);
        (key(a), place(a)).cmp(&(key(b), place(b)))
    });
    curves.dedup();
    parquet_file::write(&config.out.join(CurveRow::FILE), &curves, &provenance)?;
    let timing = timing(runs)?;
    parquet_file::write(&config.out.join(AuditTimingRow::FILE), &timing, &provenance)?;
    Ok(parquet_file::write(
        &config.out.join(AuditRow::FILE),
        rows,
        &provenance,
    )?)
}

/// The seconds of every task of every run.
fn timing(runs: &[AuditedRun]) -> Result<Vec<AuditTimingRow>, AuditStageError> {
    let mut rows = Vec::new();
    for run in runs {
        let seconds: Vec<TimingRow> = parquet_file::read(&run.folder.join(TimingRow::FILE))?;
        for task in 0..run.done {
            let of = |wanted: &dyn Fn(&TimingRow) -> bool| -> f64 {
                let own = seconds
                    .iter()
                    .filter(|r| usize::try_from(r.task) == Ok(task));
                own.filter(|row| wanted(row)).map(|row| row.seconds).sum()
            };
            let phases: [(&str, f64); 2] = [
                ("unlearning", of(&|row| row.phase == "unlearning")),
                ("training", of(&|row| row.phase == TimingRow::TRAIN)),
            ];
            rows.extend(phases.map(|(phase, seconds)| AuditTimingRow {
                run: run.name.clone(),
                method: run.method(),
                task: i32::try_from(task).unwrap_or(i32::MAX),
                phase: phase.to_owned(),
                seconds,
            }));
        }
    }
    rows.sort_by(|a, b| (&a.run, a.task, &a.phase).cmp(&(&b.run, b.task, &b.phase)));
    Ok(rows)
}
