//! What models say of clips: a feature table for every checkpoint, and its head in 64-bit floats.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use rand::Rng;
use tch::{Device, Kind, Tensor};

use super::AuditConfig;
use super::AuditStageError;
use super::relearned::Relearned;
use super::runs::AuditedRun;
use super::sets::{ClipSet, Sets};
use crate::artifact::hash_file;
use crate::audit::AuditError;
use crate::audit::relearn::RelearnTime;
use crate::clip::Split;
use crate::features::{self, FeaturesConfig};
use crate::model::checkpoint::{self, HEAD_PREFIX, header};
use crate::model::state_dict::{self, StateDict};
use crate::random::stream;
use crate::tables::read_features;
use crate::train::Settings;
use crate::train::learner::{Learner, movinet};
use crate::train::settings::ApproachName;
use crate::unlearning::exact_head::{Expansion, PROJECTION_WIDTH};
use crate::unlearning::linear_head::{LinearHead, Shard};

/// The folder of feature tables within that of the audit.
const FEATURES_FOLDER: &str = "features";
/// Digits of a checkpoint's hash in the name of its feature table.
const DIGITS: usize = 32;

/// A model: what its backbone makes of every stored clip, and its head.
pub(super) struct Model {
    path: PathBuf,
    features: Rc<HashMap<(Split, String), Vec<f64>>>,
    head: LinearHead,
    width: usize,
}

/// Values for the clips of a set, row-major.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Matrix {
    pub(super) values: Vec<f64>,
    pub(super) count: usize,
    pub(super) width: usize,
}

impl Matrix {
    /// The rows, as the measures take them.
    pub(super) fn rows(&self) -> Result<super::super::Rows<'_>, AuditError> {
        super::super::Rows::new(&self.values, self.count, self.width)
    }
}

impl Model {
    /// The features of a set's clips, `[N, d]`.
    ///
    /// # Errors
    /// When a clip has none.
    pub(super) fn features(&self, set: &ClipSet) -> Result<Matrix, AuditStageError> {
        let mut values = Vec::with_capacity(set.clips.len() * self.width);
        for clip in &set.clips {
            values.extend_from_slice(self.feature(set, &clip.id)?);
        }
        Ok(Matrix {
            values,
            count: set.clips.len(),
            width: self.width,
        })
    }

    /// The file of its weights.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// What enters a head of the model's kind, `[N, M]`: features with a 1 behind each, or projected.
    ///
    /// # Errors
    /// When a clip has no features.
    pub(super) fn expanded(&self, set: &ClipSet) -> Result<Matrix, AuditStageError> {
        let plain = Expansion::Ridge { width: self.width };
        let expansion = self.head.projection.as_ref().unwrap_or(&plain);
        let mut values = Vec::new();
        for clip in &set.clips {
            values.extend(expansion.expand(self.feature(set, &clip.id)?));
        }
        Ok(Matrix {
            values,
            count: set.clips.len(),
            width: expansion.expanded_width(),
        })
    }

    /// The logits of a set's clips, `[N, C]`.
    ///
    /// # Errors
    /// When a clip has no features.
    pub(super) fn logits(&self, set: &ClipSet) -> Result<Matrix, AuditStageError> {
        let mut values = Vec::new();
        for clip in &set.clips {
            values.extend(self.head.logits(self.feature(set, &clip.id)?));
        }
        let width = self.head.shards.first().map_or(0, |shard| shard.bias.len());
        Ok(Matrix {
            values,
            count: set.clips.len(),
            width,
        })
    }

    fn feature(&self, set: &ClipSet, id: &str) -> Result<&[f64], AuditStageError> {
        let feature = self.features.get(&(set.split, id.to_owned()));
        let feature = feature.ok_or_else(|| AuditStageError::NoClip {
            model: self.path.clone(),
            clip: id.to_owned(),
            what: set.name,
        })?;
        Ok(feature)
    }

    /// The weights by name, flat, with running statistics.
    ///
    /// # Errors
    /// When they cannot be read.
    pub(super) fn weights(&self) -> Result<BTreeMap<String, Vec<f64>>, AuditStageError> {
        let tensors = state_dict::read(&self.path)?.tensors;
        let kept = tensors.iter().filter(|(name, _)| counts(name));
        kept.map(|(name, tensor)| Ok((name.clone(), numbers(tensor)?)))
            .collect()
    }
}

