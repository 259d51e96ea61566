//! A run whose model is a head on cached features: no frames, no epochs of a network, the same
//! record.

use std::time::Instant;

use tch::{Device, Kind, Tensor};

use super::plan::Plan;
use crate::clip::Split;
use crate::data::Dataset;
use crate::tables::FEATURES_INPUT;
use crate::train::TrainError;
use crate::train::approach::{Finetune, Kept};
use crate::train::evaluate::{Evaluation, of_logits};
use crate::train::forecast::Forecast;
use crate::train::heads::{self, Container, Features};
use crate::train::machine;
use crate::train::profile::{Clock, Phase};
use crate::train::record::{EpochEnd, Hold, Opened, Record, TaskEnd, TrainSummary, extend};
use crate::train::settings::{ApproachName, TrainConfig};
use crate::train::task_sequence::TaskSequence;
use crate::train::trained::Trained;
use crate::train::watch::{Moment, Watch};
use crate::train::withdrawals;
use crate::train::world::World;
use crate::unlearning::linear_head::LinearHead;

/// [`super::run_watched`] of an approach on cached features, on one process: `TrainConfig::check` refuses several. What a killed run had done is done again
/// in seconds, up to the task that it goes on with: no state of the head is kept.
///
/// # Errors
/// As [`super::run_watched`], and when the feature table cannot be read or lacks a clip.
pub(super) fn run(config: &TrainConfig, watch: &mut dyn Watch) -> Result<TrainSummary, TrainError> {
    let hold = Hold::take(config)?;
    machine::check(config.instructions)?;
    let plan = Plan::of(&World::Alone, config)?;
    plan.set_threads();
    let machine = machine::here(Device::Cpu, config.instructions)?;
    let withdrawn = withdrawals::read(config)?;
    withdrawals::check_shards(&withdrawn, config)?;
    let mut data = plan.tasks(config)?;
    // `TrainConfig::check` demands the table.
    let Some(table) = &config.features else {
        return Err(TrainError::Setting {
            flag: "--features",
            why: format!(
                "--approach {} needs a feature table",
                config.settings.approach
            ),
        });
    };
    let (features, hash) = Features::read(table, &config.shards, &data)?;
    data.inputs.insert(FEATURES_INPUT.to_owned(), hash);
    let settings = &config.settings;
    let (mut head, shape) = heads::make(settings, &features);
    let container = Container::new(shape, settings.criterion);
    let learner = container.learner();
    let extension = plan.extension;
    let mut record = match Record::open(config, &data, learner, None, machine, extension, hold)? {
        Opened::Complete(summary) => return Ok(*summary),
        Opened::Unfinished(record) => *record,
    };
    withdrawals::check_run(&|clip| withdrawn.contains(clip), config)?;
    record.resume(learner, &mut Finetune)?;
    watch.begin().map_err(TrainError::Signals)?;
    record.training_begins(learner)?;
    super::may_end(&World::Alone, watch, Moment::Starting)?;
    let done = record.done();
    let stages = features.tasks();
    for stage in (0..stages.len()).filter(|&stage| stages[stage] < done) {
        head.advance(stage)?;
    }
    let mut work = Work {
        config,
        data: &data,
        features: &features,
        container: &container,
        forecast: Forecast::new(settings, &data, plan.epochs(config, &data)),
        clock: Clock::new(Device::Cpu, config.profile),
    };
    for task in done..data.tasks.len() {
        match stages.binary_search(&task) {
            Ok(stage) => {
                record.task_begins(task, learner)?;
                let trained = Trained::new(Device::Cpu);
                let fitted = work.clock.time(Phase::Approach, || head.advance(stage))?;
                work.finish(stage, &fitted, trained, &mut record)?;
            }
            Err(_) => record.task_passed_over(task)?,
        }
        super::may_end(&World::Alone, watch, Moment::BetweenTasks)?;
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
    /// Evaluates `head` and records the task of `stage`.
    fn finish(
        &mut self,
        stage: usize,
        head: &LinearHead,
        mut trained: Trained,
        record: &mut Record<'_>,
    ) -> Result<(), TrainError> {
        let settings = &self.config.settings;
        self.container.put(head);
        let task = self.features.tasks()[stage];
        let train = self.evaluation(stage, Split::Train, head)?;
        let loss = Tensor::from(train.loss);
        trained.add(&loss, None, train.clips.len());
        trained.end(task, self.data.tasks[task].train.len())?;
        let evaluations = [
            self.evaluation(stage, Split::Validation, head)?,
            self.evaluation(stage, Split::Test, head)?,
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
            ended_by: extend::LAST_EPOCH.to_owned(),
            evaluations,
            state: Kept::by(&Finetune),
            skipped: Vec::new(),
            unlearning: Vec::new(),
        };
        record.task_ended(end, self.container.learner(), &mut self.clock)
    }

    /// What `head` says of one list of `stage`.
    fn evaluation(
        &self,
        stage: usize,
        split: Split,
        head: &LinearHead,
    ) -> Result<Evaluation, TrainError> {
        let begun = Instant::now();
        let task = self.features.tasks()[stage];
        let clips = self.features.list(stage, split).iter();
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
