//! Batches for the loop: in which order, augmented how, moved to the device, timed.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;

use tch::{Device, Kind};

use super::TrainError;
use super::approach::{DeviceBatch, Replay};
use super::error::share;
use super::profile::{Clock, Phase};
use super::settings::{SamplerName, Settings, TrainConfig};
use super::task_sequence::Task;
use super::trouble;
use crate::data::{
    Augment, Batch, Batches, DataError, Dataset, Deal, HostMemory, LoaderConfig, Normaliser,
    StreamKeys, sampler,
};

/// The epoch under which the training loader draws for a Fisher information, apart from every real
/// one.
const FISHER_EPOCH: u64 = u32::MAX as u64;

/// A batch that was loaded, and which clips of the list it holds.
pub(super) struct FedBatch {
    /// The clips on the device; nothing where none of them could be read.
    pub(super) device: Option<DeviceBatch>,
    /// Its place among the pass's batches, from 0, those counted of which no clip could be read.
    pub(super) number: usize,
    pub(super) samples: Vec<usize>,
    /// Clips that belong here and could not be read.
    pub(super) skipped: Vec<usize>,
}

/// An epoch of training.
pub(super) struct Epoch<'a> {
    pub(super) task: usize,
    /// The lists of the task.
    pub(super) lists: &'a Task,
    /// What is trained on instead of its training list.
    pub(super) replay: Option<&'a Replay>,
    /// Its number within the task.
    pub(super) number: u64,
}

/// Clips in the order in which they are loaded, and how.
struct Ordered {
    list: Arc<Dataset>,
    order: Vec<usize>,
    keys: StreamKeys,
    config: LoaderConfig,
}

/// Batches of one list, in order, from any of them on: of all of them, those that are dealt to this rank.
pub(super) struct Pass {
    batches: Batches,
    /// The number of the batch behind the last.
    end: usize,
}

impl Pass {
    fn new(batches: Batches) -> Self {
        let end = batches.batches();
        Self { batches, end }
    }

    /// Batches of the whole pass, those of other ranks included.
    pub(super) fn batches(&self) -> usize {
        self.end
    }

    /// The next batch with its number, if it comes before number `end`.
    fn next_before(&mut self, end: usize) -> Option<(usize, Result<Batch, DataError>)> {
        let number = self.batches.position();
        if number >= end {
            return None;
        }
        self.batches.next().map(|batch| (number, batch))
    }
}

/// Opens loaders and takes batches from them.
pub(super) struct Feed {
    settings: Settings,
    loader: LoaderConfig,
    /// Which batches are this rank's.
    deal: Deal,
    device: Device,
    normaliser: Normaliser,
    pub(super) clock: Clock,
    /// Clips whose frames could not be read, by id.
    pub(super) skipped: BTreeSet<String>,
    /// The share of a list's clips that may be among them.
    max_bad: f64,
}

impl Feed {
    /// A feed of the batches that `deal` names, for `device`; `skipped` are the clips that could not be read in tasks before.
    pub(super) fn new(
        config: &TrainConfig,
        deal: Deal,
        device: Device,
        skipped: &[String],
    ) -> Self {
        let settings = config.settings.clone();
        let loader = LoaderConfig {
            batch_size: settings.batch_size,
            frames: settings.frames,
            resize: settings.resize as usize,
            crop: settings.size as usize,
            workers: config.workers,
            on_bad_clip: config.on_bad_clip,
            memory: if device == Device::Cpu {
                HostMemory::Pageable
            } else {
                HostMemory::Pinned
            },
            seed: settings.seed,
            ..LoaderConfig::default()
        };
        Self {
            settings,
            loader,
            deal,
            device,
            normaliser: Normaliser::default(),
            clock: Clock::new(device, config.profile),
            skipped: skipped.iter().cloned().collect(),
            max_bad: config.max_bad,
        }
    }

    /// The training batches of an epoch from number `first` on.
    pub(super) fn training(&self, epoch: &Epoch<'_>, first: usize) -> Result<Pass, TrainError> {
        self.start(self.drawn(epoch)?, first)
    }

