//! Downloading in parts, and merging them.
//!
//! Each part makes the plan that one run would and fetches its share of the archives. Clips stay
//! staged in the part's own place; neither the folder of the clips nor the ledger changes, so that
//! all parts plan the same. Merging gives the clips of all parts their names, in the order in which
//! one run would, and publishes the ledger.

use serde::{Deserialize, Serialize};

use super::archive::Outcome;
use super::config::DownloadConfig;
use super::error::DownloadError;
use super::ledger::workplace::{
    Workplace, merging, outcome, part_begun, part_folder, parts_folder, staged_by_part,
};
use super::ledger::{ArchiveRecord, ArchiveState, ClipState, MissingReason};
use super::plan::{Plan, PlannedArchive};
use super::run::Run;
use super::summary::DownloadSummary;
use crate::artifact::hash_file;
use crate::exit::Exit;
use crate::lock::Lock;
use crate::parquet_file::{self, Provenance, Table};
use crate::part::{self, Part, PartsError, difference};
use crate::tables::LedgerRow;

/// What an error calls the holder of a part's lock.
const MERGER: &str = "incdec-download merge";
/// Inputs of a part beside label tables and ledger.
const WANTED: &str = "the clips asked for";
const PLAN: &str = "the plan of archives";

/// What a part begins with.
#[derive(PartialEq, Serialize, Deserialize)]
struct Begun {
    made_from: Provenance,
    /// What every archive's first header says.
    probed: Vec<ArchiveRecord>,
    /// The archives of all parts, in order.
    archives: Vec<String>,
}

/// What became of an archive of a part.
#[derive(Serialize, Deserialize)]
struct Fetched {
    class: Option<String>,
    renewed: bool,
    record: ArchiveRecord,
    /// Of one that was not read to its end: the exit status that it gives.
    exit: u8,
}

impl Fetched {
    fn new(archive: &PlannedArchive, outcome: &Outcome) -> Self {
        Self {
            class: archive.class.clone(),
            renewed: archive.renewed,
            record: outcome.record.clone(),
            exit: outcome.exit.code(),
        }
    }

    /// As it was planned, and what became of it.
    fn into_outcome(self) -> (PlannedArchive, Outcome) {
        let exits = [Exit::Done, Exit::TryAgain, Exit::Hopeless];
        let exit = exits.into_iter().find(|exit| exit.code() == self.exit);
        let archive = PlannedArchive {
            path: self.record.path.clone(),
            class: self.class,
            renewed: self.renewed,
            ..PlannedArchive::default()
        };
        let outcome = Outcome {
            record: self.record,
            exit: exit.unwrap_or_default(),
        };
        (archive, outcome)
    }
}

/// Fetches a part's share of the archives, and leaves what it did in a place of its own below the
/// folder of the clips, for [`merge`].
///
/// # Errors
/// When another program works on this part, the ledger or the clips, when labels, index or disk
/// fail, or when an archive of this part could not be fetched. What was finished is kept in every
/// case.
pub fn run_part(config: &DownloadConfig, part: Part) -> Result<DownloadSummary, DownloadError> {
    let workplace = Workplace::of_part(config, part)?;
    let mut run = Run::begin(config, workplace.finished()?)?;
    let wanted = run.wanted.clips.len();
    run.summary = DownloadSummary {
        part: Some(part),
        wanted: wanted + run.wanted.frames.len(),
        present: wanted - run.open.len(),
        frames: run.wanted.frames.len(),
        ..run.summary
    };
    if let Some(merging) = merging(&config.raw)?
        && changed(&run, &merging)?.is_empty()
    {
        // All parts are done: a merge was stopped, and goes on when it is started again.
        let summary = run.summary;
        workplace.leave();
        return Ok(summary);
    }
    run.adopt()?;
    let mut plan = run.plan()?;
    run.report_absent(&plan);
    let begun = Begun {
        made_from: made_from(&run, Some(&plan))?,
        probed: plan.probed.iter().map(PlannedArchive::record).collect(),
        archives: plan.archives.iter().map(|a| a.path.clone()).collect(),
    };
    let folder = part_folder(&config.raw, part);
    if part_begun(&folder)?.as_ref() != Some(&begun) {
        workplace.clear_part()?;
        workplace.begin_part(&begun)?;
    }
    let mut number = 0;
    plan.archives.retain(|_| {
        number += 1;
        part.owns(number - 1)
    });
    let mut left = Vec::new();
    for archive in plan.archives {
        let known: Option<Fetched> = outcome(&folder, &archive.path)?;
        if known.is_none_or(|known| known.record.state != ArchiveState::Complete) {
            left.push(archive);
        }
    }
    plan.archives = left;
    if !plan.archives.is_empty() {
        let outcomes = run.fetch(&plan, &workplace, |archive, outcome| {
            workplace.keep(&archive.path, &Fetched::new(archive, outcome))
        })?;
        run.take_in(&plan, outcomes);
    }
    run.summary.wire_bytes = run.wire_bytes();
    // What is missing is judged when all parts are merged.
    run.failures.into_result(run.summary, 1.0)
}

