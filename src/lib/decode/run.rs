//! The stage: which clips are to be decoded, decoding them, publishing shards and index.

use std::collections::BTreeSet;
use std::path::Path;

use super::clip::DecodedClip;
use super::isolate::Isolated;
use super::parts;
use super::plan::{Clips, Entry};
use super::pool::in_order;
use super::source::{ClipFiles, Source};
use super::stored::{Stored, remove_superseded};
use super::summary::DecodeSummary;
use super::{DecodeConfig, DecodeError};
use crate::artifact::sweep;
use crate::foreign::printable;
use crate::labels::Labels;
use crate::lock::Lock;
use crate::parquet_file::Provenance;
use crate::part::{self, Part};
use crate::progress::{Progress, Unit};
use crate::shard::{
    Cause, IndexRow, NewClip, Ranges, ShardError, ShardWriter, ShardWriterConfig, parts_place,
    shard_files, write_index,
};
use crate::tables::ClipStatus;
use crate::withdrawn::ERASE_COMMAND;

/// What an error calls the holder of a lock.
const HOLDER: &str = "incdec-decode";

/// Most clips that are named for each thing that is said of clips; the others are counted.
const MAX_NAMED: usize = 20;

/// Decodes every labelled clip of which the folder of shards knows nothing that still holds, and
/// publishes the index. The folder is locked meanwhile.
///
/// A part does so for the ranges of label rows that fall to it, in a folder of its own;
/// [`merge`](super::merge()) makes one of all parts.
///
/// # Errors
/// When another program writes into the folder, labels or shards are unusable, the disk refuses, or
/// more clips failed than allowed; the index is published then, too. What was decoded stays.
pub fn run(config: &DecodeConfig) -> Result<DecodeSummary, DecodeError> {
    config.check()?;
    let labels = Labels::read(&config.labels)?;
    let settings = config.provenance();
    let made_from = with_labels(settings.clone(), &labels)?;
    let sources = ClipFiles::scan(&config.clips, config.frame_folders.as_deref())?;
    let clips = Clips {
        config,
        labels: &labels,
        sources: &sources,
        ranges: Ranges::of(&labels, config.clips_per_shard),
    };
    match config.part {
        None => run_whole(&clips, &settings, made_from),
        Some(part) => run_part(part, &clips, &settings, &made_from),
    }
}

/// The provenance with the label tables as inputs.
pub(super) fn with_labels(
    mut provenance: Provenance,
    labels: &Labels,
) -> Result<Provenance, ShardError> {
    for file in labels.files() {
        provenance = provenance.with_input(file)?;
    }
    Ok(provenance)
}

fn run_whole(
    clips: &Clips<'_>,
    settings: &Provenance,
    made_from: Provenance,
) -> Result<DecodeSummary, DecodeError> {
    let config = clips.config;
    let out = config.out.as_path();
    let _lock = Lock::folder(out, HOLDER, config.wait)?;
    sweep(out).map_err(ShardError::from)?;
    parts_place(out).remove_merged().map_err(ShardError::from)?;
    parts::warn_of_unmerged(out)?;
    let work = Work {
        clips,
        settings,
        made_from,
        folder: out,
        base: None,
    };
    let summary = work.publish()?;
    summary.check_failures(config.max_failed)?;
    Ok(summary)
}

fn run_part(
    part: Part,
    clips: &Clips<'_>,
    settings: &Provenance,
    whole: &Provenance,
) -> Result<DecodeSummary, DecodeError> {
    let config = clips.config;
    let out = config.out.as_path();
    let folder = parts_place(out).of(part);
    let _lock = part::enter(&folder, HOLDER, config.wait, &[out])?;
    sweep(&folder).map_err(ShardError::from)?;
    let made_from = parts::made_from(out, settings, whole)?;
    parts::claim(&folder, &made_from)?;
    let work = Work {
        clips,
        settings,
        made_from,
        folder: &folder,
        base: Some(out),
    };
    Ok(DecodeSummary {
        part: Some(part),
        ..work.publish()?
    })
}

/// What is to be decoded, and where it goes.
struct Work<'a> {
    clips: &'a Clips<'a>,
    settings: &'a Provenance,
    /// What the index is made from.
    made_from: Provenance,
    /// The folder that is written into.
    folder: &'a Path,
    /// For a part, the folder that it will be merged into.
    base: Option<&'a Path>,
}

