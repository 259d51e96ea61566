//! A task that withdraws clips: the model unlearns them, and what the approach carries over is made
//! to forget them, too.

use std::cell::{Cell, RefCell};
use std::collections::BTreeSet;
use std::sync::Arc;

use rand::Rng;

use super::Run;
use crate::data::{Dataset, Sample, StreamKeys};
use crate::random::stream;
use crate::run_record::Position;
use crate::signals::Signal;
use crate::train::TrainError;
use crate::train::approach::DeviceBatch;
use crate::train::feed::{Feed, Pass};
use crate::train::learner::{Learner, Teacher, movinet};
use crate::train::settings::UnlearnName;
use crate::train::task_sequence::Task;
use crate::train::unlearn::{self, Batch, Batches, Clips, Draws, Set, StepSize, Visits};
use crate::train::watch::{Moment, Order, Watch};
use crate::train::world::World;

/// The epochs of unlearning are numbered from here where augmentation is drawn, apart from every
/// one of training.
const FIRST_EPOCH: u64 = 1 << 40;

impl Run<'_> {
    /// Unlearns what `task` withdraws, where the settings name a method, and says what that cost in
    /// visits of clips; the model holds the best weights of the task before.
    pub(super) fn withdraw(&mut self, task: usize) -> Result<Option<Visits>, TrainError> {
        let name = self.settings.unlearn;
        if name == UnlearnName::None {
            return Ok(None);
        }
        let gone = self.data.left_before.at(task);
        let trained = self.data.tasks[..task].iter().rfind(|t| !t.is_empty());
        let sets = trained.map(|before| Sets::between(before, &self.data.tasks[task]));
        let Some(sets) = sets.filter(|sets| !sets.forget.is_empty() || gone > 0) else {
            return Ok(None);
        };
        let clips = [&sets.forget, &sets.retain, &sets.heldout].map(|list| list.len());
        let again = |visits| Visits {
            clips,
            visits: [0, visits, 0],
        };
        match name {
            UnlearnName::Retrain => return self.retrain().map(|()| Some(again(0))),
            UnlearnName::Rollback => {
                let visits = self.roll_back(task)?;
                self.record.unlearned(task, &self.learner)?;
                return Ok(Some(again(visits)));
            }
            _ => {}
        }
        self.learner.freeze(
            self.settings.backbone_is_frozen(self.stage(task)),
            self.settings.batch_norm_is_frozen(self.stage(task)),
        );
        let seed = self.settings.unlearn_seed.unwrap_or(self.settings.seed);
        let draw = |purpose| stream(seed, purpose, &[task as u64]).next_u64();
        tch::manual_seed(i64::from_le_bytes(draw("unlearn dropout").to_le_bytes()));
        let step = StepSize {
            batch_size: self.settings.batch_size,
            batches: self.settings.micro_batches(),
        };
        let new_network = || self.untrained(draw("bad teacher"));
        let Some(mut method) = unlearn::make(name, step, seed, new_network) else {
            return Ok(None);
        };
        let draws = Draws {
            seed,
            task: task as u64,
            classes: self.data.deal.taxonomy.classes(),
            batch_size: self.settings.batch_size,
            forget: sets.forget.samples().iter().map(|s| s.label).collect(),
            retain: sets.retain.len(),
        };
        let (feed, watch, world) = (&mut self.feed, &mut *self.watch, self.world);
        let clips = Withdrawn::new(sets, (task, gone), draws, feed, watch, world);
        let counts = [Set::Forget, Set::Retain].map(|set| clips.count(set));
        let report = unlearn::unlearn(&mut *method, &self.learner, &clips)?;
        let visits = clips.visits.get();
        self.record.unlearned(task, &self.learner)?;
        self.approach.forget();
        if self.approach.wants_batches(&self.learner) && clips.count(Set::Retain) > 0 {
            let single = self.approach.wants_single_clips();
            for batch in clips.in_order(Set::Retain, None) {
                let Batch { clips, labels, .. } = batch?;
                for part in (DeviceBatch { clips, labels }).parts(single) {
                    let observed = self.approach.observe(&self.learner, task - 1, &part)?;
                    let clips = usize::try_from(part.labels.size()[0]).unwrap_or(0);
                    self.approach.take_in(&self.learner, clips, &observed)?;
                }
            }
            self.approach.after_task(&self.learner, task - 1)?;
        }
        let [forget, retain] = counts;
        let steps = report.losses.len();
        tracing::info!(
            "task {task}: {name} unlearned {forget} clips beside {retain} that stay, in {steps} steps"
        );
        Ok(Some(visits))
    }

    /// A network with fresh weights of `seed`.
    fn untrained(&self, seed: u64) -> Teacher {
        let config = super::plan::model(self.config, self.data, seed);
        let (device, criterion) = (self.learner.device(), self.learner.criterion());
        Learner::new(movinet(config), device, criterion).teacher()
    }
}

