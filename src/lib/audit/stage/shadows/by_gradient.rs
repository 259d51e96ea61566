//! Shadow heads that are trained and unlearned by gradient: linear heads on the features of the model
//! before the withdrawal, by the run's recipe for its head. All are trained together: a step is one
//! matrix product of a batch's features with the weights of all, and each counts only the clips that
//! it was dealt. Then each unlearns by the run's method what it is to unlearn.

use rand::seq::SliceRandom;
use rand::{Rng, RngExt};
use tch::nn::{self, Init};
use tch::{Device, Kind, Reduction, Tensor, no_grad};

use super::super::AuditStageError;
use super::super::models::Matrix;
use super::super::single::Comparison;
use super::kernel::matrix;
use super::pool::Pool;
use crate::audit::lira::Status;
use crate::model::{Mode, Output};
use crate::random::stream;
use crate::train::learner::{Learner, Network};
use crate::train::optimizer::Optimizer;
use crate::train::settings::{CriterionName, UnlearnName};
use crate::train::unlearn::{self, Batch, Batches, Clips, Draws, Set, StepSize};
use crate::train::{Settings, TrainError};

/// Whether a method can be applied to a head alone. Those that train again come to a head that never
/// saw the clip, and two change kernels, of which a head has none.
fn applies(method: UnlearnName) -> bool {
    use UnlearnName::{Ct, Msg, Retrain, Rollback};
    !matches!(method, Retrain | Rollback | Msg | Ct)
}

/// The logits of the pool by each head; none where the method cannot be applied, or diverges.
pub(super) fn logits(
    comparison: &Comparison<'_>,
    pool: &Pool,
    dealt: &[Vec<Status>],
) -> Result<Option<Vec<Matrix>>, AuditStageError> {
    let about = comparison.about;
    let settings = &about.run.settings;
    if !applies(settings.unlearn) {
        return Ok(None);
    }
    let table = Table::of(comparison, pool)?;
    let heads = table.train(settings, about.seed_evaluate, dealt);
    let mut said = Vec::new();
    for (shadow, status) in dealt.iter().enumerate() {
        let learner = table.learner(settings, &heads, shadow);
        match table.unlearn(
            settings,
            &learner,
            (about.seed_evaluate, about.task),
            (shadow, &status[..]),
        ) {
            Ok(()) => {}
            Err(TrainError::Diverged { .. }) => {
                tracing::warn!(
                    "{}: a shadow head diverges under {}; it has no figures of shadow heads",
                    about.run.name,
                    settings.unlearn
                );
                return Ok(None);
            }
            Err(error) => return Err(error.into()),
        }
        said.push(table.logits(&learner)?);
    }
    Ok(Some(said))
}

/// Features and classes of what stays, then of the pool, then of held-out clips like what leaves.
struct Table {
    features: Tensor,
    labels: Tensor,
    classes: usize,
    retained: usize,
    pool: usize,
    heldout: usize,
}

/// The weights of all heads, `[S C, d]` and `[S C]`.
struct Heads {
    weight: Tensor,
    bias: Tensor,
}

impl Table {
    fn of(comparison: &Comparison<'_>, pool: &Pool) -> Result<Self, AuditStageError> {
        let sets = &comparison.sets;
        let parts = [
            &sets.retain,
            &pool.of_forget,
            &pool.of_others,
            &sets.heldout,
        ];
        let (mut features, mut labels) = (Vec::new(), Vec::new());
        for set in parts {
            let of_set = comparison.before_model.features(set)?;
            if of_set.count > 0 {
                features.push(matrix(&of_set).to_kind(Kind::Float));
            }
            labels.extend(
                set.labels()
                    .into_iter()
                    .map(|class| i64::try_from(class).unwrap_or(0)),
            );
        }
        Ok(Self {
            features: Tensor::cat(&features, 0),
            labels: Tensor::from_slice(&labels),
            classes: comparison.about.run.taxonomy.classes(),
            retained: sets.retain.clips.len(),
            pool: pool.clips(),
            heldout: sets.heldout.clips.len(),
        })
    }

