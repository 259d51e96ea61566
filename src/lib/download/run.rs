//! The stage: what is wanted, what is there, what to fetch; then the ledger.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::archive::Work;
use super::config::{DownloadConfig, Summary};
use super::error::DownloadError;
use super::lanes;
use super::ledger::{self, ArchiveRecord, ArchiveState, ClipState};
use super::pace::Meter;
use super::plan::{Plan, WantedClip, plan};
use super::remote::{self, Remote};
use super::sources::{Dataset, Sources};
use super::state::{Known, Workplace};
use super::stream::Line;
use crate::artifact;
use crate::clip::Split;
use crate::labels::Labels;
use crate::progress::{Progress, Unit};
use crate::table::Provenance;

/// The reason of a clip that the archives that could hold it do not hold.
pub(super) const ABSENT: &str = "in none of the archives that could hold it";
/// The reason of a clip whose archive could not be read.
const UNREAD: &str = "the archive that may hold it failed";

/// Everything that planning and running share.
struct Session {
    labels: Labels,
    dataset: Dataset,
    remote: Box<dyn Remote>,
    wanted: BTreeMap<String, WantedClip>,
    frames: BTreeSet<String>,
}

impl Session {
    fn open(config: &DownloadConfig) -> Result<Self, DownloadError> {
        let labels = Labels::read(&config.labels)?;
        let dataset = Sources::read(config.sources.as_deref())?
            .dataset(&config.dataset)?
            .clone();
        let source = config.source.as_deref().unwrap_or(&dataset.base);
        let remote = remote::open(source, &config.http)?;
        let mut wanted = choose_clips(&labels, config)?;
        let frames = match &config.frame_folders {
            None => BTreeSet::new(),
            Some(folder) => wanted
                .keys()
                .filter(|id| has_frames(folder, id))
                .cloned()
                .collect(),
        };
        wanted.retain(|id, _| !frames.contains(id));
        Ok(Self {
            labels,
            dataset,
            remote,
            wanted,
            frames,
        })
    }

    /// The wanted clips that are neither on disk nor known to be nowhere.
    fn open_clips(&self, raw: &Path, known: &Known) -> BTreeMap<String, WantedClip> {
        let kept = known.kept();
        let on_disk = |id: &str, clip: &WantedClip| {
            kept.get(id).is_some_and(|(_, kept)| {
                let path = raw.join(&clip.subcategory).join(format!("{id}.mp4"));
                path.metadata()
                    .is_ok_and(|m| m.is_file() && m.len() == kept.bytes)
            })
        };
        self.wanted
            .iter()
            .filter(|(id, clip)| !known.absent.contains(*id) && !on_disk(id, clip))
            .map(|(id, clip)| (id.clone(), clip.clone()))
            .collect()
    }
}

/// The clips that the tables name and the filters let through.
fn choose_clips(
    labels: &Labels,
    config: &DownloadConfig,
) -> Result<BTreeMap<String, WantedClip>, DownloadError> {
    for class in &config.classes {
        if labels.taxonomy.class_of(class).is_none() {
            return Err(DownloadError::Class {
                class: class.clone(),
            });
        }
    }
    let mut counts: BTreeMap<(Split, &str), usize> = BTreeMap::new();
    let mut wanted = BTreeMap::new();
    for (split, _, label) in labels.iter() {
        let class_wanted = config.classes.is_empty() || config.classes.contains(&label.subcategory);
        let split_wanted = config.splits.is_empty() || config.splits.contains(&split);
        if !class_wanted || !split_wanted {
            continue;
        }
        let count = counts.entry((split, &label.subcategory)).or_default();
        *count += 1;
        if config.limit.is_some_and(|limit| *count > limit) {
            continue;
        }
        wanted.insert(
            label.clip.to_string(),
            WantedClip {
                subcategory: label.subcategory.clone(),
                source_split: label.source_split.clone(),
            },
        );
    }
    Ok(wanted)
}

/// Whether a clip's frames lie in `folder/id_<clip>/jpgs`.
fn has_frames(folder: &Path, id: &str) -> bool {
    let jpgs = folder.join(format!("id_{id}")).join("jpgs");
    std::fs::read_dir(jpgs).is_ok_and(|mut entries| {
        entries.any(|e| e.is_ok_and(|e| e.file_name().to_string_lossy().ends_with(".jpg")))
    })
}

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
    let summary = Summary {
        wanted: session.wanted.len() + session.frames.len(),
        present: session.wanted.len() - open.len(),
        frames: session.frames.len(),
        missing: open.len(),
        wire_bytes: meter.wire_bytes(),
        ..Summary::default()
    };
    Ok((plan, summary))
}