impl Work<'_> {
    /// Decodes what is missing, then publishes the index.
    fn publish(&self) -> Result<DecodeSummary, DecodeError> {
        let stored = Stored::read(self.folder, self.base, self.settings)?;
        let mut entries = self.clips.plan(self.folder, &stored);
        name_missing(&entries);
        let (decoded, shards) = self.decode_missing(&stored, &mut entries)?;
        let withdrawn = count_withdrawn(&entries);
        let counted = entries.iter().filter(|e| !e.withdrawn);
        let counted: Vec<&IndexRow> = counted.filter_map(|e| e.row.as_ref()).collect();
        let counted = DecodeSummary::of(&counted);
        let rows: Vec<IndexRow> = entries.into_iter().filter_map(|e| e.row).collect();
        check_shards(self.folder, self.base, &rows)?;
        let is_same = publish_index(self.folder, &rows, &self.made_from, stored.index.as_ref())?;
        Ok(DecodeSummary {
            decoded,
            shards,
            withdrawn,
            up_to_date: is_same && decoded == 0,
            ..counted
        })
    }

    /// Decodes the clips that have no row and stores them; gives the number of clips and of new shards.
    fn decode_missing(
        &self,
        stored: &Stored,
        entries: &mut [Entry],
    ) -> Result<(usize, usize), DecodeError> {
        let config = self.clips.config;
        let due: Vec<(usize, Vec<Source>)> = entries
            .iter()
            .enumerate()
            .filter(|(_, e)| e.row.is_none())
            .map(|(i, e)| (i, e.source.iter().chain(&e.others).cloned().collect()))
            .filter(|(_, sources): &(usize, Vec<Source>)| !sources.is_empty())
            .collect();
        if due.is_empty() {
            return Ok((0, 0));
        }
        let kept = entries.len() - due.len();
        tracing::info!("{} clips to decode, {kept} are known", due.len());
        let writer_config = ShardWriterConfig {
            ranges: self.clips.ranges,
            taken: stored.taken.clone(),
        };
        let mut writer = ShardWriter::new(self.folder, self.settings.clone(), writer_config);
        let progress = Progress::new("decoding", Some(due.len() as u64), Unit::Count("clips"));
        let (mut bad, mut chosen) = (0, 0);
        let start = || {
            let mut decode = worker(config);
            let due = &due;
            move |number: usize| decode(&due[number].1)
        };
        let sizes: Vec<i64> = due.iter().map(|(_, sources)| sources[0].bytes()).collect();
        in_order(
            &sizes,
            config.jobs,
            start,
            |message| Ok((0, DecodedClip::panicked(&config.clip, &message))),
            |decoded| matches!(decoded, Ok((_, clip)) if clip.starved),
            |number, decoded: Result<(usize, DecodedClip), DecodeError>| {
                let (which, mut clip) = decoded?;
                let (entry, sources) = (&mut entries[due[number].0], &due[number].1);
                let source = &sources[which];
                clip.head.source.bytes = Some(source.bytes());
                if sources.len() > 1 {
                    chosen += 1;
                    if chosen <= MAX_NAMED {
                        say_choice(entry, source, sources.len());
                    }
                }
                if clip.head.status != ClipStatus::Ok {
                    bad += 1;
                    warn(entry, source, &clip);
                    progress.message(format!("{bad} partial or failed"));
                }
                entry.row = Some(store(&mut writer, entry, clip)?);
                progress.inc(1);
                Ok::<_, DecodeError>(())
            },
        )?;
        progress.finish();
        if chosen > MAX_NAMED {
            let more = chosen - MAX_NAMED;
            tracing::info!("{more} more clips have several files of their name, too");
        }
        let shards = writer.finish()?.len();
        Ok((due.len(), shards))
    }
}

/// Counts the withdrawn clips, and warns where the bytes of some are still there.
fn count_withdrawn(entries: &[Entry]) -> usize {
    let held = entries.iter().filter(|e| e.is_to_be_erased()).count();
    if held > 0 {
        tracing::warn!(
            "{held} withdrawn clips still have files or stored frames; erase them with `{ERASE_COMMAND}`"
        );
    }
    entries.iter().filter(|e| e.withdrawn).count()
}

