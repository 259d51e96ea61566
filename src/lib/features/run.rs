//! The stage itself: what is kept, what is computed, what is dropped.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;

use super::backbone::Backbone;
use super::{FeaturesConfig, FeaturesError, Transform};
use crate::artifact::{self, hash_file};
use crate::clip::Split;
use crate::data::{Batches, Dataset, MAX_WORKERS, Normaliser, Sample, StreamKeys};
use crate::lock::Lock;
use crate::parquet_file::{self, Provenance};
use crate::progress::{Progress, Unit};
use crate::shard::{IndexRow, ShardSource, Shards};
use crate::tables::{CHECKPOINT, FEATURES, FeatureRow, read_features, write_features};
use crate::withdrawn::{WITHDRAWN_FILE, Withdrawn};

/// Who holds the lock, for messages.
const HOLDER: &str = "incdec-features";
/// Clips after which the table is published as far as it is: what a kill can cost.
const PUBLISH_EVERY: usize = 4096;

/// What the stage came to.
#[derive(Clone, Debug, Serialize)]
pub struct FeaturesSummary {
    /// The table.
    pub table: PathBuf,
    /// Numbers of a feature.
    pub width: usize,
    /// Clips whose features were computed.
    pub computed: usize,
    /// Clips whose features were there.
    pub kept: usize,
    /// Rows of clips that are no longer stored as they were, which were dropped.
    pub dropped: usize,
    /// Clips a second while computing; none where nothing was computed. No two runs agree on it.
    pub clips_per_second: Option<f64>,
}

impl fmt::Display for FeaturesSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} clips of {} features: {} computed, {} kept, {} dropped",
            self.table.display(),
            self.computed + self.kept,
            self.width,
            self.computed,
            self.kept,
            self.dropped
        )?;
        match self.clips_per_second {
            Some(rate) => write!(f, "; {rate:.1} clips/s"),
            None => Ok(()),
        }
    }
}

