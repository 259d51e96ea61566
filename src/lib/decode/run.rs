//! The stage: which clips are to be decoded, decoding them, publishing shards and index.

use std::collections::BTreeSet;
use std::path::Path;

use super::clip::DecodedClip;
use super::isolate::Isolated;
use super::plan::{Entry, plan};
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
use crate::progress::{Progress, Unit};
use crate::shard::{
    Cause, IndexRow, NewClip, ShardError, ShardWriter, ShardWriterConfig, shard_files, write_index,
};
use crate::tables::ClipStatus;
use crate::withdrawn::ERASE_COMMAND;

/// Most clips that are named for each thing that is said of clips; the others are counted.
const MAX_NAMED: usize = 20;

/// Decodes every labelled clip of which the folder of shards knows nothing that still holds, and
/// publishes the index. The folder is locked meanwhile.
///
/// # Errors
/// When another program writes into the folder, labels or shards are unusable, the disk refuses, or
/// more clips failed than allowed; the index is published then, too. What was decoded stays.
pub fn run(config: &DecodeConfig) -> Result<DecodeSummary, DecodeError> {
    config.check()?;
    let labels = Labels::read(&config.labels)?;
    let mut provenance = config.clip.provenance();
    let settings = provenance.clone();
    for file in labels.files() {
        provenance = provenance.with_input(file).map_err(ShardError::from)?;
    }
    let sources = ClipFiles::scan(&config.clips, config.frame_folders.as_deref())?;
    let _lock = Lock::folder(&config.out, "incdec-decode", config.wait)?;
    sweep(&config.out).map_err(ShardError::from)?;

    let stored = Stored::read(&config.out, &settings)?;
    let mut entries = plan(config, &labels, &sources, &stored);
    name_missing(&entries);
    let (decoded, shards) = decode_missing(config, &settings, &stored, &mut entries)?;
    let withdrawn = count_withdrawn(&entries);
    let counted: Vec<&IndexRow> = entries
        .iter()
        .filter(|e| !e.withdrawn)
        .filter_map(|e| e.row.as_ref())
        .collect();
    let counted = DecodeSummary::of(&counted);
    let rows: Vec<IndexRow> = entries.into_iter().filter_map(|e| e.row).collect();
    check_shards(&config.out, &rows)?;
    let is_same = config.out.join(IndexRow::FILE).exists()
        && stored
            .index
            .as_ref()
            .is_some_and(|(old, from)| *old == rows && *from == provenance);
    if !is_same {
        write_index(&config.out, &rows, &provenance)?;
    }
    remove_superseded(&config.out, &rows)?;
    let summary = DecodeSummary {
        decoded,
        shards,
        withdrawn,
        up_to_date: is_same && decoded == 0,
        ..counted
    };
    summary.check_failures(config.max_failed)?;
    Ok(summary)
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

/// Compares what the index is to name with what is there: somebody may have removed the folder, and
/// writing has made it anew.
fn check_shards(folder: &Path, rows: &[IndexRow]) -> Result<(), DecodeError> {
    let there: BTreeSet<String> = shard_files(folder)?.into_values().collect();
    let mut named = rows.iter().filter_map(|row| row.shard.as_ref());
    match named.find(|name| !there.contains(*name)) {
        None => Ok(()),
        Some(name) => Err(DecodeError::ShardGone {
            path: folder.join(name),
        }),
    }
}

/// Decodes the clips that have no row and stores them; gives the number of clips and of new shards.
fn decode_missing(
    config: &DecodeConfig,
    settings: &Provenance,
    stored: &Stored,
    entries: &mut [Entry],
) -> Result<(usize, usize), DecodeError> {
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
        shard_bytes: config.shard_bytes,
        taken: stored.taken.clone(),
    };
    let mut writer = ShardWriter::new(&config.out, settings.clone(), writer_config);
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
        head,
        frames,
    })
}