    /// Every clip of a list once, in its order, unaugmented, from batch `first` on.
    pub(super) fn in_order(&self, list: &Arc<Dataset>, first: usize) -> Result<Pass, TrainError> {
        self.start(self.listed(list), first)
    }

    /// Says that behind the pass under way the clips of `list` come in their order, so that what they begin with can be fetched
    /// before.
    pub(super) fn list_follows(&self, list: &Arc<Dataset>) {
        self.follow(&self.listed(list));
    }

    /// Says that behind what is known to come another training epoch does.
    pub(super) fn epoch_follows(&self, epoch: &Epoch<'_>) -> Result<(), TrainError> {
        self.follow(&self.drawn(epoch)?);
        Ok(())
    }

    fn follow(&self, next: &Ordered) {
        Batches::follow(&next.list, &next.order, &next.config, self.deal);
    }

    /// The clips of a training epoch: drawn by the sampler or, where clips are replayed, mixed; augmented.
    fn drawn(&self, epoch: &Epoch<'_>) -> Result<Ordered, TrainError> {
        let seed = self.settings.seed;
        let keys = StreamKeys {
            task: epoch.task as u64,
            epoch: epoch.number,
        };
        let mut config = LoaderConfig {
            augment: self.augment(),
            ..self.loader
        };
        if let Some(replay) = epoch.replay {
            config.batch_size = replay.mix.batch_size(self.batch_size());
            return Ok(Ordered {
                list: Arc::clone(&replay.list),
                order: replay.mix.order(self.batch_size(), seed, keys),
                keys,
                config,
            });
        }
        let list = &epoch.lists.train;
        let order = match self.settings.sampler {
            SamplerName::Balanced => sampler::balanced(list.len(), seed, keys),
            SamplerName::Imbalanced => {
                let labels: Vec<i64> = list.samples().iter().map(|s| s.label).collect();
                sampler::imbalanced(&labels, &epoch.lists.class_counts, seed, keys)?
            }
        };
        Ok(Ordered {
            list: Arc::clone(list),
            order,
            keys,
            config,
        })
    }

    fn listed(&self, list: &Arc<Dataset>) -> Ordered {
        Ordered {
            list: Arc::clone(list),
            order: (0..list.len()).collect(),
            keys: StreamKeys::default(),
            config: LoaderConfig {
                augment: Augment::None,
                ..self.loader
            },
        }
    }

    /// The clips of a list in `order`, augmented or as they are evaluated, in batches of at most `most`; all of them on every
    /// rank.
    pub(super) fn ordered(
        &self,
        list: &Arc<Dataset>,
        order: Vec<usize>,
        augmented_by: Option<StreamKeys>,
        most: Option<usize>,
    ) -> Pass {
        let config = LoaderConfig {
            augment: augmented_by.map_or(Augment::None, |_| self.augment()),
            batch_size: self.batch_size().min(most.unwrap_or(usize::MAX)).max(1),
            ..self.loader
        };
        let keys = augmented_by.unwrap_or_default();
        Pass::new(Batches::start(list, order, keys, &config, 0))
    }

    /// Clips of a batch.
    pub(super) fn batch_size(&self) -> usize {
        self.settings.batch_size
    }

    fn augment(&self) -> Augment {
        if self.settings.compat.augment_per_frame {
            Augment::PerFrame
        } else {
            Augment::PerClip
        }
    }

    /// The batches that a Fisher information is estimated over, from number `first` on: whole ones
    /// only, unless there is none.
    pub(super) fn fisher(
        &self,
        task: usize,
        lists: &Task,
        first: usize,
    ) -> Result<Pass, TrainError> {
        let mut pass = if self.settings.compat.fisher_over_training_loader {
            let epoch = Epoch {
                task,
                lists,
                replay: None,
                number: FISHER_EPOCH,
            };
            self.training(&epoch, first)?
        } else {
            self.in_order(&lists.train, first)?
        };
        let whole = lists.train.len() / self.settings.batch_size;
        pass.end = pass.end.min(whole.max(1));
        Ok(pass)
    }

