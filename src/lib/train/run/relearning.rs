//! How long networks take to learn again what a task withdrew: what the audit asks of weights that a
//! run has left.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rand::seq::SliceRandom;

use super::withdrawal::batch;
use crate::clip::Split;
use crate::data::{Dataset, Deal, Sample, StreamKeys};
use crate::model::checkpoint::{self, LoadMode};
use crate::random::stream;
use crate::shard::ShardSource;
use crate::train::TrainError;
use crate::train::device::DeviceChoice;
use crate::train::feed::{Feed, Pass};
use crate::train::learner::{Learner, movinet};
use crate::train::settings::{Settings, TrainConfig};
use crate::train::task_sequence::TaskSequence;
use crate::train::unlearn::{Batches, Clips, Recipe, Relearn, Relearned, RuleName, Set, relearn};

/// The passes of relearning are numbered from here where augmentation is drawn, apart from every
/// epoch of training and of unlearning.
const FIRST_PASS: u64 = 1 << 41;

/// What a task of a run withdrew, and how the run would learn it again.
pub struct Relearning {
    settings: Settings,
    task: usize,
    seed: u64,
    forget: Arc<Dataset>,
    feed: RefCell<Feed>,
    learner: Learner,
}

/// Where the clips and the settings of a [`Relearning`] come from.
#[derive(Clone, Debug)]
pub struct RelearningConfig {
    /// The run directory, whose lists say what the task withdrew.
    pub run: PathBuf,
    /// The run's settings.
    pub settings: Settings,
    /// The frame shards.
    pub shards: ShardSource,
    /// The task that withdraws.
    pub task: usize,
    /// The clips that it withdraws.
    pub forget: Vec<String>,
    /// Where the network computes.
    pub device: DeviceChoice,
    /// Threads that decode clips.
    pub workers: usize,
    /// The seed of the orders, and of what augmentation draws.
    pub seed: u64,
}

impl Relearning {
    /// Finds the clips.
    ///
    /// # Errors
    /// When the run's lists or the shards cannot be read.
    pub fn open(config: &RelearningConfig) -> Result<Self, TrainError> {
        let data = TaskSequence::read(&config.run, &config.shards)?;
        let before = data.tasks[..config.task].iter();
        let mut lists = before.rev().map(|task| task.list(Split::Train));
        let list = lists.find(|list| !list.is_empty());
        let list = list.ok_or_else(|| TrainError::NoTask {
            path: config.run.clone(),
        })?;
        let leaving: BTreeSet<&String> = config.forget.iter().collect();
        let samples = list.samples().iter();
        let forget: Vec<Sample> = samples
            .filter(|sample| leaving.contains(&sample.clip_id))
            .cloned()
            .collect();
        let settings = config.settings.clone();
        let device = config.device.find_for(settings.precision)?;
        let network = settings.model(data.deal.taxonomy.classes(), settings.seed);
        let learner = Learner::new(movinet(network), device, settings.criterion);
        learner.freeze(
            settings.backbone_is_frozen(config.task),
            settings.batch_norm_is_frozen(config.task),
        );
        let from = TrainConfig {
            workers: config.workers,
            settings: Settings {
                seed: config.seed,
                ..settings.clone()
            },
            ..TrainConfig::new(config.run.clone(), config.shards.clone(), PathBuf::new())
        };
        Ok(Self {
            feed: RefCell::new(Feed::new(&from, Deal::ALL, device, &[])),
            forget: Arc::new(list.of(forget)),
            task: config.task,
            seed: config.seed,
            learner,
            settings,
        })
    }

    /// Batches of a pass.
    #[must_use]
    pub fn batches(&self) -> usize {
        Clips::batches(self, Set::Forget)
    }

    /// Trains the weights at `path` on F alone until their evaluated mean loss is at most `target`,
    /// which is looked at before the first step and after every `check_every`; `None` where there
    /// is no clip.
    ///
    /// # Errors
    /// When the weights do not fit, a clip cannot be read, or a loss is not finite.
    pub fn time(
        &self,
        path: &Path,
        target: f64,
        check_every: usize,
        most_steps: usize,
    ) -> Result<Option<Relearned>, TrainError> {
        checkpoint::load(path, self.learner.store(), LoadMode::Exact)?;
        let (rate, head_rate) = (self.settings.lr_backbone, self.settings.lr_head);
        let recipe = Recipe {
            rule: RuleName::Adam,
            rate,
            momentum: 0.0,
            weight_decay: 0.0,
            epochs: 0,
            accumulation: 1,
        };
        let how = Relearn {
            recipe,
            head_rate,
            target,
            check_every,
            most_steps,
        };
        relearn(&self.learner, self, &how)
    }

    fn fed(&self, mut loaded: Pass) -> Batches<'_> {
        Box::new(std::iter::from_fn(move || {
            let mut feed = self.feed.borrow_mut();
            let fed = feed.next_readable(&self.forget, &mut loaded);
            Some(fed.transpose()?.map(batch))
        }))
    }
}

/// There is nothing but F.
impl Clips for Relearning {
    fn task(&self) -> usize {
        self.task
    }

    fn count(&self, set: Set) -> usize {
        match set {
            Set::Forget | Set::Union | Set::UnionWithSample => self.forget.len(),
            Set::Retain | Set::RetainSample | Set::HeldOut => 0,
        }
    }

    fn batches(&self, set: Set) -> usize {
        self.count(set).div_ceil(self.settings.batch_size)
    }

    fn pass(&self, set: Set, epoch: u32) -> Batches<'_> {
        let mut order: Vec<usize> = (0..self.count(set)).collect();
        order.shuffle(&mut stream(self.seed, "relearn", &[u64::from(epoch)]));
        let keys = StreamKeys {
            task: self.task as u64,
            epoch: FIRST_PASS + u64::from(epoch),
        };
        let feed = self.feed.borrow();
        self.fed(feed.ordered(&self.forget, order, Some(keys), None))
    }

    fn in_order(&self, set: Set, most: Option<usize>) -> Batches<'_> {
        let order = (0..self.count(set)).collect();
        let feed = self.feed.borrow();
        self.fed(feed.ordered(&self.forget, order, None, most))
    }

    fn wrong_labels(&self, _epoch: u32) -> Vec<i64> {
        Vec::new()
    }
}