/// Warns of clips without a file, each by its name up to a limit.
fn name_missing(entries: &[Entry]) {
    let rows = entries.iter().filter_map(|entry| entry.row.as_ref());
    let missing: Vec<&IndexRow> = rows
        .filter(|row| row.status == ClipStatus::Missing)
        .collect();
    for row in missing.iter().take(MAX_NAMED) {
        let reason = row.error.as_deref().unwrap_or_default();
        tracing::warn!("{}: {}", row.clip_id, printable(reason));
    }
    if missing.len() > MAX_NAMED {
        let more = missing.len() - MAX_NAMED;
        tracing::warn!("{more} more clips have no file; the index names them all");
    }
}

/// Publishes the index where it is another than the one that is there, and removes shards that hold
/// nothing but older copies of what it names. Says whether it is the same.
pub(super) fn publish_index(
    folder: &Path,
    rows: &[IndexRow],
    made_from: &Provenance,
    present: Option<&(Vec<IndexRow>, Provenance)>,
) -> Result<bool, ShardError> {
    let is_same = folder.join(IndexRow::FILE).exists()
        && present.is_some_and(|(old, from)| *old == rows && from == made_from);
    if !is_same {
        write_index(folder, rows, made_from)?;
    }
    remove_superseded(folder, rows)?;
    Ok(is_same)
}

/// Compares what the index is to name with what is there: somebody may have removed a folder, and
/// writing has made it anew.
pub(super) fn check_shards<'a>(
    folder: &Path,
    others: impl IntoIterator<Item = &'a Path>,
    rows: &[IndexRow],
) -> Result<(), DecodeError> {
    let mut there: BTreeSet<String> = shard_files(folder)?.into_values().collect();
    for other in others {
        there.extend(shard_files(other)?.into_values());
    }
    let mut named = rows.iter().filter_map(|row| row.shard.as_ref());
    match named.find(|name| !there.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(DecodeError::ShardGone {
            path: folder.join(name),
        }),
    }
}

/// A clip, and which of its sources it was decoded from.
type Chosen = (usize, DecodedClip);

/// A worker of its own thread, in this process or with a child. It decodes the first source that
/// is a video of more than one frame. Where none is, the first counts of those that may be one
/// another time, then the first of all.
fn worker(config: &DecodeConfig) -> impl FnMut(&[Source]) -> Result<Chosen, DecodeError> + '_ {
    let mut isolated = config.isolate.as_deref().map(Isolated::new);
    let mut decode = move |source: &Source| match &mut isolated {
        Some(isolated) => isolated.decode(source, &config.clip, config.limits),
        None => Ok(source.decode(&config.clip, config.limits)),
    };
    move |sources| {
        let mut best: Option<Chosen> = None;
        for (which, source) in sources.iter().enumerate() {
            let clip = decode(source)?;
            if clip.head.source.frames_decoded > 1 && !clip.frames.is_empty() {
                return Ok((which, clip));
            }
            if best
                .as_ref()
                .is_none_or(|(_, best)| worth(&clip) > worth(best))
            {
                best = Some((which, clip));
            }
        }
        let nothing = || DecodedClip::panicked(&config.clip, "there is nothing to decode");
        Ok(best.unwrap_or_else(|| (0, nothing())))
    }
}

/// Which of several sources that are no moving pictures says most of the clip.
fn worth(clip: &DecodedClip) -> u8 {
    match clip.cause {
        None => 2,
        Some(Cause::NotDecoded) => 1,
        Some(Cause::Damaged) => 0,
    }
}

fn say_choice(entry: &Entry, taken: &Source, count: usize) {
    tracing::info!(
        "{}: {} is decoded, of {count} files of this name",
        entry.clip_id,
        printable(&taken.path().to_string_lossy())
    );
}

fn warn(entry: &Entry, source: &Source, clip: &DecodedClip) {
    tracing::warn!(
        "{} ({}): {:?}: {}",
        entry.clip_id,
        printable(&source.path().to_string_lossy()),
        clip.head.status,
        printable(clip.head.error.as_deref().unwrap_or_default())
    );
}

fn store(
    writer: &mut ShardWriter,
    entry: &Entry,
    clip: DecodedClip,
) -> Result<IndexRow, ShardError> {
    let (clip_id, split) = (entry.clip_id.clone(), entry.split);
    let DecodedClip {
        frames,
        head,
        cause,
        ..
    } = clip;
    if frames.is_empty() {
        return Ok(IndexRow {
            cause,
            ..IndexRow::without_frames(clip_id, split, head.source, head.status, head.error)
        });
    }
    writer.push(&NewClip {
        clip_id,
        split,
        label_row: entry.label_row,
        head,
        frames,
    })
}