/// The clips of a withdrawal, in the order of the lists of the task before.
struct Sets {
    forget: Arc<Dataset>,
    retain: Arc<Dataset>,
    heldout: Arc<Dataset>,
}

impl Sets {
    /// What `now` lacks of `before`, and what it has of it.
    fn between(before: &Task, now: &Task) -> Self {
        let ids: BTreeSet<&str> = now.train.samples().iter().map(|s| &s.clip_id[..]).collect();
        let samples = before.train.samples().iter().cloned();
        let (retain, forget): (Vec<Sample>, Vec<Sample>) =
            samples.partition(|sample| ids.contains(&sample.clip_id[..]));
        let heldout = like(&forget, before.validation.samples());
        let of = |samples| Arc::new(before.train.of(samples));
        Self {
            heldout: Arc::new(before.validation.of(heldout)),
            forget: of(forget),
            retain: of(retain),
        }
    }
}

/// The clips among `heldout` that share a subcategory with `forget`; if there is none, those that
/// share a category.
fn like(forget: &[Sample], heldout: &[Sample]) -> Vec<Sample> {
    let subcategories: BTreeSet<&str> = forget.iter().map(|s| &s.subcategory[..]).collect();
    let classes: BTreeSet<i64> = forget.iter().map(|s| s.label).collect();
    let those = |wanted: &dyn Fn(&Sample) -> bool| -> Vec<Sample> {
        heldout.iter().filter(|s| wanted(s)).cloned().collect()
    };
    let near = those(&|s| subcategories.contains(&s.subcategory[..]));
    if near.is_empty() {
        those(&|s| classes.contains(&s.label))
    } else {
        near
    }
}

/// A batch as the methods see it: its clips, and their places in the list.
pub(super) fn batch((device, places): (DeviceBatch, Vec<usize>)) -> Batch {
    Batch {
        clips: device.clips,
        labels: device.labels,
        places,
    }
}

/// The clips of a withdrawal as the methods see them.
struct Withdrawn<'a> {
    task: usize,
    /// Clips of F whose frames have left before.
    gone: usize,
    draws: Draws,
    sets: Sets,
    union: Arc<Dataset>,
    union_with_sample: Arc<Dataset>,
    retain_sample: Arc<Dataset>,
    visits: Cell<Visits>,
    feed: RefCell<&'a mut Feed>,
    /// Says before each batch whether the run is to end.
    watch: RefCell<&'a mut dyn Watch>,
    /// The ranks, each of which unlearns all of it.
    world: &'a World,
}

impl<'a> Withdrawn<'a> {
    fn new(
        sets: Sets,
        (task, gone): (usize, usize),
        draws: Draws,
        feed: &'a mut Feed,
        watch: &'a mut dyn Watch,
        world: &'a World,
    ) -> Self {
        let (forget, retain) = (sets.forget.samples(), sets.retain.samples());
        let some = |set| {
            let places = draws.of_retain(set).into_iter();
            places.map(|place| retain[place].clone()).collect()
        };
        let of = |samples| Arc::new(sets.retain.of(samples));
        let shared: Vec<Sample> = some(Set::UnionWithSample);
        let lists = [&sets.forget, &sets.retain, &sets.heldout];
        Self {
            union: of([forget, retain].concat()),
            union_with_sample: of([forget, &shared].concat()),
            retain_sample: of(some(Set::RetainSample)),
            visits: Cell::new(Visits {
                clips: lists.map(|list| list.len()),
                ..Visits::default()
            }),
            task,
            gone,
            draws,
            sets,
            feed: RefCell::new(feed),
            watch: RefCell::new(watch),
            world,
        }
    }

