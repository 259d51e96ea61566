//! One linear head on features, trained by gradient with the run's optimizer, rates, batches and
//! dropout. There are no clips to select an epoch by: the last one's weights are kept.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use tch::{Kind, Tensor, no_grad};

use super::features::{Features, HeadClip};
use super::head::Head;
use crate::clip::Split;
use crate::random::stream;
use crate::train::TrainError;
use crate::train::optimizer::Optimizer;
use crate::train::settings::Settings;
use crate::unlearning::linear_head::{LinearHead, Shard};

/// A linear map `[C, d]` with its bias `[C]`.
pub(super) struct Linear {
    weight: Tensor,
    bias: Tensor,
}

/// What a training is keyed by, so that its streams are those of no other: a slice by its task.
#[derive(Clone, Copy, Debug)]
pub(super) struct Key {
    pub(super) shard: usize,
    pub(super) slice: usize,
}

impl Linear {
    /// A new head: uniform within 1 / sqrt(d), as that of the network.
    pub(super) fn new(seed: u64, shard: usize, width: usize, classes: usize) -> Self {
        let mut rng = stream(seed, "feature head", &[shard as u64]);
        let bound = 1.0 / (width.max(1) as f64).sqrt();
        let mut draw = |count: usize| -> Vec<f32> {
            #[allow(clippy::cast_possible_truncation)] // Weights are 32-bit floats.
            let value = |_| ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32;
            (0..count).map(value).collect()
        };
        let shape = [classes, width].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
        Self {
            weight: Tensor::from_slice(&draw(classes * width)).reshape(shape),
            bias: Tensor::from_slice(&draw(classes)),
        }
    }

    /// A copy with a history of its own.
    pub(super) fn copy(&self) -> Self {
        Self {
            weight: self.weight.detach().copy(),
            bias: self.bias.detach().copy(),
        }
    }

    /// Trains on `clips` for the epochs of `settings` at `rate`.
    ///
    /// # Errors
    /// When the loss is no number at the end.
    pub(super) fn train(
        &mut self,
        settings: &Settings,
        rate: f64,
        key: Key,
        clips: &[&HeadClip],
    ) -> Result<(), TrainError> {
        if clips.is_empty() {
            return Ok(());
        }
        let (features, labels) = tensors(clips);
        for tensor in [&self.weight, &self.bias] {
            let _ = tensor.set_requires_grad(true);
        }
        let parameters = vec![self.weight.shallow_clone(), self.bias.shallow_clone()];
        let mut optimizer =
            Optimizer::new(settings.optimizer, settings.weight_decay, vec![parameters]);
        let every = settings.accumulation.max(1) as usize;
        for epoch in 0..settings.epochs {
            let keys = [key.shard as u64, key.slice as u64, u64::from(epoch)];
            let seed = stream(settings.seed, "feature head dropout", &keys).next_u64();
            tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
            let mut order: Vec<i64> = (0..labels.size()[0]).collect();
            order.shuffle(&mut stream(settings.seed, "feature head order", &keys));
            let batches: Vec<&[i64]> = order.chunks(settings.batch_size).collect();
            optimizer.zero_grad();
            for batches in batches.chunks(every) {
                for batch in batches {
                    let places = Tensor::from_slice(batch);
                    let input = features.index_select(0, &places);
                    let input = input.dropout(settings.dropout, true);
                    let logits = input.linear(&self.weight, Some(&self.bias));
                    let labels = labels.index_select(0, &places);
                    settings.criterion.loss(&logits, &labels).backward();
                }
                optimizer.step(&[rate]);
                optimizer.zero_grad();
            }
        }
        for tensor in [&self.weight, &self.bias] {
            let _ = tensor.set_requires_grad(false);
        }
        let finite = no_grad(|| self.weight.isfinite().all().int64_value(&[]) == 1);
        finite.then_some(()).ok_or(TrainError::Setting {
            flag: "--lr-first-task-head, --lr-head",
            why: format!("{rate} makes the head's weights leave the numbers"),
        })
    }

    /// The head as plain numbers; it judges the classes that it `holds`.
    ///
    /// # Errors
    /// When libtorch does not hand them over.
    pub(super) fn shard(&self, holds: Vec<bool>) -> Result<Shard, TrainError> {
        let numbers = |tensor: &Tensor| -> Result<Vec<f64>, TrainError> {
            let tensor = tensor.to_kind(Kind::Double).contiguous().reshape([-1]);
            Ok(Vec::<f64>::try_from(tensor)?)
        };
        Ok(Shard {
            weight: numbers(&self.weight.tr())?,
            bias: numbers(&self.bias)?,
            holds,
        })
    }
}

/// Features `[N, d]` and labels `[N]`.
fn tensors(clips: &[&HeadClip]) -> (Tensor, Tensor) {
    #[allow(clippy::cast_possible_truncation)] // They were 32-bit floats.
    let features: Vec<f32> = clips
        .iter()
        .flat_map(|clip| clip.feature.iter().map(|f| *f as f32))
        .collect();
    let labels = clips.iter().map(|clip| clip.class);
    let labels: Vec<i64> = labels
        .map(|class| i64::try_from(class).unwrap_or(i64::MAX))
        .collect();
    let count = i64::try_from(clips.len()).unwrap_or(i64::MAX);
    (
        Tensor::from_slice(&features).reshape([count, -1]),
        Tensor::from_slice(&labels),
    )
}

/// A head that is trained on from task to task, whatever leaves: the fast stand-in for finetuning
/// behind a frozen backbone. It is not the seed's feature extraction, whose backbone learns in task
/// 0.
pub(super) struct HeadFinetune<'a> {
    settings: &'a Settings,
    features: &'a Features,
    head: Linear,
}

impl<'a> HeadFinetune<'a> {
    pub(super) fn new(settings: &'a Settings, features: &'a Features) -> Self {
        Self {
            head: Linear::new(settings.seed, 0, features.width(), features.classes()),
            settings,
            features,
        }
    }
}

impl Head for HeadFinetune<'_> {
    fn advance(&mut self, stage: usize) -> Result<LinearHead, TrainError> {
        let (width, classes) = (self.features.width(), self.features.classes());
        let mut recipe = stage;
        if self.settings.from_scratch {
            self.head = Linear::new(self.settings.seed, 0, width, classes);
            recipe = 0;
        }
        let (_, rate) = self.settings.rates(recipe);
        let clips: Vec<&HeadClip> = self.features.list(stage, Split::Train).iter().collect();
        let key = Key {
            shard: 0,
            slice: self.features.tasks()[stage],
        };
        self.head.train(self.settings, rate, key, &clips)?;
        Ok(LinearHead {
            projection: None,
            shards: vec![self.head.shard(vec![true; classes])?],
        })
    }
}
