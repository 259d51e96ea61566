//! Merging: all parts become what one run would have made, and no frame is copied.
//!
//! The shards are renamed, then the index is published, then the parts are removed. The same
//! command goes on wherever it was stopped.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};

use super::DecodeError;
use serde_json::Value;

use super::config::{CLIPS_PER_SHARD, check_max_failed};
use super::run::{check_shards, publish_index, with_labels};
use super::stored::{Access, Stored, read_index};
use super::summary::DecodeSummary;
use crate::artifact::{self, hash_file, sweep};
use crate::labels::Labels;
use crate::lock::{Lock, Wait};
use crate::parquet_file::{self, Provenance, Table};
use crate::part::{self, Part, PartsError};
use crate::shard::{IndexRow, Ranges, ShardError, parts_place};

/// What an error calls the holder of a lock.
const HOLDER: &str = "incdec-decode merge";

/// The settings of merging.
#[derive(Clone, Debug)]
pub struct MergeConfig {
    /// The folder of label tables.
    pub labels: PathBuf,
    /// The folder of shards.
    pub out: PathBuf,
    /// How many parts there are.
    pub parts: u32,
    /// Share of the labelled clips, 0 to 1, that may be missing or undecodable.
    pub max_failed: f64,
    /// What to do while another program writes into the folder of shards or a part.
    pub wait: Wait,
}

/// Makes one folder of shards of all parts, as one run would have left it. Where that was done
/// before, nothing is changed.
///
/// # Errors
/// When a part is missing, not done, or made from something else than the others, when another
/// program writes into the folder or a part, when the disk refuses, or when more clips failed than
/// allowed; the index is published then, too.
pub fn merge(config: &MergeConfig) -> Result<DecodeSummary, DecodeError> {
    check_max_failed(config.max_failed)?;
    let labels = Labels::read(&config.labels)?;
    let out = config.out.as_path();
    let place = parts_place(out);
    let nothing = || PartsError::NoParts {
        folder: place.folder().to_owned(),
        parts: config.parts,
    };
    if !out.is_dir() {
        return Err(nothing().into());
    }
    let _lock = Lock::folder(out, HOLDER, config.wait)?;
    sweep(out).map_err(ShardError::from)?;
    place.remove_merged().map_err(ShardError::from)?;
    let parts = read_parts(config)?;
    let (rows, summary) = if parts.is_empty() {
        let rows = merged_before(out, &labels)?.ok_or_else(nothing)?;
        let up_to_date = true;
        (
            rows,
            DecodeSummary {
                up_to_date,
                ..DecodeSummary::default()
            },
        )
    } else {
        let parts = Parts::new(config, &labels, parts)?;
        let shards = parts.publish(out)?;
        let merged = Some(config.parts);
        (
            parts.rows,
            DecodeSummary {
                shards,
                merged,
                ..DecodeSummary::default()
            },
        )
    };
    let is_withdrawn = |row: &&IndexRow| labels.withdrawn.contains(&row.clip_id);
    let (withdrawn, counted): (Vec<&IndexRow>, Vec<&IndexRow>) =
        rows.iter().partition(is_withdrawn);
    let summary = DecodeSummary {
        withdrawn: withdrawn.len(),
        shards: summary.shards,
        merged: summary.merged,
        up_to_date: summary.up_to_date,
        ..DecodeSummary::of(&counted)
    };
    summary.check_failures(config.max_failed)?;
    Ok(summary)
}

/// The rows of the index, where it was made from these label tables.
fn merged_before(out: &Path, labels: &Labels) -> Result<Option<Vec<IndexRow>>, ShardError> {
    let index = out.join(IndexRow::FILE);
    if !index.exists() {
        return Ok(None);
    }
    let made_from = parquet_file::provenance(&index, &IndexRow::FORMAT)?;
    let labelled = with_labels(Provenance::default(), labels)?;
    if made_from.inputs != labelled.inputs {
        return Ok(None);
    }
    Ok(Some(parquet_file::read(&index)?))
}

/// What a part has published.
struct Done {
    folder: PathBuf,
    rows: Vec<IndexRow>,
    made_from: Provenance,
}

/// The parts that are there, all of them or none. Nobody works at one of them.
fn read_parts(config: &MergeConfig) -> Result<Vec<Done>, DecodeError> {
    let place = parts_place(&config.out);
    let found = part::gather(place.folder(), config.parts)?;
    found
        .into_iter()
        .map(|part| read_part(config, part))
        .collect()
}