    fn width(&self) -> i64 {
        self.features.size()[1]
    }

    fn classes(&self) -> i64 {
        i64::try_from(self.classes).unwrap_or(i64::MAX)
    }

    /// Trains a head for each deal, on what stays and on what it was dealt to train on.
    fn train(&self, settings: &Settings, seed: u64, dealt: &[Vec<Status>]) -> Heads {
        let clips = self.retained + self.pool;
        let seen = |status: &Vec<Status>| {
            let of_pool = status.iter().map(|s| *s != Status::HeldOut);
            let all = std::iter::repeat_n(true, self.retained).chain(of_pool);
            all.map(|seen| f32::from(u8::from(seen)))
                .collect::<Vec<_>>()
        };
        let seen: Vec<f32> = dealt.iter().flat_map(seen).collect();
        let shadows = i64::try_from(dealt.len()).unwrap_or(i64::MAX);
        let seen = Tensor::from_slice(&seen).reshape([shadows, -1]);
        let heads = Heads::new(seed, shadows, self.classes(), self.width());
        let parameters = vec![heads.weight.shallow_clone(), heads.bias.shallow_clone()];
        let mut optimizer =
            Optimizer::new(settings.optimizer, settings.weight_decay, vec![parameters]);
        let rate = settings.lr_first_task_head;
        for epoch in 0..settings.epochs {
            let keys = [u64::from(epoch)];
            seed_dropout(seed, &keys);
            let mut order: Vec<i64> = (0..).take(clips).collect();
            order.shuffle(&mut stream(seed, "lira order", &keys));
            let batches: Vec<&[i64]> = order.chunks(settings.batch_size).collect();
            for batches in batches.chunks(settings.accumulation.max(1) as usize) {
                optimizer.zero_grad();
                for batch in batches {
                    let places = Tensor::from_slice(batch);
                    let input = self.features.index_select(0, &places);
                    let input = input.dropout(settings.dropout, true);
                    let logits = input.linear(&heads.weight, Some(&heads.bias));
                    let logits = logits
                        .reshape([-1, shadows, self.classes()])
                        .transpose(0, 1);
                    let labels = self.labels.index_select(0, &places);
                    let losses = losses(settings.criterion, &logits, &labels);
                    let counted = seen.index_select(1, &places);
                    let sums = (losses * &counted).sum_dim_intlist(1, false, Kind::Float);
                    let counts = counted
                        .sum_dim_intlist(1, false, Kind::Float)
                        .clamp_min(1.0);
                    (sums / counts).sum(Kind::Float).backward();
                }
                optimizer.step(&[rate]);
            }
        }
        Heads {
            weight: heads.weight.detach(),
            bias: heads.bias.detach(),
        }
    }

    /// A head as the methods of unlearning take a network.
    fn learner(&self, settings: &Settings, heads: &Heads, shadow: usize) -> Learner {
        let learner = self.new_network(settings);
        let rows = self.classes();
        let first = i64::try_from(shadow).unwrap_or(i64::MAX) * rows;
        let mut variables = learner.store().variables();
        let stored = [("heads.weight", &heads.weight), ("heads.bias", &heads.bias)];
        no_grad(|| {
            for (name, all) in stored {
                if let Some(tensor) = variables.get_mut(name) {
                    tensor.copy_(&all.narrow(0, first, rows));
                }
            }
        });
        learner
    }

