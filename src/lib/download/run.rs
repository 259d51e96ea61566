//! The stage: what is wanted, what is there, what to fetch; then the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use indicatif::HumanBytes;

use super::archive::{Naming, Outcome, Work};
use super::config::DownloadConfig;
use super::error::DownloadError;
use super::ledger::adopt::adopt;
use super::ledger::closing::{Failures, clip_states};
use super::ledger::known::Known;
use super::ledger::workplace::Workplace;
use super::ledger::{
    ArchiveRecord, ArchiveState, ClipState, MissingReason, clip_path, publish_ledger,
};
use super::plan::{Dataset, Plan, PlannedArchive, Sources, Wanted, WantedClip, plan};
use super::source::{Client, connect};
use super::summary::DownloadSummary;
use crate::artifact::{self, ArtifactError};
use crate::labels::Labels;
use crate::parallel;
use crate::parquet_file::Provenance;
use crate::progress::{Progress, Unit};

/// Says what a run would fetch; downloads nothing but index, annotations and first headers.
///
/// # Errors
/// When labels or index cannot be read.
pub fn plan_only(config: &DownloadConfig) -> Result<(Plan, DownloadSummary), DownloadError> {
    let mut run = Run::begin(config, Vec::new())?;
    run.adopt()?;
    let plan = run.plan()?;
    let Wanted { clips, frames, .. } = &run.wanted;
    let absent = run.absent();
    let summary = DownloadSummary {
        wanted: clips.len() + frames.len(),
        present: clips.len() - run.open.len(),
        adopted: run.summary.adopted,
        frames: frames.len(),
        missing: run.open.len() - absent,
        withdrawn: run.summary.withdrawn,
        absent,
        wire_bytes: run.client.meter.wire_bytes(),
        ..DownloadSummary::default()
    };
    Ok((plan, summary))
}

/// Fetches what is missing and publishes the ledger, last.
///
/// # Errors
/// When another program works on the same ledger or clips, when labels, index or disk fail, when an
/// archive could not be fetched, when clips disappear meanwhile, or when more are missing than
/// allowed. What was finished is kept in every case.
pub fn run(config: &DownloadConfig) -> Result<DownloadSummary, DownloadError> {
    run_in(config, &Workplace::open(config)?)
}

/// Does the stage's work in a place whose locks are held already.
pub(super) fn run_in(
    config: &DownloadConfig,
    workplace: &Workplace,
) -> Result<DownloadSummary, DownloadError> {
    let mut run = Run::begin(config, workplace.finished()?)?;
    workplace.report_begun();
    run.adopt()?;
    let plan = run.plan()?;
    run.report_absent(&plan);
    if !plan.archives.is_empty() {
        let outcomes = run.fetch(&plan, workplace, |_, _| Ok(()))?;
        run.take_in(&plan, outcomes);
    }
    run.refuse_removals()?;
    run.write_ledger()?;
    workplace.clear()?;
    run.failures.into_result(run.summary, config.max_missing)
}

/// A run from its plan to its ledger.
pub(super) struct Run<'a> {
    pub(super) config: &'a DownloadConfig,
    labels: Labels,
    dataset: Dataset,
    client: Client,
    pub(super) wanted: Wanted,
    pub(super) known: Known,
    /// The wanted clips that are not on disk.
    pub(super) open: BTreeMap<String, WantedClip>,
    /// Clips that a killed run was giving their names: nobody put them there, and whether they are
    /// whole on disk nobody knows.
    half_named: BTreeSet<String>,
    pub(super) failures: Failures,
    pub(super) summary: DownloadSummary,
}

impl<'a> Run<'a> {
    /// Reads what is wanted and what is known, with the archives that a killed run had `finished`.
    pub(super) fn begin(
        config: &'a DownloadConfig,
        finished: Vec<ArchiveRecord>,
    ) -> Result<Self, DownloadError> {
        let labels = Labels::read(&config.labels)?.of_videos()?;
        let sources = Sources::read(config.sources.as_deref())?;
        let dataset = sources.dataset(&config.dataset)?.clone();
        let source = config.source.as_ref().unwrap_or(&dataset.base);
        let client = connect(source, &config.http, config.retry, config.bytes_per_second)?;
        let wanted = Wanted::choose(&labels, config)?;
        let mut known = Known::read(&config.ledger)?;
        let mut half_named = BTreeSet::new();
        for record in finished {
            if record.state == ArchiveState::Complete {
                known.add(record);
            } else {
                half_named.extend(record.kept.into_iter().map(|clip| clip.clip_id));
            }
        }
        if config.seek_again {
            known.forget_reading();
        }
        Ok(Self {
            summary: DownloadSummary {
                withdrawn: wanted.count_withdrawn(config),
                ..DownloadSummary::default()
            },
            half_named,
            open: known.open(&config.raw, &wanted),
            config,
            labels,
            dataset,
            client,
            wanted,
            known,
            failures: Failures::default(),
        })
    }

