//! A run whose model is a head on cached features: no frames, no epochs of a network, the same
//! record.

use std::time::Instant;

use tch::{Device, Kind, Tensor};

use crate::clip::Split;
use crate::data::Dataset;
use crate::train::TrainError;
use crate::train::approach::Finetune;
use crate::train::evaluate::{Evaluation, of_logits};
use crate::train::forecast::Forecast;
use crate::train::heads::{self, Container, FEATURES_INPUT, Features};
use crate::train::machine;
use crate::train::profile::{Clock, Phase};
use crate::train::record::{EpochEnd, Hold, Opened, Record, TaskEnd, TrainSummary};
use crate::train::settings::{ApproachName, TrainConfig};
use crate::train::task_sequence::TaskSequence;
use crate::train::trained::Trained;
use crate::unlearning::linear_head::LinearHead;

/// [`super::run`] of an approach on cached features. What a killed run had done is done again in
/// seconds, up to the task that it goes on with: no state of the head is kept.
///
/// # Errors
/// As [`super::run`], and when the feature table cannot be read or lacks a clip.
pub(super) fn run(config: &TrainConfig) -> Result<TrainSummary, TrainError> {
    config.check()?;
    let hold = Hold::take(config)?;
    machine::check(config.instructions)?;
    if let Some(threads) = super::threads(config)? {
        tch::set_num_threads(i32::try_from(threads).unwrap_or(i32::MAX));
    }
    let machine = machine::here(Device::Cpu, config.instructions)?;
    let mut data = super::tasks(config)?;
    // `TrainConfig::check` demands the table.
    let Some(table) = &config.features else {
        return Err(TrainError::NoTask);
    };
    let (features, hash) = Features::read(table, &config.shards, &data)?;
    data.inputs.insert(FEATURES_INPUT.to_owned(), hash);
    let settings = &config.settings;
    let (mut head, shape) = heads::make(settings, &features);
    let container = Container::new(shape, settings.criterion);
    let learner = container.learner();
    let mut record = match Record::open(config, &data, learner, None, machine, hold)? {
        Opened::Complete(summary) => return Ok(*summary),
        Opened::Unfinished(record) => *record,
    };
    record.resume(learner, &mut Finetune)?;
    let done = record.done();
    for task in 0..done {
        head.task(task)?;
    }
    record.training_begins(learner)?;
    let mut work = Work {
        config,
        data: &data,
        features: &features,
        container: &container,
        forecast: Forecast::new(settings, &data),
        clock: Clock::new(Device::Cpu, config.profile),
    };
    for task in done..data.tasks.len() {
        record.task_begins(task, learner)?;
        let trained = Trained::new(Device::Cpu);
        let fitted = work.clock.time(Phase::Approach, || head.task(task))?;
        work.finish(task, &fitted, trained, &mut record)?;
    }
    record.run_ended()
}

/// What evaluating and recording a task takes.
struct Work<'a> {
    config: &'a TrainConfig,
    data: &'a TaskSequence,
    features: &'a Features,
    container: &'a Container,
    forecast: Forecast,
    clock: Clock,
}

impl Work<'_> {
    /// Evaluates `head` and records the task.
    fn finish(
        &mut self,
        task: usize,
        head: &LinearHead,
        mut trained: Trained,
        record: &mut Record<'_>,
    ) -> Result<(), TrainError> {
        let settings = &self.config.settings;
        self.container.put(head);
        let train = self.evaluation(task, Split::Train, head)?;
        let loss = Tensor::from(train.loss);
        trained.add(&loss, None, train.clips.len());
        trained.end()?;
        let evaluations = [
            self.evaluation(task, Split::Validation, head)?,
            self.evaluation(task, Split::Test, head)?,
        ];
        // Ridge and RanPAC solve for their weights: that counts as one epoch.
        let epochs = match settings.approach {
            ApproachName::Ridge | ApproachName::Ranpac => 1,
            _ => settings.epochs,
        };
        let [validation, _] = &evaluations;
        let pace = self.forecast.epoch_ended(
            (task, epochs - 1),
            (trained.seconds(), trained.clips()),
            (validation.seconds, validation.clips.len()),
            true,
        );
        record.epoch_ended(&EpochEnd {
            pace: &pace,
            task,
            epoch: epochs - 1,
            trained: &trained,
            validation,
            rates: &[],
            best_epoch: epochs - 1,
            ends_task: true,
        })?;
        let end = TaskEnd {
            task,
            best_epoch: epochs - 1,
            epochs,
            ended_by: "epochs",
            evaluations,
            state: Vec::new(),
            skipped: Vec::new(),
        };
        record.task_ended(end, self.container.learner(), &mut self.clock)
    }

    /// What `head` says of one list of `task`.
    fn evaluation(
        &self,
        task: usize,
        split: Split,
        head: &LinearHead,
    ) -> Result<Evaluation, TrainError> {
        let begun = Instant::now();
        let clips = self.features.list(task, split).iter();
        let logits: Vec<f64> = clips.flat_map(|clip| head.logits(clip.feature())).collect();
        let list: &Dataset = self.data.tasks[task].list(split);
        let rows = i64::try_from(list.len()).unwrap_or(i64::MAX);
        let logits = Tensor::from_slice(&logits).reshape([rows, -1]);
        of_logits(
            self.config.settings.criterion,
            &self.data.deal.taxonomy,
            list,
            &logits.to_kind(Kind::Float),
            begun,
        )
    }
}