    /// A head with new weights.
    fn new_network(&self, settings: &Settings) -> Learner {
        let (width, classes, dropout) = (self.width(), self.classes(), settings.dropout);
        let build = move |root: &nn::Path<'_>| -> Box<dyn Network> {
            let bound = bound(width);
            let init = Init::Uniform {
                lo: -bound,
                up: bound,
            };
            let heads = root / "heads";
            Box::new(Head {
                weight: heads.var("weight", &[classes, width], init),
                bias: heads.var("bias", &[classes], init),
                dropout,
            })
        };
        Learner::new(Box::new(build), Device::Cpu, settings.criterion)
    }

    /// Has a head unlearn what it was dealt to unlearn, by the run's method.
    fn unlearn(
        &self,
        settings: &Settings,
        learner: &Learner,
        (seed, task): (u64, usize),
        (shadow, status): (usize, &[Status]),
    ) -> Result<(), TrainError> {
        let retained = self.retained;
        let places = |wanted| {
            let of_pool = status
                .iter()
                .enumerate()
                .filter(move |(_, s)| **s == wanted);
            of_pool.map(move |(clip, _)| retained + clip)
        };
        let forget: Vec<usize> = places(Status::Unlearned).collect();
        let retain: Vec<usize> = (0..self.retained).chain(places(Status::Retained)).collect();
        let first = self.retained + self.pool;
        let keys = [shadow as u64];
        let own = stream(seed, "lira unlearn", &keys).next_u64();
        let label = |&place: &usize| {
            self.labels
                .int64_value(&[i64::try_from(place).unwrap_or(0)])
        };
        let clips = OnTable {
            table: self,
            task,
            draws: Draws {
                seed: own,
                task: task as u64,
                classes: self.classes,
                batch_size: settings.batch_size,
                forget: forget.iter().map(label).collect(),
                retain: retain.len(),
            },
            forget,
            retain,
            heldout: (first..first + self.heldout).collect(),
        };
        let step = StepSize {
            batch_size: settings.batch_size,
            batches: settings.accumulation.max(1) as usize,
        };
        seed_dropout(own, &keys);
        let new_network = || self.new_network(settings).teacher();
        let method = unlearn::make(settings.unlearn, step, own, new_network);
        if let Some(mut method) = method {
            unlearn::unlearn(&mut *method, learner, &clips)?;
        }
        Ok(())
    }

    /// What a head says of the pool.
    fn logits(&self, learner: &Learner) -> Result<Matrix, AuditStageError> {
        let [first, count] = [self.retained, self.pool].map(|n| i64::try_from(n).unwrap_or(0));
        let pool = self.features.narrow(0, first, count);
        let logits = no_grad(|| learner.forward(&pool, Mode::Evaluate).logits);
        let logits = logits.to_kind(Kind::Double).contiguous().reshape([-1]);
        Ok(Matrix {
            values: Vec::<f64>::try_from(logits)?,
            count: self.pool,
            width: self.classes,
        })
    }
}

/// Dropout, and the weights of new networks, are drawn from libtorch's generator from here on.
fn seed_dropout(seed: u64, keys: &[u64]) {
    let seed = stream(seed, "lira dropout", keys).next_u64();
    tch::manual_seed(i64::from_le_bytes(seed.to_le_bytes()));
}

/// Weights of a new head lie within plus and minus this, as those of the network's.
fn bound(width: i64) -> f64 {
    1.0 / (width.max(1) as f64).sqrt()
}

impl Heads {
    fn new(seed: u64, shadows: i64, classes: i64, width: i64) -> Self {
        let (bound, columns) = (bound(width), width + 1);
        let draw = |shadow: i64| {
            let mut rng = stream(seed, "lira head", &[shadow.unsigned_abs()]);
            #[allow(clippy::cast_possible_truncation)] // Weights are 32-bit floats.
            let value = move |_| ((2.0 * rng.random::<f64>() - 1.0) * bound) as f32;
            (0..classes * columns).map(value)
        };
        let drawn: Vec<f32> = (0..shadows).flat_map(draw).collect();
        let all = Tensor::from_slice(&drawn).reshape([shadows * classes, columns]);
        let weight = all.narrow(1, 0, width).contiguous();
        let bias = all.narrow(1, width, 1).contiguous().reshape([-1]);
        Self {
            weight: weight.set_requires_grad(true),
            bias: bias.set_requires_grad(true),
        }
    }
}