    /// Takes clips that lie on disk and that the ledger does not know as they are.
    pub(super) fn adopt(&mut self) -> Result<(), DownloadError> {
        let kept = self.known.kept();
        let unknown =
            |id: &&String| !kept.contains_key(id.as_str()) && !self.half_named.contains(*id);
        let ids: Vec<&String> = self.open.keys().filter(unknown).collect();
        let clips = ids.into_iter().map(|id| (id, &self.open[id])).collect();
        for clip in adopt(&self.config.raw, &clips, self.config.jobs)? {
            self.open.remove(&clip.clip_id);
            self.summary.adopted += 1;
            let id = clip.clip_id.clone();
            self.known.others.insert(id, ClipState::Adopted { clip });
        }
        Ok(())
    }

    /// The archives to read for the open clips. Where earlier runs looked for all of them and the
    /// source cannot be asked now what has changed, there are none.
    pub(super) fn plan(&self) -> Result<Plan, DownloadError> {
        if self.open.is_empty() {
            return Ok(Plan::default());
        }
        let (known, jobs) = (&self.known.archives, self.config.jobs);
        match plan(&self.client, &self.dataset, &self.open, known, jobs) {
            Err(DownloadError::Remote(error)) if self.absent() == self.open.len() => {
                tracing::warn!("whether archives have changed is not known: {error}");
                Ok(Plan::default())
            }
            plan => plan,
        }
    }

    /// How many clips earlier runs looked for in all archives that could hold them.
    fn absent(&self) -> usize {
        let absent = self.open.keys().filter(|id| self.known.is_absent(id));
        absent.count()
    }

    /// Says which clips are not looked for, and how they can be.
    pub(super) fn report_absent(&self, plan: &Plan) {
        let may_hold = |clip: &WantedClip| {
            let mut archives = plan.archives.iter();
            archives.any(|a| a.renewed && a.may_hold(&clip.subcategory))
        };
        let left = self.open.iter();
        let left = left.filter(|(id, clip)| self.known.is_absent(id) && !may_hold(clip));
        let left = left.count();
        if left > 0 {
            tracing::warn!(
                "{left} clips are not looked for: earlier runs read the archives that could hold them, and these have not changed since. Name another --source that may have them, or read the archives once more with --again; clips that you put into --out yourself are taken"
            );
        }
    }