/// Brings the feature table of `config` up to date. It holds all features in memory, 8 kB a clip
/// of A0. A table that is up to date is left as it is.
///
/// # Errors
/// When checkpoint, shards or table cannot be read or written, or a clip cannot be loaded.
pub fn run(config: &FeaturesConfig) -> Result<FeaturesSummary, FeaturesError> {
    check(config)?;
    let folder = artifact::parent(&config.out);
    let _lock = Lock::folder(folder, HOLDER, config.wait)?;
    artifact::sweep(folder)?;
    let transform = Transform::of(&config.checkpoint, config.transform)?;
    let mut provenance = Provenance::of(&transform);
    provenance
        .inputs
        .insert(CHECKPOINT.to_owned(), hash_file(&config.checkpoint)?);
    let shards = Arc::new(Shards::at(&config.shards)?);
    if let Some(list) = &config.withdrawn {
        refuse_withdrawn(list, &config.shards, &shards)?;
        provenance
            .inputs
            .insert(WITHDRAWN_FILE.to_owned(), hash_file(list)?);
    }
    let clips = Clips::stored(&shards);
    if clips.wanted.is_empty() {
        return Err(FeaturesError::NoClip {
            shards: config.shards.shown(),
        });
    }
    let (mut table, there) = Table::open(&config.out, provenance, &clips)?;
    let kept = table.rows.len();
    let lacking = clips.without(&table);
    let begun = Instant::now();
    if !lacking.is_empty() {
        compute(config, &transform, &shards, &clips, &lacking, &mut table)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let dropped = there - kept;
    if !lacking.is_empty() || dropped > 0 || table.is_renewed {
        table.publish(&config.out, &clips)?;
    }
    Ok(FeaturesSummary {
        table: config.out.clone(),
        width: table.rows.values().next().map_or(0, |r| r.feature.len()),
        computed: lacking.len(),
        kept,
        dropped,
        clips_per_second: (!lacking.is_empty()).then(|| lacking.len() as f64 / seconds),
    })
}

/// Refuses shards that hold the frames of a clip of the `list` of withdrawn clips.
///
/// # Errors
/// [`FeaturesError::WithdrawnStored`], and when the list or the shards cannot be read.
pub fn refuse_withdrawn(
    list: &Path,
    source: &ShardSource,
    shards: &Shards,
) -> Result<(), FeaturesError> {
    let held = shards.held_of(&Withdrawn::read(list)?)?;
    if held.is_empty() {
        return Ok(());
    }
    Err(FeaturesError::WithdrawnStored {
        shards: source.shown(),
        clips: held.len(),
    })
}

fn check(config: &FeaturesConfig) -> Result<(), FeaturesError> {
    if config.workers > MAX_WORKERS {
        let why = format!("{}, at most {MAX_WORKERS}", config.workers);
        return Err(FeaturesError::Setting {
            flag: "--workers",
            why,
        });
    }
    if let Some(threads) = config.threads {
        tch::set_num_threads(i32::from(threads));
    }
    Ok(())
}

/// Computes the features of the clips `lacking`, and publishes them in between.
fn compute(
    config: &FeaturesConfig,
    transform: &Transform,
    shards: &Arc<Shards>,
    clips: &Clips,
    lacking: &[usize],
    table: &mut Table,
) -> Result<(), FeaturesError> {
    let device = config.device.find_for(transform.precision)?;
    let backbone = Backbone::load(&config.checkpoint, transform, device)?;
    let loader = transform.one_by_one(config.workers, device);
    loader.check()?;
    let samples = lacking.iter().map(|&i| clips.wanted[i].1.clone()).collect();
    let list = Arc::new(Dataset::new(Arc::clone(shards), samples));
    let order = (0..list.len()).collect();
    let mut normaliser = Normaliser::default();
    let total = Some(lacking.len() as u64);
    let progress = Progress::new("features", total, Unit::Count("clips"));
    let mut unpublished = 0;
    for batch in Batches::start(&list, order, StreamKeys::default(), &loader, 0) {
        let batch = batch?;
        let input = normaliser.apply(&batch.clips, device);
        for &place in &batch.samples {
            let row = clips.row(lacking[place], backbone.features(&input)?)?;
            table.rows.insert((row.clip_id.clone(), row.split), row);
            unpublished += 1;
            progress.inc(1);
        }
        normaliser.recycle(input);
        if unpublished >= PUBLISH_EVERY {
            table.publish(&config.out, clips)?;
            unpublished = 0;
        }
    }
    progress.finish();
    Ok(())
}

/// The clips that have frames, in the index's order, each with the hash of its stored bytes.
struct Clips {
    wanted: Vec<(String, Sample, Split)>,
}

impl Clips {
    fn stored(shards: &Shards) -> Self {
        let usable = |row: &&IndexRow| row.status.is_usable();
        let wanted = shards.index().iter().filter(usable).filter_map(|row| {
            let sample = Sample {
                clip_id: row.clip_id.clone(),
                position: 0,
                label: 0,
                subcategory: String::new(),
                shard: row.shard.clone()?,
                shard_row: row.shard_row?,
            };
            Some((row.content.clone()?, sample, row.split))
        });
        Self {
            wanted: wanted.collect(),
        }
    }

    /// The places of clips that `table` lacks.
    fn without(&self, table: &Table) -> Vec<usize> {
        let lacks = |i: &usize| {
            let (_, sample, split) = &self.wanted[*i];
            !table.rows.contains_key(&(sample.clip_id.clone(), *split))
        };
        (0..self.wanted.len()).filter(lacks).collect()
    }

    fn row(&self, place: usize, feature: Vec<f32>) -> Result<FeatureRow, FeaturesError> {
        let (content, sample, split) = &self.wanted[place];
        if feature.iter().any(|f| !f.is_finite()) {
            return Err(FeaturesError::NotFinite {
                clip: sample.clip_id.clone(),
            });
        }
        Ok(FeatureRow {
            clip_id: sample.clip_id.clone(),
            split: *split,
            content: content.clone(),
            feature,
        })
    }
}

/// The table in memory.
struct Table {
    provenance: Provenance,
    /// Whether the file says that it comes from something else, such as another list of withdrawn clips.
    is_renewed: bool,
    rows: HashMap<(String, Split), FeatureRow>,
}

impl Table {
    /// What the table at `path` holds of `clips` under this provenance, and how many rows it had.
    /// A table of another checkpoint or transform has nothing to keep.
    fn open(
        path: &Path,
        provenance: Provenance,
        clips: &Clips,
    ) -> Result<(Self, usize), FeaturesError> {
        let mut rows = HashMap::new();
        if !path.exists() {
            let is_renewed = true;
            return Ok((
                Self {
                    provenance,
                    is_renewed,
                    rows,
                },
                0,
            ));
        }
        let theirs = parquet_file::provenance(path, &FEATURES)?;
        let (_, found) = read_features(path)?;
        let there = found.len();
        // The list says which clips there are, and changes no feature.
        let but_list = |provenance: &Provenance| {
            let mut inputs = provenance.inputs.clone();
            inputs.remove(WITHDRAWN_FILE);
            inputs
        };
        if theirs.settings == provenance.settings && but_list(&theirs) == but_list(&provenance) {
            let wanted: HashMap<(&str, Split), &str> = clips
                .wanted
                .iter()
                .map(|(content, sample, split)| ((&sample.clip_id[..], *split), &content[..]))
                .collect();
            let current = |row: &FeatureRow| {
                wanted.get(&(&row.clip_id[..], row.split)) == Some(&&row.content[..])
            };
            let kept = found.into_iter().filter(current);
            rows.extend(kept.map(|row| ((row.clip_id.clone(), row.split), row)));
        } else {
            tracing::info!(
                "{}: it holds features of another checkpoint or transform and is replaced",
                path.display()
            );
        }
        let is_renewed = theirs.inputs != provenance.inputs;
        Ok((
            Self {
                provenance,
                is_renewed,
                rows,
            },
            there,
        ))
    }

    /// Publishes the rows that there are, in the order of `clips`.
    fn publish(&self, path: &Path, clips: &Clips) -> Result<(), FeaturesError> {
        let wanted = clips.wanted.iter();
        let rows: Vec<&FeatureRow> = wanted
            .filter_map(|(_, sample, split)| self.rows.get(&(sample.clip_id.clone(), *split)))
            .collect();
        Ok(write_features(path, &rows, &self.provenance)?)
    }
}
