//! The stage: what is wanted, what is there, what to fetch; then the ledger.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use indicatif::HumanBytes;

use super::adopt::adopt;
use super::archive::{Outcome, Work};
use super::closing::{Failures, nothing_removed, write_ledger};
use super::config::{DownloadConfig, Summary};
use super::error::DownloadError;
use super::lanes;
use super::ledger::{ArchiveRecord, ArchiveState, ClipState};
use super::pace::Meter;
use super::plan::{Plan, plan};
use super::plan_text::free_bytes;
use super::remote::Remote;
use super::session::Session;
use super::state::{Known, Workplace};
use super::stream::Line;
use crate::progress::{Progress, Unit};

fn line<'a>(
    config: &DownloadConfig,
    remote: &'a dyn Remote,
    meter: &'a Meter,
    cancelled: &'a AtomicBool,
) -> Line<'a> {
    Line {
        remote,
        meter,
        retry: config.retry,
        stall: config.http.stall,
        cancelled,
    }
}

/// Says what a run would fetch; downloads nothing but index, annotations and first headers.
///
/// # Errors
/// When labels or index cannot be read.
pub fn plan_only(config: &DownloadConfig) -> Result<(Plan, Summary), DownloadError> {
    let session = Session::open(config)?;
    let known = Known::read(&config.ledger)?;
    let open = session.open_clips(&config.raw, &known);
    let (meter, cancelled) = (Meter::new(config.bytes_per_second), AtomicBool::new(false));
    let line = line(config, &*session.remote, &meter, &cancelled);
    let plan = if open.is_empty() {
        Plan::default()
    } else {
        plan(&line, &session.dataset, &open, &known.archives, config.jobs)?
    };
    let absent = session
        .wanted
        .keys()
        .filter(|id| known.is_absent(id))
        .count();
    let summary = Summary {
        wanted: session.wanted.len() + session.frames.len(),
        present: session.wanted.len() - open.len() - absent,
        frames: session.frames.len(),
        missing: open.len(),
        withdrawn: session.count_withdrawn(config),
        absent,
        wire_bytes: meter.wire_bytes(),
        ..Summary::default()
    };
    Ok((plan, summary))
}

/// Fetches what is missing and publishes the ledger, last.
///
/// # Errors
/// When another program works on the same ledger or clips, when labels, index or disk fail, when an archive could not be
/// fetched, when clips disappear meanwhile, or when more are missing than allowed. What was finished is kept in every case.
pub fn run(config: &DownloadConfig) -> Result<Summary, DownloadError> {
    run_in(config, &Workplace::open(config)?)
}