    fn list(&self, set: Set) -> &Arc<Dataset> {
        match set {
            Set::Forget => &self.sets.forget,
            Set::Retain => &self.sets.retain,
            Set::HeldOut => &self.sets.heldout,
            Set::Union => &self.union,
            Set::UnionWithSample => &self.union_with_sample,
            Set::RetainSample => &self.retain_sample,
        }
    }

    /// Batches from a loader, which is asked one by one so that two passes can take turns.
    fn batches_of(&self, set: Set, mut loaded: Pass) -> Batches<'_> {
        let list = self.list(set);
        Box::new(std::iter::from_fn(move || {
            let order = self.watch.borrow_mut().look(Moment::Unlearning);
            match order.agreed(self.world) {
                Ok(Order::Stop(signal)) => return Some(Err(self.stopped(signal))),
                Ok(Order::GoOn | Order::Checkpoint) => {}
                Err(error) => return Some(Err(error.into())),
            }
            let fed = self.feed.borrow_mut().next_readable(list, &mut loaded);
            let batch = fed.transpose()?.map(batch);
            if let Ok(batch) = &batch {
                let mut visits = self.visits.get();
                visits.add(set, batch);
                self.visits.set(visits);
            }
            Some(batch)
        }))
    }

    /// The run ends here: nothing of the task is done that could be kept.
    fn stopped(&self, signal: Signal) -> TrainError {
        TrainError::Stopped {
            signal,
            position: Some(Position::start(self.task)),
            kept: false,
        }
    }
}

impl Clips for Withdrawn<'_> {
    fn task(&self) -> usize {
        self.task
    }

    fn count(&self, set: Set) -> usize {
        let gone = if set == Set::Forget { self.gone } else { 0 };
        self.list(set).len() + gone
    }

    fn batches(&self, set: Set) -> usize {
        self.list(set).len().div_ceil(self.draws.batch_size)
    }

    fn pass(&self, set: Set, epoch: u32) -> Batches<'_> {
        let keys = StreamKeys {
            task: self.task as u64,
            epoch: FIRST_EPOCH + u64::from(epoch),
        };
        let list = self.list(set);
        let order = self.draws.order(set, epoch, list.len());
        let loaded = self.feed.borrow().ordered(list, order, Some(keys), None);
        self.batches_of(set, loaded)
    }

    fn in_order(&self, set: Set, most: Option<usize>) -> Batches<'_> {
        let list = self.list(set);
        let order = (0..list.len()).collect();
        let loaded = self.feed.borrow().ordered(list, order, None, most);
        self.batches_of(set, loaded)
    }

    fn wrong_labels(&self, epoch: u32) -> Vec<i64> {
        self.draws.wrong_labels(epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn held_out_clips_share_a_subcategory_or_else_a_category() {
        let sample = |id: &str, label, subcategory: &str| Sample {
            clip_id: id.to_owned(),
            position: 0,
            label,
            subcategory: subcategory.to_owned(),
            shard: String::new(),
            shard_row: 0,
        };
        let forget = [sample("a", 1, "x")];
        let heldout = [
            sample("b", 1, "x"),
            sample("c", 1, "y"),
            sample("d", 2, "z"),
        ];
        let ids = |found: Vec<Sample>| found.into_iter().map(|s| s.clip_id).collect::<Vec<_>>();
        assert_eq!(ids(like(&forget, &heldout)), ["b"]);
        assert_eq!(ids(like(&forget, &heldout[1..])), ["c"]);
        assert_eq!(ids(like(&forget, &heldout[2..])), [""; 0]);
    }
}