/// What a part is made from. A plan counts for parts alone.
fn made_from(run: &Run<'_>, plan: Option<&Plan>) -> Result<Provenance, DownloadError> {
    let mut made_from = run.provenance()?;
    let mut wanted = blake3::Hasher::new();
    for id in run.wanted.clips.keys().chain(run.wanted.frames.keys()) {
        wanted.update(id.as_bytes()).update(b"\n");
    }
    let wanted = wanted.finalize().to_hex().to_string();
    made_from.inputs.insert(WANTED.to_owned(), wanted);
    let Some(plan) = plan else {
        return Ok(made_from);
    };
    if run.config.ledger.exists() {
        let ledger = hash_file(&run.config.ledger)?;
        made_from.inputs.insert(LedgerRow::FILE.to_owned(), ledger);
    }
    let mut hash = blake3::Hasher::new();
    for archive in plan.archives.iter().chain(&plan.probed) {
        hash.update(archive.path.as_bytes()).update(b"\n");
    }
    let hash = hash.finalize().to_hex().to_string();
    made_from.inputs.insert(PLAN.to_owned(), hash);
    Ok(made_from)
}

/// Gives the clips of all parts their names and publishes the ledger, as one run would have. Where
/// that was done before, nothing is changed.
///
/// # Errors
/// When a part is missing, not done, or made from something else than the others, and as
/// [`run`](super::run()).
pub fn merge(config: &DownloadConfig, parts: u32) -> Result<DownloadSummary, DownloadError> {
    let workplace = Workplace::open(config)?;
    let mut run = Run::begin(config, workplace.finished()?)?;
    let folder = parts_folder(&config.raw);
    let found = part::gather(&folder, parts)?;
    let Some(begun) = begun_alike(config, &found)? else {
        return merged_before(run, &workplace, parts);
    };
    refuse_changed(&run, &begun.made_from)?;
    let mut fetched = Vec::new();
    for (number, path) in begun.archives.iter().enumerate() {
        let owner = found.iter().copied().find(|part| part.owns(number));
        let Some(part) = owner else { continue };
        let folder = part_folder(&config.raw, part);
        let known: Option<Fetched> = outcome(&folder, path)?;
        let known = known.ok_or(PartsError::Unfinished { part })?;
        fetched.push((staged_by_part(&folder, path), known));
    }
    workplace.begin_merge(&begun.made_from)?;
    run.adopt()?;
    let naming = run.naming(&workplace);
    for (staged, fetched) in &fetched {
        if fetched.record.state == ArchiveState::Complete {
            naming.take_in(&fetched.record, staged)?;
        }
    }
    let fetched = fetched
        .into_iter()
        .map(|(_, fetched)| fetched.into_outcome());
    let (archives, outcomes) = fetched.unzip();
    let probed = begun.probed.into_iter().map(PlannedArchive::probed);
    let plan = Plan {
        archives,
        probed: probed.collect(),
        ..Plan::default()
    };
    run.take_in(&plan, outcomes);
    run.refuse_removals()?;
    run.write_ledger()?;
    workplace.set_parts_aside(&config.raw)?;
    workplace.clear()?;
    run.summary.merged = Some(parts);
    run.failures.into_result(run.summary, config.max_missing)
}