/// Does the stage's work in a place that is taken already.
pub(super) fn run_in(
    config: &DownloadConfig,
    workplace: &Workplace,
) -> Result<Summary, DownloadError> {
    let session = Session::open(config)?;
    let mut known = Known::read(&config.ledger)?;
    for record in workplace.unfinished()? {
        known.add(record);
    }
    let begun = workplace.begun();
    if begun > 0 {
        tracing::info!(
            "an earlier run was stopped in the middle of {begun} archives: these are read again from their start"
        );
    }
    let mut summary = Summary {
        withdrawn: session.count_withdrawn(config),
        ..Summary::default()
    };
    let mut open = session.open_clips(&config.raw, &known);
    if config.adopt {
        for clip in adopt(&config.raw, &open, config.jobs)? {
            open.remove(&clip.clip_id);
            summary.adopted += 1;
            known
                .others
                .insert(clip.clip_id.clone(), ClipState::Adopted { clip });
        }
    }
    let (meter, cancelled) = (Meter::new(config.bytes_per_second), AtomicBool::new(false));
    let line = line(config, &*session.remote, &meter, &cancelled);
    let mut failures = Failures::default();
    if !open.is_empty() {
        let plan = plan(&line, &session.dataset, &open, &known.archives, config.jobs)?;
        warn_of_space(&plan, &config.raw);
        let outcomes = fetch_all(config, &session, workplace, &known, &line, &plan)?;
        for probed in plan.probed {
            known
                .archives
                .entry(probed.path.clone())
                .or_insert_with(|| ArchiveRecord {
                    path: probed.path,
                    url: probed.url,
                    first_class: probed.first_class,
                    ..ArchiveRecord::default()
                });
        }
        for (archive, outcome) in plan.archives.iter().zip(outcomes) {
            let record = outcome.record;
            if record.state == ArchiveState::Complete {
                summary.archives += 1;
                summary.fetched += record.kept.len();
                summary.refused += record.members_refused;
                let bytes = record.bytes.unwrap_or(0);
                summary.archive_bytes = summary.archive_bytes.saturating_add(bytes);
                for clip in &record.kept {
                    // From now on it is expected to be there, and no longer as something that lay there.
                    if open.remove(&clip.clip_id).is_some() {
                        known.others.remove(&clip.clip_id);
                    }
                }
            } else {
                failures.note(archive, &record, outcome.exit);
            }
            known.add(record);
        }
        summary.wire_bytes = meter.wire_bytes();
    }
    nothing_removed(config, &session, &known, &open)?;
    write_ledger(config, &session, &known, &failures, &mut summary)?;
    workplace.clear()?;
    failures.into_result(summary, config.max_missing)
}

/// Says beforehand that the disk is likely to be too small. It may be mended while the download runs, so it goes on.
fn warn_of_space(plan: &Plan, raw: &Path) {
    if let (true, Some(needed), Some(free)) = (
        plan.by_class(),
        plan.estimated_clip_bytes(),
        free_bytes(raw),
    ) && needed > free
    {
        let (needed, free) = (HumanBytes(needed), HumanBytes(free));
        tracing::warn!("the clips will take about {needed}, and {free} are free on that disk");
    }
}

/// Fetches the plan's archives, several at once.
fn fetch_all(
    config: &DownloadConfig,
    session: &Session,
    workplace: &Workplace,
    known: &Known,
    line: &Line<'_>,
    plan: &Plan,
) -> Result<Vec<Outcome>, DownloadError> {
    let progress = Progress::new("downloading", plan.archive_bytes(), Unit::Bytes);
    let (clips, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let tell = || {
        let (clips, done) = (clips.load(Ordering::Relaxed), done.load(Ordering::Relaxed));
        progress.message(format!(
            "{done}/{} archives, {clips} clips",
            plan.archives.len()
        ));
    };
    let owners = known.kept().into_iter();
    let mut owners: BTreeMap<_, _> = owners
        .map(|(id, (archive, _))| (id.to_owned(), archive.to_owned()))
        .collect();
    // No archive's copy takes the place of what was adopted: an empty path is before all others.
    let on_disk = known.on_disk(&config.raw);
    owners.extend(session.wanted.iter().filter_map(|(id, clip)| {
        match on_disk.clip(&clip.subcategory, id)? {
            ClipState::Adopted { .. } => Some((id.clone(), String::new())),
            _ => None,
        }
    }));
    let work = Work {
        line,
        workplace,
        raw: &config.raw,
        keep_archives: config.keep_archives.as_deref(),
        wanted: &session.wanted,
        owners: &Mutex::new(owners),
        progress: &progress,
        on_clip: &|| {
            clips.fetch_add(1, Ordering::Relaxed);
            tell();
        },
    };
    let results = lanes::each(&plan.archives, config.jobs, |archive| {
        let result = work.fetch(archive);
        done.fetch_add(1, Ordering::Relaxed);
        tell();
        result
    });
    progress.finish();
    let records = results.into_iter().collect::<Result<_, _>>();
    if records.is_err() {
        // The disk refused: give back what space the unfinished archives took. The first error is the one to tell.
        let _ = workplace.clear_staging();
    }
    Ok(records?)
}