/// Whether a tensor is compared: counters of batches are no weights.
fn counts(name: &str) -> bool {
    !name.ends_with("num_batches_tracked")
}

fn numbers(tensor: &Tensor) -> Result<Vec<f64>, AuditStageError> {
    let flat = tensor.to_kind(Kind::Double).contiguous().reshape([-1]);
    Ok(Vec::<f64>::try_from(flat)?)
}

/// Loads models; the last ones are kept, because a reference serves many runs.
pub(super) struct Models<'a> {
    config: &'a AuditConfig,
    /// Feature tables of heads, by hash.
    tables: BTreeMap<String, PathBuf>,
    kept: Vec<(PathBuf, Rc<Model>)>,
    /// How long weights took to learn again what left.
    relearned: Relearned,
}

/// Models kept in memory: one that is judged, the one before it, and two references of two seeds.
const KEPT: usize = 6;

impl<'a> Models<'a> {
    /// A loader for the runs of `config`.
    ///
    /// # Errors
    /// When a feature table cannot be read.
    pub(super) fn new(config: &'a AuditConfig) -> Result<Self, AuditStageError> {
        let tables = config.features.iter();
        let tables = tables.map(|path| Ok((hash_file(path)?, path.clone())));
        Ok(Self {
            config,
            tables: tables.collect::<Result<_, AuditStageError>>()?,
            kept: Vec::new(),
            relearned: Relearned::default(),
        })
    }

    /// How long `weights` take to learn again what `task` withdrew from `run`, as [`Relearned::times`]
    /// has it.
    ///
    /// # Errors
    /// As there.
    pub(super) fn relearned(
        &mut self,
        run: &AuditedRun,
        (task, sets): (usize, &Sets),
        known: &Path,
        weights: &[&Path],
    ) -> Result<Vec<RelearnTime>, AuditStageError> {
        let forget: Vec<&str> = sets.forget.clips.iter().map(|clip| &clip.id[..]).collect();
        self.relearned
            .times(self.config, run, (task, &forget), known, weights)
    }

    /// The model of `run` in the checkpoint at `path`.
    ///
    /// # Errors
    /// When weights or features cannot be had.
    pub(super) fn load(
        &mut self,
        run: &AuditedRun,
        path: &Path,
    ) -> Result<Rc<Model>, AuditStageError> {
        if let Some((_, model)) = self.kept.iter().find(|(kept, _)| kept == path) {
            return Ok(Rc::clone(model));
        }
        let (features, width) = self.features(run, path)?;
        let tensors = state_dict::read(path)?.tensors;
        let head = if run.settings.approach.is_on_features() {
            stored_head(run, &tensors, width)?
        } else {
            network_head(&tensors)?
        };
        let fits = |head: &LinearHead| {
            let inner = head
                .projection
                .as_ref()
                .map_or(width, Expansion::expanded_width);
            let shards = head.shards.iter();
            !head.shards.is_empty()
                && shards
                    .clone()
                    .all(|s| s.weight.len() == inner * s.bias.len())
        };
        let head = head.filter(fits).ok_or_else(|| AuditStageError::NoHead {
            path: path.to_owned(),
            width,
        })?;
        let model = Rc::new(Model {
            path: path.to_owned(),
            features,
            head,
            width,
        });
        if self.kept.len() >= KEPT {
            self.kept.remove(0);
        }
        self.kept.push((path.to_owned(), Rc::clone(&model)));
        Ok(model)
    }

