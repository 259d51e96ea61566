//! The stage: which clips are to be decoded, decoding them, publishing shards and index.

use std::fmt;
use std::fs;

use super::clip::DecodedClip;
use super::isolate::{Isolated, decode_here};
use super::pool::in_order;
use super::source::{Source, Sources};
use super::stored::Stored;
use super::{DecodeConfig, DecodeError};
use crate::artifact::{ArtifactError, sweep};
use crate::clip::Split;
use crate::labels::Labels;
use crate::progress::{Progress, Unit};
use crate::shard::{IndexRow, ShardError, SourceFacts, Writer, WriterConfig, write_index};
use crate::stage_tables::ClipStatus;
use crate::table::Provenance;

/// What the stage did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Labelled clips.
    pub clips: usize,
    /// Clips whose frames are all there.
    pub ok: usize,
    /// Clips with some frames.
    pub partial: usize,
    /// Clips without frames.
    pub failed: usize,
    /// Clips without a file.
    pub missing: usize,
    /// Clips that this run decoded.
    pub decoded: usize,
    /// Shards that this run wrote.
    pub shards: usize,
    /// Stored frames of all clips.
    pub frames: i64,
    /// Whether nothing was to be done.
    pub up_to_date: bool,
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} clips: {} ok, {} partial, {} failed, {} missing; {} frames stored",
            self.clips, self.ok, self.partial, self.failed, self.missing, self.frames
        )?;
        if self.up_to_date {
            write!(f, "; nothing to do, all of them are up to date")
        } else {
            write!(
                f,
                "; {} decoded now into {} new shards",
                self.decoded, self.shards
            )
        }
    }
}

/// A labelled clip and what is known about it.
struct Entry {
    clip_id: String,
    split: Split,
    source: Option<Source>,
    row: Option<IndexRow>,
}

/// Decodes every labelled clip that has no row in the shards yet and publishes the index.
///
/// # Errors
/// When labels or shards are unusable, the disk refuses, or more clips fail than allowed. What was decoded stays.
pub fn run(config: &DecodeConfig) -> Result<Summary, DecodeError> {
    check(config)?;
    let labels = Labels::read(&config.labels)?;
    let mut provenance = config.clip.provenance();
    let settings = provenance.clone();
    for file in labels.files() {
        provenance = provenance.with_input(file).map_err(ShardError::from)?;
    }
    let sources = Sources::scan(&config.clips, config.frame_folders.as_deref())?;
    fs::create_dir_all(&config.out)
        .map_err(ArtifactError::at("create folder", &config.out))
        .map_err(ShardError::from)?;
    sweep(&config.out).map_err(ShardError::from)?;

    let stored = Stored::read(&config.out, &settings)?;
    let mut entries = plan(&labels, &sources, &stored);
    let (decoded, shards) = decode_missing(config, &settings, &stored, &mut entries)?;
    let rows: Vec<IndexRow> = entries.into_iter().filter_map(|e| e.row).collect();
    let mut summary = summarise(&rows, decoded, shards);
    check_failures(&summary, config.max_failed)?;
    summary.up_to_date = stored
        .index
        .as_ref()
        .is_some_and(|(old, from)| *old == rows && *from == provenance);
    if !summary.up_to_date {
        write_index(&config.out, &rows, &provenance)?;
    }
    Ok(summary)
}

fn check(config: &DecodeConfig) -> Result<(), DecodeError> {
    let refuse = |setting, reason: &str| {
        Err(DecodeError::Setting {
            setting,
            reason: reason.to_owned(),
        })
    };
    if !(0.0..=1.0).contains(&config.max_failed) {
        return refuse(
            "--max-failed",
            "it is a share of the labelled clips, 0 to 1",
        );
    }
    if !(1..=100).contains(&config.clip.quality) {
        return refuse("--quality", "JPEG's quality goes from 1 to 100");
    }
    if config.jobs == 0 {
        return refuse("--jobs", "at least one worker is needed");
    }
    if config.clip.max_frames == 0 {
        return refuse("--max-frames", "a clip needs at least one frame");
    }
    Ok(())
}

