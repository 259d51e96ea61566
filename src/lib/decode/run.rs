//! The stage: which clips are to be decoded, decoding them, publishing shards and index.

use std::collections::BTreeSet;
use std::path::Path;

use super::clip::DecodedClip;
use super::isolate::Isolated;
use super::plan::{Entry, plan};
use super::pool::in_order;
use super::source::{Source, Sources};
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
    IndexRow, NewClip, ShardError, ShardWriter, ShardWriterConfig, shard_files, write_index,
};
use crate::tables::ClipStatus;

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
    let sources = Sources::scan(&config.clips, config.frame_folders.as_deref())?;
    let _lock = Lock::folder(&config.out, "incdec-decode", config.wait)?;
    sweep(&config.out).map_err(ShardError::from)?;

    let stored = Stored::read(&config.out, &settings)?;
    let mut entries = plan(config, &labels, &sources, &stored);
    let (decoded, shards) = decode_missing(config, &settings, &stored, &mut entries)?;
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
        up_to_date: is_same && decoded == 0,
        ..DecodeSummary::of(&rows)
    };
    summary.check_failures(config.max_failed)?;
    Ok(summary)
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
    let due: Vec<(usize, Source)> = entries
        .iter()
        .enumerate()
        .filter(|(_, e)| e.row.is_none())
        .filter_map(|(i, e)| Some((i, e.source.clone()?)))
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
    let mut bad = 0;
    let start = || {
        let mut decode = worker(config);
        let due = &due;
        move |number: usize| decode(&due[number].1)
    };
    let sizes: Vec<i64> = due.iter().map(|(_, source)| source.bytes()).collect();
    in_order(
        &sizes,
        config.jobs,
        start,
        |message| Ok(DecodedClip::panicked(&config.clip, &message)),
        |decoded| matches!(decoded, Ok(clip) if clip.starved),
        |number, decoded: Result<DecodedClip, DecodeError>| {
            let mut clip = decoded?;
            let (entry, source) = (&mut entries[due[number].0], &due[number].1);
            clip.head.source.bytes = Some(source.bytes());
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
    let shards = writer.finish()?.len();
    Ok((due.len(), shards))
}

/// A worker of its own thread, in this process or with a child.
fn worker(config: &DecodeConfig) -> impl FnMut(&Source) -> Result<DecodedClip, DecodeError> + '_ {
    let mut isolated = config.isolate.as_deref().map(Isolated::new);
    move |source| match &mut isolated {
        Some(isolated) => isolated.decode(source, &config.clip, config.limits),
        None => Ok(source.decode(&config.clip, config.limits)),
    }
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
