//! What is written down as training goes: history and metrics rows, `TensorBoard` values, a line for people.

use std::time::Instant;

use tch::{Device, Kind, Tensor};

use super::Record;
use super::seed_outputs::Transcript;
use super::summary::Summary;
use super::tensorboard::{self, EventLog, image};
use crate::clip::Split;
use crate::metrics::{self, Figures, Names};
use crate::tables::{HistoryRow, MetricRow, TimingRow};
use crate::train::TrainError;
use crate::train::evaluate::Evaluation;
use crate::train::plan::Plan;
use crate::train::profile::{Clock, Phase};

/// The losses of one epoch of training, summed on the device so that no step waits for them.
#[derive(Debug)]
pub(in crate::train) struct Trained {
    sums: [Tensor; 2],
    clips: usize,
    started: Instant,
    seconds: f64,
    means: [f64; 2],
}

impl Trained {
    pub(in crate::train) fn new(device: Device) -> Self {
        let zero = || Tensor::zeros([], (Kind::Double, device));
        Self {
            sums: [zero(), zero()],
            clips: 0,
            started: Instant::now(),
            seconds: 0.0,
            means: [0.0; 2],
        }
    }

    /// Counts a batch's mean classification loss and penalty, weighted by its clips.
    pub(in crate::train) fn add(&mut self, loss: &Tensor, penalty: Option<&Tensor>, clips: usize) {
        let size = i64::try_from(clips).unwrap_or(i64::MAX);
        for (sum, value) in self.sums.iter_mut().zip([Some(loss), penalty]) {
            if let Some(value) = value {
                *sum += value.detach().to_kind(Kind::Double) * size;
            }
        }
        self.clips += clips;
    }

    /// Ends the epoch: reads the sums.
    ///
    /// # Errors
    /// When there was no clip: a mean over nothing is no loss of 0.
    pub(in crate::train) fn end(&mut self) -> Result<(), TrainError> {
        if self.clips == 0 {
            return Err(TrainError::NoReadableClip);
        }
        #[allow(clippy::cast_precision_loss)] // A number of clips.
        let clips = self.clips as f64;
        self.means = [0, 1].map(|i| self.sums[i].double_value(&[]) / clips);
        self.seconds = self.started.elapsed().as_secs_f64();
        Ok(())
    }

    /// The mean classification loss over the clips.
    pub(in crate::train) fn loss(&self) -> f64 {
        self.means[0]
    }

    /// The mean penalty over the clips; 0 without one.
    pub(in crate::train) fn penalty(&self) -> f64 {
        self.means[1]
    }
}

/// The facts of an epoch.
#[derive(Clone, Copy)]
pub(in crate::train) struct EpochOutcome<'a> {
    pub(in crate::train) task: usize,
    pub(in crate::train) epoch: u32,
    pub(in crate::train) trained: &'a Trained,
    pub(in crate::train) validation: &'a Evaluation,
    /// The rates it was trained with: of one group, or of head and backbone.
    pub(in crate::train) rates: &'a [f64],
    /// The best epoch of the task so far.
    pub(in crate::train) best_epoch: u32,
}

/// Writes down epochs and tasks.
pub(in crate::train) struct Logbook {
    events: EventLog,
    /// Copies of what is printed, as the seed keeps them.
    transcript: Option<Transcript>,
}

/// A task or epoch number as tables have it.
fn number(value: impl TryInto<i32>) -> i32 {
    value.try_into().unwrap_or(i32::MAX)
}

impl Logbook {
    /// Opens the event file behind what done tasks wrote; `transcript` says whether what is printed is kept as text too.
    pub(in crate::train) fn open(record: &Record, transcript: bool) -> Result<Self, TrainError> {
        let folder = record.folder().join(tensorboard::FOLDER);
        Ok(Self {
            events: EventLog::open(&folder, record.progress.tensorboard_bytes)?,
            transcript: transcript
                .then(|| Transcript::start(record.folder()))
                .transpose()?,
        })
    }

    /// Says something on stderr and in the log.
    pub(in crate::train) fn tell(&self, line: &str) -> Result<(), TrainError> {
        tracing::info!("{line}");
        match &self.transcript {
            Some(transcript) => Ok(transcript.stderr(line)?),
            None => Ok(()),
        }
    }

    /// Keeps what the binary prints on stdout.
    pub(in crate::train) fn printed(&self, summary: &Summary) -> Result<(), TrainError> {
        match &self.transcript {
            Some(transcript) => Ok(transcript.stdout(&summary.to_string())?),
            None => Ok(()),
        }
    }

    pub(in crate::train) fn bytes(&self) -> Result<u64, TrainError> {
        Ok(self.events.bytes()?)
    }