/// The classification loss of each clip by each head, `[S, B]`, of logits `[S, B, C]`.
fn losses(criterion: CriterionName, logits: &Tensor, labels: &Tensor) -> Tensor {
    let [shadows, clips, classes] = [0, 1, 2].map(|axis| logits.size()[axis]);
    match criterion {
        CriterionName::Multilabel => {
            let targets = labels.one_hot(classes).to_kind(Kind::Float);
            let targets = targets.unsqueeze(0).expand_as(logits);
            logits
                .binary_cross_entropy_with_logits::<Tensor>(&targets, None, None, Reduction::None)
                .mean_dim(2, false, Kind::Float)
        }
        CriterionName::Multiclass => {
            let own = labels
                .reshape([1, clips, 1])
                .expand([shadows, clips, 1], true);
            let logs = logits.log_softmax(-1, Kind::Float).gather(2, &own, false);
            -logs.squeeze_dim(2)
        }
    }
}

/// A linear head on features behind dropout.
struct Head {
    weight: Tensor,
    bias: Tensor,
    dropout: f64,
}

impl Network for Head {
    /// `clips` are features `[N, d]`.
    fn forward(&self, clips: &Tensor, mode: Mode) -> Output {
        let input = clips.dropout(self.dropout, mode != Mode::Evaluate);
        Output {
            logits: input.linear(&self.weight, Some(&self.bias)),
            features: clips.shallow_clone(),
        }
    }
}

/// The clips of a shadow's withdrawal, as places in the table.
struct OnTable<'a> {
    table: &'a Table,
    task: usize,
    draws: Draws,
    forget: Vec<usize>,
    retain: Vec<usize>,
    heldout: Vec<usize>,
}

impl OnTable<'_> {
    /// The places in the table of a set's clips.
    fn list(&self, set: Set) -> Vec<usize> {
        let retain = self.draws.of_retain(set).into_iter();
        let retain = retain.map(|place| self.retain[place]);
        match set {
            Set::HeldOut => self.heldout.clone(),
            Set::Forget | Set::Union | Set::UnionWithSample => {
                self.forget.iter().copied().chain(retain).collect()
            }
            Set::Retain | Set::RetainSample => retain.collect(),
        }
    }

    fn batches_of(&self, set: Set, order: Vec<usize>, size: usize) -> Batches<'_> {
        let (list, size) = (self.list(set), size.max(1));
        let batch = move |first: usize| {
            let places = order[first..order.len().min(first + size)].to_vec();
            let rows = places
                .iter()
                .map(|&place| i64::try_from(list[place]).unwrap_or(0));
            let rows = Tensor::from_slice(&rows.collect::<Vec<_>>());
            Ok(Batch {
                clips: self.table.features.index_select(0, &rows),
                labels: self.table.labels.index_select(0, &rows),
                places,
            })
        };
        Box::new((0..self.count(set)).step_by(size).map(batch))
    }
}

impl Clips for OnTable<'_> {
    fn task(&self) -> usize {
        self.task
    }

    fn count(&self, set: Set) -> usize {
        self.list(set).len()
    }

    fn batches(&self, set: Set) -> usize {
        self.count(set).div_ceil(self.draws.batch_size)
    }

    fn pass(&self, set: Set, epoch: u32) -> Batches<'_> {
        let order = self.draws.order(set, epoch, self.count(set));
        self.batches_of(set, order, self.draws.batch_size)
    }

    fn in_order(&self, set: Set, most: Option<usize>) -> Batches<'_> {
        let order = (0..self.count(set)).collect();
        let size = self.draws.batch_size.min(most.unwrap_or(usize::MAX));
        self.batches_of(set, order, size)
    }

    fn wrong_labels(&self, epoch: u32) -> Vec<i64> {
        self.draws.wrong_labels(epoch)
    }
}