    fn start(&self, ordered: Ordered, first: usize) -> Result<Pass, TrainError> {
        let Ordered {
            list,
            order,
            keys,
            config,
        } = ordered;
        config.check()?;
        let batches = Batches::dealt(&list, order, keys, &config, first, self.deal);
        Ok(Pass::new(batches))
    }

    /// The next batch of clips of `list` before number `end`, on the device, its waiting and moving timed.
    pub(super) fn next(
        &mut self,
        list: &Dataset,
        pass: &mut Pass,
        end: usize,
    ) -> Result<Option<FedBatch>, TrainError> {
        let loaded = self.clock.time(Phase::Waiting, || pass.next_before(end));
        let Some((number, batch)) = loaded else {
            return Ok(None);
        };
        let batch = batch.map_err(|error| trouble::explained_shard(list, error))?;
        let (device, normaliser) = (self.device, &mut self.normaliser);
        let fed = || fed(number, batch, device, normaliser);
        Ok(Some(self.clock.time(Phase::Transfer, fed)))
    }

    /// The same inside a phase that is timed as a whole.
    pub(super) fn next_untimed(
        &mut self,
        list: &Dataset,
        pass: &mut Pass,
        end: usize,
    ) -> Result<Option<FedBatch>, TrainError> {
        let Some((number, batch)) = pass.next_before(end) else {
            return Ok(None);
        };
        let batch = batch.map_err(|error| trouble::explained_shard(list, error))?;
        Ok(Some(fed(number, batch, self.device, &mut self.normaliser)))
    }

    /// The next batch of a pass that every rank goes through, with the places of its clips. One of which no clip could be read
    /// is passed over.
    pub(super) fn next_readable(
        &mut self,
        list: &Dataset,
        pass: &mut Pass,
    ) -> Result<Option<(DeviceBatch, Vec<usize>)>, TrainError> {
        while let Some(batch) = self.next_untimed(list, pass, pass.batches())? {
            self.note_skipped(list, &batch.skipped)?;
            if let Some(device) = batch.device {
                return Ok(Some((device, batch.samples)));
            }
        }
        Ok(None)
    }

    /// Takes back a batch that nobody looks at any more, the graph of its loss included: the next
    /// one is written there.
    pub(super) fn recycle(&mut self, batch: DeviceBatch) {
        self.normaliser.recycle(batch.clips);
    }

    /// Counts the clips `skipped` of `list`, which could not be read, those of earlier epochs included.
    ///
    /// # Errors
    /// When there are more of them than the settings allow.
    pub(super) fn note_skipped(
        &mut self,
        list: &Dataset,
        skipped: &[usize],
    ) -> Result<(), TrainError> {
        if skipped.is_empty() {
            return Ok(());
        }
        let ids = list.samples().iter().map(|sample| &sample.clip_id);
        let new = skipped.iter().filter_map(|&clip| list.samples().get(clip));
        self.skipped
            .extend(new.map(|sample| sample.clip_id.clone()));
        let bad: Vec<&String> = ids.filter(|&id| self.skipped.contains(id)).collect();
        if share(bad.len(), list.len()) <= self.max_bad {
            return Ok(());
        }
        Err(TrainError::TooManyBad {
            clips: bad.into_iter().cloned().collect(),
            listed: list.len(),
            max_bad: self.max_bad,
        })
    }
}

/// `batch` on the device. Nothing here waits for a GPU: it is asked for copy and normalisation
/// while the step before still runs there, and the host goes on. (A copy of so few labels from
/// pageable memory is over when the call is.)
fn fed(number: usize, batch: Batch, device: Device, normaliser: &mut Normaliser) -> FedBatch {
    let on_device = (!batch.samples.is_empty()).then(|| DeviceBatch {
        clips: normaliser.apply(&batch.clips, device),
        labels: batch.labels.to_device_(device, Kind::Int64, true, false),
    });
    FedBatch {
        device: on_device,
        number,
        samples: batch.samples,
        skipped: batch.skipped,
    }
}