fn read_part(config: &MergeConfig, part: Part) -> Result<Done, DecodeError> {
    let folder = parts_place(&config.out).of(part);
    // A part that begins from now on sees the lock of the folder of shards.
    drop(Lock::folder(&folder, HOLDER, config.wait)?);
    let index = folder.join(IndexRow::FILE);
    if !index.exists() {
        return Err(PartsError::Unfinished { part }.into());
    }
    let read = || -> Result<_, ShardError> {
        let made_from = parquet_file::provenance(&index, &IndexRow::FORMAT)?;
        Ok((parquet_file::read(&index)?, made_from))
    };
    let (rows, made_from) = read()?;
    Ok(Done {
        folder,
        rows,
        made_from,
    })
}

/// All parts, which fit together.
struct Parts {
    done: Vec<Done>,
    /// The rows of all parts, in the order of the label tables.
    rows: Vec<IndexRow>,
    /// What the index of one run would be made from.
    made_from: Provenance,
    /// Whether the index is there already: a merge was stopped after that.
    is_published: bool,
}

impl Parts {
    /// Holds the parts against each other, the label tables and the folder of shards.
    fn new(config: &MergeConfig, labels: &Labels, parts: Vec<Done>) -> Result<Self, DecodeError> {
        let all = Part::all(config.parts).zip(parts.iter().map(|done| &done.made_from));
        let mut of_labels = part::alike(all)?
            .cloned()
            .ok_or_else(|| PartsError::NoParts {
                folder: parts_place(&config.out).folder().to_owned(),
                parts: config.parts,
            })?;
        let settings = Provenance {
            settings: of_labels.settings.clone(),
            ..Provenance::default()
        };
        let base = of_labels.inputs.remove(IndexRow::FILE);
        let made_from = with_labels(settings.clone(), labels)?;
        part::unchanged(&of_labels, &made_from)?;
        let rows = joined(&parts, labels, &settings)?;
        let index = config.out.join(IndexRow::FILE);
        let present = read_index(&config.out, Access::Read, &settings)?;
        let is_published = present
            .as_ref()
            .is_some_and(|(r, from)| *r == rows && *from == made_from);
        let hash = present
            .map(|_| hash_file(&index))
            .transpose()
            .map_err(ShardError::from)?;
        if !is_published && hash != base {
            let what = vec![IndexRow::FILE.to_owned()];
            return Err(PartsError::Changed { what }.into());
        }
        Ok(Self {
            done: parts,
            rows,
            made_from,
            is_published,
        })
    }

    /// Gives the shards their places, publishes the index and removes the parts; gives the number
    /// of shards.
    fn publish(&self, out: &Path) -> Result<usize, DecodeError> {
        let folders = || self.done.iter().map(|part| part.folder.as_path());
        check_shards(out, folders(), &self.rows)?;
        let settings = Provenance {
            inputs: BTreeMap::new(),
            ..self.made_from.clone()
        };
        // What a run removes before it decodes.
        let stored = Stored::read(out, None, &settings)?;
        check_shards(out, folders(), &self.rows)?;
        let mut shards = 0;
        for part in &self.done {
            let named: BTreeSet<&str> = part
                .rows
                .iter()
                .filter_map(|r| r.shard.as_deref())
                .collect();
            for name in named {
                let from = part.folder.join(name);
                if from.exists() && !self.is_published {
                    // What has this name already is of a killed run: no index names it.
                    artifact::rename(&from, &out.join(name)).map_err(ShardError::from)?;
                    shards += 1;
                }
            }
        }
        publish_index(out, &self.rows, &self.made_from, stored.index.as_ref())?;
        parts_place(out).set_aside().map_err(ShardError::from)?;
        Ok(shards)
    }
}

/// The rows of all parts in the order of the label tables, where each part has those of its clips
/// and no others.
fn joined(
    parts: &[Done],
    labels: &Labels,
    settings: &Provenance,
) -> Result<Vec<IndexRow>, PartsError> {
    let all: Vec<Part> = Part::all(u32::try_from(parts.len()).unwrap_or(u32::MAX)).collect();
    let unfinished = |number: usize| PartsError::Unfinished { part: all[number] };
    let clips_per_shard = settings
        .settings
        .get(CLIPS_PER_SHARD)
        .and_then(Value::as_u64);
    let clips_per_shard = clips_per_shard.and_then(|n| NonZeroU32::new(u32::try_from(n).ok()?));
    let ranges = Ranges::of(labels, clips_per_shard.ok_or_else(|| unfinished(0))?);
    let mut left: Vec<_> = parts.iter().map(|part| part.rows.iter()).collect();
    let mut rows = Vec::with_capacity(labels.len());
    for (split, label_row, label) in labels.iter() {
        let number = ranges.place(split, label_row) % parts.len();
        let clip_id = label.clip.to_string();
        let row = left[number]
            .next()
            .filter(|r| r.split == split && r.clip_id == clip_id);
        rows.push(row.ok_or_else(|| unfinished(number))?.clone());
    }
    match left.iter_mut().position(|rows| rows.next().is_some()) {
        Some(number) => Err(unfinished(number)),
        None => Ok(rows),
    }
}
