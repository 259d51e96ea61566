//! The end of a task: what the approach takes from it for the next.

use std::sync::Arc;
use std::time::Instant;

use tch::{Device, Kind, Tensor, no_grad};

use super::Run;
use super::asking::nothing;
use super::under_way::UnderWay;
use crate::clip::Split;
use crate::data::Dataset;
use crate::model::Mode;
use crate::train::TrainError;
use crate::train::approach::DeviceBatch;
use crate::train::dealt::Outcome;
use crate::train::feed::Feed;
use crate::train::learner::Learner;
use crate::train::profile::Phase;
use crate::train::trouble::Work;
use crate::train::watch::Moment;

impl Run<'_> {
    /// Lets the approach take from the task what it needs for the next.
    pub(super) fn close(&mut self, at: &mut UnderWay) -> Result<(), TrainError> {
        self.work = Work::BetweenTasks;
        if self.settings.from_scratch {
            return self.look(Moment::Publishing, at);
        }
        if self.approach.wants_batches(&self.learner) {
            self.observe(at)?;
        }
        self.look(Moment::Publishing, at)?;
        let begun = Instant::now();
        let (data, task) = (self.data, at.position.task);
        let before = self.task_before(task);
        let (learner, feed) = (&self.learner, &mut self.feed);
        let mut logits_of = |list: &Arc<Dataset>| logits_of(learner, feed, task, list);
        self.approach
            .store(task, &data.tasks[task], before, &mut logits_of)?;
        self.approach.after_task(&self.learner, task)?;
        self.feed.clock.add(Phase::Approach, begun.elapsed());
        Ok(())
    }

    /// Shows the approach the rest of the batches that it wants to see of the task.
    fn observe(&mut self, at: &mut UnderWay) -> Result<(), TrainError> {
        let (data, task) = (self.data, at.position.task);
        let lists = &data.tasks[task];
        let single = self.approach.wants_single_clips();
        let mut pass = self.feed.fisher(task, lists, at.position.batches)?;
        while at.position.batches < pass.batches() {
            let begun = Instant::now();
            let window = self.round(at.position.batches, &pass);
            let (mut own, mut parts) = (Vec::new(), Vec::new());
            while let Some(batch) = self
                .feed
                .next_untimed(&lists.train, &mut pass, window.end)?
            {
                parts.extend(batch.device.iter().flat_map(|device| device.parts(single)));
                own.push(Outcome {
                    number: batch.number,
                    samples: batch.samples,
                    skipped: batch.skipped,
                    values: nothing(self.learner.device()),
                    moments: None,
                });
            }
            let look = |part: &DeviceBatch| self.approach.observe(&self.learner, task, part);
            // Others wait for all of them; a rank alone looks at one when it is wanted.
            let ahead = if self.world.size() > 1 {
                &parts[..]
            } else {
                &[]
            };
            let seen: Vec<Tensor> = ahead.iter().map(look).collect::<Result<_, _>>()?;
            for outcome in self.together(own, &window, 0)? {
                self.feed.note_skipped(&lists.train, &outcome.skipped)?;
                let clips = outcome.samples.len();
                let (looks, each) = if single {
                    (clips, 1)
                } else {
                    (clips.min(1), clips)
                };
                let by = outcome.number % self.world.size();
                for i in 0..looks {
                    let mine = parts.get(i).filter(|_| by == self.world.rank());
                    let observed = match (mine, seen.get(i)) {
                        (None, _) => None,
                        (Some(_), Some(seen)) => Some(seen.shallow_clone()),
                        (Some(part), None) => {
                            Some(self.approach.observe(&self.learner, task, part)?)
                        }
                    };
                    let observed = self.world.floats(by, observed, self.learner.device())?;
                    self.approach.take_in(&self.learner, each, &observed)?;
                }
            }
            at.position.batches = window.end;
            self.feed.clock.add(Phase::Approach, begun.elapsed());
            self.look(Moment::Closing, at)?;
        }
        Ok(())
    }
}

/// What the model says of the clips of a list of `task`: the places of those that could be read, and their
/// logits. Every rank asks about all of them.
fn logits_of(
    learner: &Learner,
    feed: &mut Feed,
    task: usize,
    list: &Arc<Dataset>,
) -> Result<(Vec<usize>, Tensor), TrainError> {
    let (mut places, mut logits) = (Vec::new(), Vec::new());
    let mut pass = feed.ordered(list, (0..list.len()).collect(), None, None);
    while let Some((batch, read)) = feed.next_readable(list, &mut pass)? {
        let said = no_grad(|| learner.forward(&batch.clips, Mode::Evaluate).logits);
        logits.push(said.to_kind(Kind::Float).to_device(Device::Cpu));
        places.extend(read);
        feed.recycle(batch);
    }
    if logits.is_empty() {
        return Err(TrainError::NoReadableClip {
            task,
            split: Split::Train,
            listed: list.len(),
        });
    }
    Ok((places, Tensor::cat(&logits, 0)))
}