/// Fetches what is missing and publishes the ledger, last.
///
/// # Errors
/// When labels, index or disk fail, when an archive could not be fetched, or when more clips are missing than allowed. What
/// was finished is kept in every case.
pub fn run(config: &DownloadConfig) -> Result<Summary, DownloadError> {
    let session = Session::open(config)?;
    let workplace = Workplace::open(&config.raw)?;
    let mut known = Known::read(&config.ledger)?;
    known.add(workplace.unfinished()?);
    let open = session.open_clips(&config.raw, &known);
    let (meter, cancelled) = (Meter::new(config.bytes_per_second), AtomicBool::new(false));
    let line = line(config, &*session.remote, &meter, &cancelled);
    let mut summary = Summary::default();
    let mut failures = Vec::new();
    if !open.is_empty() {
        let plan = plan(&line, &session.dataset, &open, &known.archives, config.jobs)?;
        let records = fetch_all(config, &session, &workplace, &known, &line, &plan)?;
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
        for record in records {
            if record.state == ArchiveState::Complete {
                summary.archives += 1;
                summary.fetched += record.kept.len();
                summary.refused += record.members_refused;
                summary.archive_bytes += record.bytes.unwrap_or(0);
            } else {
                let reason = record.reason.as_deref().unwrap_or("unknown");
                failures.push(format!("{}: {reason}", record.path));
            }
            known.archives.insert(record.path.clone(), record);
        }
        summary.wire_bytes = meter.wire_bytes();
    }
    write_ledger(config, &session, &known, !failures.is_empty(), &mut summary)?;
    workplace.clear()?;
    if let Some(first) = failures.first() {
        return Err(DownloadError::Archives {
            failed: failures.len(),
            archives: failures.len() + summary.archives,
            first: first.clone(),
        });
    }
    #[allow(clippy::cast_precision_loss)] // Numbers of clips.
    if summary.missing as f64 > config.max_missing * summary.wanted as f64 {
        return Err(DownloadError::Missing {
            missing: summary.missing,
            labelled: summary.wanted,
            limit: config.max_missing,
        });
    }
    Ok(summary)
}

/// Fetches the plan's archives, several at once.
fn fetch_all(
    config: &DownloadConfig,
    session: &Session,
    workplace: &Workplace,
    known: &Known,
    line: &Line<'_>,
    plan: &Plan,
) -> Result<Vec<ArchiveRecord>, DownloadError> {
    let total = plan.archives.iter().map(|a| a.facts.bytes).sum();
    let progress = Progress::new("downloading", total, Unit::Bytes);
    let (clips, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let tell = || {
        let (clips, done) = (clips.load(Ordering::Relaxed), done.load(Ordering::Relaxed));
        progress.message(format!(
            "{done}/{} archives, {clips} clips",
            plan.archives.len()
        ));
    };
    let owners = known
        .kept()
        .into_iter()
        .map(|(id, (archive, _))| (id.to_owned(), archive.to_owned()))
        .collect();
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
    Ok(results.into_iter().collect::<Result<_, _>>()?)
}

/// Publishes the ledger where it changed, and counts what became of the clips.
fn write_ledger(
    config: &DownloadConfig,
    session: &Session,
    known: &Known,
    failed: bool,
    summary: &mut Summary,
) -> Result<(), DownloadError> {
    let kept = known.kept();
    summary.wanted = session.wanted.len() + session.frames.len();
    let mut clips: BTreeMap<String, (&str, ClipState)> = BTreeMap::new();
    // What earlier runs fetched under other filters stays on disk and in the ledger.
    for (id, (archive, clip)) in &kept {
        if let Some(subcategory) = known.subcategories.get(*id) {
            let state = ClipState::Present {
                archive: (*archive).to_owned(),
                clip: (*clip).clone(),
            };
            clips.insert((*id).to_owned(), (subcategory, state));
        }
    }
    for (id, clip) in &session.wanted {
        let state = if let Some((archive, clip)) = kept.get(id.as_str()) {
            summary.present += 1;
            ClipState::Present {
                archive: (*archive).to_owned(),
                clip: (*clip).clone(),
            }
        } else {
            summary.missing += 1;
            let unread = failed && !known.absent.contains(id);
            ClipState::Missing {
                reason: if unread { UNREAD } else { ABSENT }.to_owned(),
            }
        };
        clips.insert(id.clone(), (&clip.subcategory, state));
    }
    let labels: BTreeMap<String, &str> = session
        .labels
        .iter()
        .map(|(_, _, l)| (l.clip.to_string(), l.subcategory.as_str()))
        .collect();
    for id in &session.frames {
        summary.frames += 1;
        clips.insert(id.clone(), (labels[id], ClipState::Frames));
    }
    let rows = ledger::rows(
        &known.archives,
        clips.into_iter().map(|(id, (sub, state))| (id, sub, state)),
    );
    let mut provenance = Provenance::of(&serde_json::json!({
        "dataset": config.dataset,
        "classes": config.classes,
        "splits": config.splits,
        "limit": config.limit,
    }));
    for file in session.labels.files() {
        provenance = provenance.with_input(file)?;
    }
    artifact::sweep(config.ledger.parent().unwrap_or(Path::new(".")))?;
    ledger::write(&config.ledger, &rows, &provenance)
}