    /// A network of the run's shape with new weights, which knows nothing; none for a head on
    /// features.
    ///
    /// # Errors
    /// When weights or features cannot be had.
    pub(super) fn untrained(
        &mut self,
        run: &AuditedRun,
    ) -> Result<Option<Rc<Model>>, AuditStageError> {
        if run.settings.approach.is_on_features() {
            return Ok(None);
        }
        let seed = stream(self.config.seed, "untrained", &[]).next_u64();
        let settings = Settings {
            seed,
            ..run.settings.without_unlearning()
        };
        // Settings are plain values, which always become JSON.
        let text = serde_json::to_string(&settings).unwrap_or_default();
        let name = blake3::hash(text.as_bytes()).to_hex();
        let name = format!("untrained-{}.safetensors", &name[..DIGITS]);
        let path = self.config.out.join(FEATURES_FOLDER).join(name);
        if !path.exists() {
            let network = movinet(settings.model(run.taxonomy.classes(), seed));
            let learner = Learner::new(network, Device::Cpu, settings.criterion);
            let metadata = BTreeMap::from([(header::SETTINGS.to_owned(), text)]);
            checkpoint::save(&path, learner.store(), &metadata)?;
        }
        self.load(run, &path).map(Some)
    }

    /// The features that the model's head is applied to, and their width.
    #[allow(clippy::type_complexity)] // A map behind a shared pointer, and a number.
    fn features(
        &self,
        run: &AuditedRun,
        path: &Path,
    ) -> Result<(Rc<HashMap<(Split, String), Vec<f64>>>, usize), AuditStageError> {
        let table = if let Some(hash) = &run.features {
            let table = self.tables.get(hash);
            table.cloned().ok_or_else(|| AuditStageError::NoFeatures {
                run: run.name.clone(),
            })?
        } else {
            let name = format!("{}.parquet", &hash_file(path)?[..DIGITS]);
            let table = self.config.out.join(FEATURES_FOLDER).join(name);
            features::run(&FeaturesConfig {
                withdrawn: self.config.withdrawn.clone(),
                device: self.config.device,
                workers: self.config.workers,
                threads: self.config.threads,
                wait: self.config.wait,
                ..FeaturesConfig::new(path.to_owned(), self.config.shards.clone(), table.clone())
            })?;
            table
        };
        let (_, rows) = read_features(&table)?;
        let width = rows.first().map_or(0, |row| row.feature.len());
        let wide = |feature: Vec<f32>| feature.into_iter().map(f64::from).collect();
        let rows = rows.into_iter();
        let features = rows.map(|row| ((row.split, row.clip_id), wide(row.feature)));
        Ok((Rc::new(features.collect()), width))
    }
}

/// The head of a network: a linear map of its features.
fn network_head(tensors: &StateDict) -> Result<Option<LinearHead>, AuditStageError> {
    let of_head = |end: &str| {
        tensors
            .iter()
            .find(|(name, _)| name.starts_with(HEAD_PREFIX) && name.ends_with(end))
    };
    let (Some((_, weight)), Some((_, bias))) = (of_head(".weight"), of_head(".bias")) else {
        return Ok(None);
    };
    // [C, d, 1, 1, 1] becomes [d, C].
    let weight = weight.flatten(1, -1).tr();
    let bias = numbers(bias)?;
    Ok(Some(LinearHead {
        projection: None,
        shards: vec![Shard {
            weight: numbers(&weight)?,
            holds: vec![true; bias.len()],
            bias,
        }],
    }))
}

/// The head that a run on features stored.
fn stored_head(
    run: &AuditedRun,
    tensors: &StateDict,
    width: usize,
) -> Result<Option<LinearHead>, AuditStageError> {
    let names = ["heads.weight", "heads.bias", "heads.holds"];
    let [Some(weight), Some(bias), Some(holds)] = names.map(|name| tensors.get(name)) else {
        return Ok(None);
    };
    if weight.dim() != 3 || bias.dim() != 2 || holds.size() != bias.size() {
        return Ok(None);
    }
    let shard = |shard: i64| -> Result<Shard, AuditStageError> {
        Ok(Shard {
            weight: numbers(&weight.get(shard))?,
            bias: numbers(&bias.get(shard))?,
            holds: numbers(&holds.get(shard))?
                .iter()
                .map(|h| *h > 0.0)
                .collect(),
        })
    };
    let shards = (0..weight.size()[0].min(bias.size()[0])).map(shard);
    let is_projected = run.settings.approach == ApproachName::Ranpac;
    Ok(Some(LinearHead {
        projection: is_projected
            .then(|| Expansion::random(run.settings.seed, width, PROJECTION_WIDTH)),
        shards: shards.collect::<Result<_, _>>()?,
    }))
}
