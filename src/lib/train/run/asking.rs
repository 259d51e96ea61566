//! What the model answers about the lists that a task is judged by.

use std::ops::Range;
use std::time::Instant;

use tch::{Device, Kind, Tensor};

use super::Run;
use super::under_way::{UnderWay, answers_of, split_of};
use crate::run_record::Part;
use crate::train::TrainError;
use crate::train::dealt::Outcome;
use crate::train::evaluate::{Evaluation, answer};
use crate::train::feed::Pass;
use crate::train::profile::Phase;
use crate::train::trouble::Work;
use crate::train::watch::Moment;

impl Run<'_> {
    /// Asks the model about the rest of the list that the part of the task is about.
    pub(super) fn ask(&mut self, at: &mut UnderWay) -> Result<(), TrainError> {
        self.work = Work::Evaluating;
        let which = answers_of(at.position.part);
        let list = self.list(at, which);
        let mut pass = self.feed.in_order(list, at.position.batches)?;
        if at.position.part == Part::Validation {
            self.next_epoch_follows(at.position.task, at.position.epoch)?;
        }
        let values = 1 + self.feed.batch_size() * self.data.deal.taxonomy.classes();
        while at.position.batches < pass.batches() {
            let window = self.round(at.position.batches, &pass);
            let begun = Instant::now();
            let mut own = Vec::new();
            while let Some(batch) = self.feed.next_untimed(list, &mut pass, window.end)? {
                let values = match batch.device {
                    Some(device) => {
                        let values = answer(&self.learner, &device);
                        self.feed.recycle(device);
                        values
                    }
                    None => nothing(self.learner.device()),
                };
                own.push(Outcome {
                    number: batch.number,
                    samples: batch.samples,
                    skipped: batch.skipped,
                    values,
                    moments: None,
                });
            }
            self.feed.clock.add(Phase::Evaluation, begun.elapsed());
            for outcome in self.together(own, &window, values)? {
                self.feed.note_skipped(list, &outcome.skipped)?;
                at.answers[which].add(&outcome);
            }
            at.position.batches = window.end;
            self.look(Moment::Evaluation, at)?;
        }
        Ok(())
    }

    /// The batches from `done` on that the ranks go through at a time, one each.
    pub(super) fn round(&self, done: usize, pass: &Pass) -> Range<usize> {
        done..pass.batches().min(done + self.world.size())
    }

    /// How good the answers are, on the validation set or on the test set.
    pub(super) fn judged(&mut self, at: &UnderWay, which: usize) -> Result<Evaluation, TrainError> {
        let begun = Instant::now();
        let (criterion, taxonomy) = (self.learner.criterion(), &self.data.deal.taxonomy);
        let of = (at.position.task, split_of(which));
        let result = at.answers[which].judge(criterion, taxonomy, of, self.list(at, which));
        self.feed.clock.add(Phase::Evaluation, begun.elapsed());
        result
    }
}

/// What a batch of which no clip could be read comes to.
pub(super) fn nothing(device: Device) -> Tensor {
    Tensor::zeros([0], (Kind::Float, device))
}