/// Every labelled clip in order, with its row where that is known and its file unchanged.
fn plan(labels: &Labels, sources: &Sources, stored: &Stored) -> Vec<Entry> {
    labels
        .iter()
        .map(|(split, _, label)| {
            let clip_id = label.clip.to_string();
            let source = sources.of(&label.clip, &label.subcategory);
            let known = stored.known.get(&clip_id).filter(|row| {
                row.split == split && row.source_bytes == source.as_ref().map(Source::bytes)
            });
            let row = known
                .cloned()
                .or_else(|| source.is_none().then(|| missing(&clip_id, split)));
            Entry {
                clip_id,
                split,
                source,
                row,
            }
        })
        .collect()
}

fn missing(clip_id: &str, split: Split) -> IndexRow {
    let reason = Some("there is no file of this clip".to_owned());
    IndexRow::without_frames(
        clip_id.to_owned(),
        split,
        SourceFacts::default(),
        ClipStatus::Missing,
        reason,
    )
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
    let writer_config = WriterConfig {
        shard_bytes: config.shard_bytes,
        first_number: stored.next_number.clone(),
    };
    let mut writer = Writer::new(&config.out, settings.clone(), writer_config);
    let progress = Progress::new("decoding", Some(due.len() as u64), Unit::Count("clips"));
    let mut bad = 0;
    let start = || {
        let mut decode = worker(config);
        let due = &due;
        move |number: usize| decode(&due[number].1)
    };
    let panicked = |message| {
        DecodedClip::failed(
            SourceFacts::default(),
            format!("the decoder panicked: {message}"),
        )
    };
    let sizes: Vec<i64> = due.iter().map(|(_, source)| source.bytes()).collect();
    in_order(
        &sizes,
        config.jobs,
        start,
        panicked,
        |number, mut clip: DecodedClip| {
            let (entry, source) = (&mut entries[due[number].0], &due[number].1);
            clip.source.bytes = Some(source.bytes());
            if clip.status != ClipStatus::Ok {
                bad += 1;
                let reason = clip.error.as_deref().unwrap_or_default();
                tracing::warn!(
                    "{} ({}): {:?}: {reason}",
                    entry.clip_id,
                    source.path().display(),
                    clip.status
                );
                progress.message(format!("{bad} partial or failed"));
            }
            entry.row = Some(store(config, &mut writer, entry, clip)?);
            progress.inc(1);
            Ok::<_, DecodeError>(())
        },
    )?;
    progress.finish();
    let shards = writer.finish()?.len();
    Ok((due.len(), shards))
}

/// A worker of its own thread, in this process or with a child.
fn worker(config: &DecodeConfig) -> impl FnMut(&Source) -> DecodedClip + '_ {
    let mut isolated = config.isolate.as_deref().map(Isolated::new);
    move |source| match &mut isolated {
        Some(isolated) => isolated.decode(source, &config.clip, config.limits),
        None => decode_here(source, &config.clip, config.limits),
    }
}

fn store(
    config: &DecodeConfig,
    writer: &mut Writer,
    entry: &Entry,
    clip: DecodedClip,
) -> Result<IndexRow, ShardError> {
    if clip.frames.is_empty() {
        return Ok(IndexRow::without_frames(
            entry.clip_id.clone(),
            entry.split,
            clip.source,
            clip.status,
            clip.error,
        ));
    }
    writer.push(&clip.into_new_clip(entry.clip_id.clone(), entry.split, &config.clip))
}

fn summarise(rows: &[IndexRow], decoded: usize, shards: usize) -> Summary {
    let count = |status| rows.iter().filter(|r| r.status == status).count();
    Summary {
        clips: rows.len(),
        ok: count(ClipStatus::Ok),
        partial: count(ClipStatus::Partial),
        failed: count(ClipStatus::Failed),
        missing: count(ClipStatus::Missing),
        decoded,
        shards,
        frames: rows.iter().map(|r| i64::from(r.frames)).sum(),
        up_to_date: false,
    }
}

#[allow(clippy::cast_precision_loss)] // Clip counts, far below 2^52.
fn check_failures(summary: &Summary, max_failed: f64) -> Result<(), DecodeError> {
    let (missing, failed, clips) = (summary.missing, summary.failed, summary.clips);
    // Compared as counts: 0.2 of 10 clips lets 2 go, whatever 0.2 is in binary.
    if (missing + failed) as f64 > max_failed * clips as f64 + 1e-9 {
        return Err(DecodeError::TooManyFailed {
            clips,
            missing,
            failed,
            max_failed,
        });
    }
    Ok(())
}