    /// Writes down an epoch.
    pub(in crate::train) fn end_of_epoch(
        &mut self,
        record: &mut Record,
        outcome: &EpochOutcome<'_>,
    ) -> Result<(), TrainError> {
        let EpochOutcome {
            task,
            epoch,
            trained,
            validation,
            rates,
            best_epoch,
        } = *outcome;
        let figures = &validation.metrics.figures;
        let head = rates.first().copied();
        let on_train = [
            ("loss", Some(trained.loss())),
            ("penalty", Some(trained.penalty())),
            ("lr_head", head),
            ("lr_backbone", rates.last().copied()),
        ];
        let on_validation = [
            ("loss", Some(validation.loss)),
            ("accuracy", figures.accuracy),
            ("mean_ap", figures.mean_ap),
            ("mean_ap_weighted", figures.mean_ap_weighted),
        ];
        let row = |split| {
            move |(metric, value): (&str, Option<f64>)| HistoryRow {
                task: number(task),
                epoch: number(epoch),
                split,
                metric: metric.to_owned(),
                value,
            }
        };
        record.history.extend(on_train.map(row(Split::Train)));
        record
            .history
            .extend(on_validation.map(row(Split::Validation)));
        record.publish_history()?;
        for (phase, seconds, clips) in [
            ("train", trained.seconds, trained.clips),
            ("validation", validation.seconds, validation.clips.len()),
        ] {
            record.timing.push(TimingRow {
                task: number(task),
                epoch: Some(number(epoch)),
                phase: phase.to_owned(),
                seconds,
                clips: i64::try_from(clips).unwrap_or(i64::MAX),
            });
        }
        let tag = |name: &str| format!("training_task_{task}/{name}");
        self.events.scalar(
            &tag("training_classification_loss"),
            epoch,
            Some(trained.loss()),
        )?;
        for (name, value) in [
            ("classification_loss", Some(validation.loss)),
            ("accuracy", figures.accuracy),
            ("mAP", figures.mean_ap),
            ("weighted_mAP", figures.mean_ap_weighted),
        ] {
            self.events
                .scalar(&tag(&format!("dataset_{task}_{name}")), epoch, value)?;
        }
        self.tell(&format!(
            "task {task} epoch {epoch}: loss {:.4}, penalty {:.4}, validation loss {:.4}, mAP {}, best epoch {best_epoch}, {:.1} s",
            trained.loss(),
            trained.penalty(),
            validation.loss,
            told(figures.mean_ap),
            trained.seconds + validation.seconds,
        ))
    }

    /// Writes down the figures of a task, computed with its best weights on the validation set and on the test set.
    /// `tested` are the test figures of all tasks up to this one.
    pub(in crate::train) fn end_of_task(
        &mut self,
        record: &mut Record,
        plan: &Plan,
        task: usize,
        step: u32,
        evaluations: [&Evaluation; 2],
        tested: &[Figures],
    ) -> Result<(), TrainError> {
        let names = Names {
            categories: &plan.categories,
            subcategories: &plan.subcategories,
        };
        let forgotten = metrics::forgetting_of_figures(&tested.iter().collect::<Vec<_>>());
        for (split, evaluation) in [Split::Validation, Split::Test]
            .into_iter()
            .zip(evaluations)
        {
            let forgotten = (split == Split::Test).then_some(&forgotten);
            let rows = metrics::flatten(&evaluation.metrics, forgotten, names);
            record.metrics.extend(rows.into_iter().map(|row| MetricRow {
                task: number(task),
                split,
                metric: row.metric,
                class: row.class,
                subcategory: row.subcategory,
                value: row.value,
                forgetting: row.forgetting,
            }));
            let list = plan.tasks[task].list(split);
            record
                .predictions
                .extend(evaluation.rows(number(task), split, list));
            record.timing.push(TimingRow {
                task: number(task),
                epoch: None,
                phase: format!("evaluation on {split}"),
                seconds: evaluation.seconds,
                clips: i64::try_from(evaluation.clips.len()).unwrap_or(i64::MAX),
            });
            self.final_values(plan, task, step, split, evaluation)?;
        }
        let test = &evaluations[1].metrics.figures;
        self.tell(&format!(
            "task {task} done: test mAP {}, accuracy {}, forgetting of mAP {}",
            told(test.mean_ap),
            told(test.accuracy),
            told(forgotten.mean_ap),
        ))
    }

    fn final_values(
        &mut self,
        plan: &Plan,
        task: usize,
        step: u32,
        split: Split,
        evaluation: &Evaluation,
    ) -> Result<(), TrainError> {
        let tag = |name: &str| format!("{split}_dataset_{task}/task_{task}_{name}");
        let figures = &evaluation.metrics.figures;
        for (name, value) in [
            ("accuracy", figures.accuracy),
            ("mAP", figures.mean_ap),
            ("weighted_mAP", figures.mean_ap_weighted),
        ] {
            self.events.scalar(&tag(name), step, value)?;
        }
        let curves = image::precision_recall(&evaluation.metrics.pr_curves, &plan.categories);
        self.events
            .image(&tag("pr_curve"), step, &curves, &curves.png()?)?;
        if evaluation.metrics.confusion_at_half.is_none() {
            let matrix = image::confusion(&evaluation.metrics.confusion, &plan.categories);
            self.events
                .image(&tag("confusion_matrix"), step, &matrix, &matrix.png()?)?;
        }
        Ok(())
    }

    /// Writes down how many seconds of `task` went into each phase; the clock runs on over tasks.
    #[allow(clippy::unused_self)] // Everything that is written down goes through the logbook.
    pub(in crate::train) fn note_phases(
        &self,
        record: &mut Record,
        task: usize,
        clock: &mut Clock,
    ) {
        for (phase, seconds) in Phase::ALL.into_iter().zip(clock.lap()) {
            record.timing.push(TimingRow {
                task: number(task),
                epoch: None,
                phase: phase.name().to_owned(),
                seconds,
                clips: 0,
            });
        }
    }
}

/// A figure for people.
pub(in crate::train) fn told(value: Option<f64>) -> String {
    value.map_or_else(|| "undefined".to_owned(), |value| format!("{value:.4}"))
}