    /// Fetches the plan's archives, several at once; calls `on_done` with each.
    pub(super) fn fetch(
        &self,
        plan: &Plan,
        workplace: &Workplace,
        on_done: impl Fn(&PlannedArchive, &Outcome) -> Result<(), ArtifactError> + Sync,
    ) -> Result<Vec<Outcome>, DownloadError> {
        let raw = &self.config.raw;
        warn_of_space(plan, raw);
        let progress = Progress::new("downloading", plan.archive_bytes(), Unit::Bytes);
        let (clips, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let show = || {
            let (clips, done) = (clips.load(Ordering::Relaxed), done.load(Ordering::Relaxed));
            let archives = plan.archives.len();
            progress.message(format!("{done}/{archives} archives, {clips} clips"));
        };
        let work = Work {
            config: self.config,
            client: &self.client,
            workplace,
            wanted: &self.wanted.clips,
            naming: (!workplace.is_parts()).then(|| self.naming(workplace)),
            progress: &progress,
            on_clip: &|| {
                clips.fetch_add(1, Ordering::Relaxed);
                show();
            },
        };
        let outcomes = parallel::try_each(&plan.archives, self.config.jobs, |archive| {
            let outcome = work.fetch(archive)?;
            on_done(archive, &outcome)?;
            done.fetch_add(1, Ordering::Relaxed);
            show();
            Ok::<_, ArtifactError>(outcome)
        });
        progress.finish();
        if outcomes.is_err() {
            // The disk refused: give back what space the unfinished archives took. The first error
            // is the one to report.
            for archive in &plan.archives {
                let _ = workplace.abandon(&archive.path);
            }
        }
        Ok(outcomes?)
    }

    /// What gives clips their names.
    pub(super) fn naming<'b>(&'b self, workplace: &'b Workplace) -> Naming<'b> {
        Naming {
            raw: &self.config.raw,
            workplace,
            wanted: &self.wanted.clips,
            owners: Mutex::new(self.known.owners(&self.config.raw, &self.wanted)),
        }
    }

    /// Takes over what became of the plan's archives.
    pub(super) fn take_in(&mut self, plan: &Plan, outcomes: Vec<Outcome>) {
        let known = &mut self.known;
        for record in plan.probed.iter().map(PlannedArchive::record) {
            known.archives.entry(record.path.clone()).or_insert(record);
        }
        for (archive, Outcome { record, exit }) in plan.archives.iter().zip(outcomes) {
            if record.state == ArchiveState::Complete {
                self.summary.add(&record);
                for clip in &record.kept {
                    // From now on it is expected to be there, and no longer as something that lay
                    // there.
                    if self.open.remove(&clip.clip_id).is_some() {
                        self.summary.fetched += 1;
                        known.others.remove(&clip.clip_id);
                    }
                }
            } else {
                self.failures.note(archive, &record, exit);
            }
            known.add(record);
        }
    }

    /// Sees that every clip is on disk that this run found there or fetched.
    pub(super) fn refuse_removals(&self) -> Result<(), DownloadError> {
        let raw = &self.config.raw;
        let missing = self.known.open(raw, &self.wanted).into_iter();
        let mut gone = missing.filter(|(id, _)| !self.open.contains_key(id));
        let Some((id, clip)) = gone.next() else {
            return Ok(());
        };
        Err(DownloadError::Removed {
            removed: 1 + gone.count(),
            first: clip_path(raw, &clip.subcategory, &id),
        })
    }

    /// Bytes that came over the wire.
    pub(super) fn wire_bytes(&self) -> u64 {
        self.client.meter.wire_bytes()
    }

    /// What the ledger is made from.
    pub(super) fn provenance(&self) -> Result<Provenance, ArtifactError> {
        let config = self.config;
        let mut provenance = Provenance::of(&serde_json::json!({
            "dataset": config.dataset,
            "classes": config.classes,
            "splits": config.splits,
            "limit": config.limit,
        }));
        for file in self.labels.files() {
            provenance = provenance.with_input(file)?;
        }
        Ok(provenance)
    }

    /// Publishes the ledger where it changed, and counts what became of the clips.
    pub(super) fn write_ledger(&mut self) -> Result<(), DownloadError> {
        let provenance = self.provenance()?;
        let (config, wanted, summary) = (self.config, &self.wanted, &mut self.summary);
        let clips = clip_states(&config.raw, wanted, &self.known, &self.failures);
        for id in wanted.clips.keys() {
            if let ClipState::Missing { reason } = &clips[id.as_str()].1 {
                summary.missing += 1;
                summary.unread += usize::from(*reason == MissingReason::ArchiveUnread);
            }
        }
        summary.present = wanted.clips.len() - summary.missing;
        summary.frames = wanted.frames.len();
        summary.wanted = wanted.clips.len() + wanted.frames.len();
        summary.wire_bytes = self.client.meter.wire_bytes();
        artifact::sweep(config.ledger_folder())?;
        let archives = &self.known.archives;
        Ok(publish_ledger(
            &config.ledger,
            archives,
            clips,
            &provenance,
        )?)
    }
}

/// Says beforehand that the disk is likely to be too small. It may get more room while the download
/// runs, so that goes on.
fn warn_of_space(plan: &Plan, raw: &Path) {
    if let (true, Some(needed), Some(free)) = (
        plan.by_class(),
        plan.estimated_clip_bytes(),
        artifact::free_bytes(raw),
    ) && needed > free
    {
        let (needed, free) = (HumanBytes(needed), HumanBytes(free));
        tracing::warn!("the clips will take about {needed}, and {free} are free on that disk");
    }
}