/// What all parts began with, where there are any and it is the same.
fn begun_alike(config: &DownloadConfig, parts: &[Part]) -> Result<Option<Begun>, DownloadError> {
    let mut alike: Option<(Part, Begun)> = None;
    for &part in parts {
        let folder = part_folder(&config.raw, part);
        // A part that begins from now on sees the locks of the ledger and the clips.
        drop(Lock::folder(&folder, MERGER, config.wait)?);
        let begun: Option<Begun> = part_begun(&folder)?;
        let begun = begun.ok_or(PartsError::Unfinished { part })?;
        let Some((first, other)) = &alike else {
            alike = Some((part, begun));
            continue;
        };
        if *other != begun {
            return Err(PartsError::Different {
                first: *first,
                second: part,
                what: difference(&other.made_from, &begun.made_from),
            }
            .into());
        }
    }
    Ok(alike.map(|(_, begun)| begun))
}

/// Refuses parts that were made from something else than what is there now. While they are being
/// merged the ledger may be the new one.
fn refuse_changed(run: &Run<'_>, parts: &Provenance) -> Result<(), DownloadError> {
    let mut what = changed(run, parts)?;
    let ledger = &run.config.ledger;
    let hash = ledger.exists().then(|| hash_file(ledger)).transpose()?;
    let is_merging = merging(&run.config.raw)?.as_ref() == Some(parts);
    if !is_merging && hash.as_ref() != parts.inputs.get(LedgerRow::FILE) {
        what.push(LedgerRow::FILE.to_owned());
    }
    if what.is_empty() {
        Ok(())
    } else {
        Err(PartsError::Changed { what }.into())
    }
}

/// Which settings, label tables and wanted clips are others than those of the parts.
fn changed(run: &Run<'_>, parts: &Provenance) -> Result<Vec<String>, DownloadError> {
    let now = made_from(run, None)?;
    let mut parts = parts.clone();
    for name in [PLAN, LedgerRow::FILE] {
        parts.inputs.remove(name);
    }
    Ok(difference(&parts, &now))
}

/// What the ledger says, where it is that of an earlier merge.
fn merged_before(
    mut run: Run<'_>,
    workplace: &Workplace,
    parts: u32,
) -> Result<DownloadSummary, DownloadError> {
    if merging::<Provenance>(&run.config.raw)?.is_some() {
        workplace.clear()?;
    }
    let ledger = &run.config.ledger;
    let is_of_these = ledger.exists()
        && parquet_file::provenance(ledger, &LedgerRow::FORMAT)? == run.provenance()?;
    if !is_of_these {
        let folder = parts_folder(&run.config.raw);
        return Err(PartsError::NoParts { folder, parts }.into());
    }
    for record in run.known.archives.values() {
        if !matches!(record.state, ArchiveState::Complete | ArchiveState::Probed) {
            let archive = PlannedArchive::probed(record.clone());
            run.failures.note(&archive, record, Exit::TryAgain);
        }
    }
    let reasons = run
        .wanted
        .clips
        .keys()
        .filter_map(|id| match run.known.others.get(id) {
            Some(ClipState::Missing { reason }) => Some(*reason),
            _ => None,
        });
    let reasons: Vec<MissingReason> = reasons.collect();
    let unread = reasons
        .iter()
        .filter(|r| **r == MissingReason::ArchiveUnread);
    let frames = run.wanted.frames.len();
    let summary = DownloadSummary {
        wanted: run.wanted.clips.len() + frames,
        present: run.wanted.clips.len() - reasons.len(),
        frames,
        missing: reasons.len(),
        unread: unread.count(),
        ..run.summary
    };
    run.failures.into_result(summary, run.config.max_missing)
}
