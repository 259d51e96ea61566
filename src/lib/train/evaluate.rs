//! What the model says of a list of clips, in order, unaugmented, and how good that is.

use std::collections::HashMap;
use std::time::Instant;

use tch::{Device, Kind, Tensor, no_grad};

use super::TrainError;
use super::approach::DeviceBatch;
use super::dealt::Outcome;
use super::learner::Learner;
use super::settings::CriterionName;
use crate::clip::Split;
use crate::data::Dataset;
use crate::metrics::{self, Metrics, Predictions};
use crate::model::Mode;
use crate::model::state_dict::StateDict;
use crate::tables::PredictionRow;
use crate::taxonomy::Taxonomy;

/// What the sum of losses is called in a state.
const LOSS: &str = "loss";
/// What the probabilities are called in a state.
const PROBABILITIES: &str = "probabilities";

/// The outcome of one evaluation.
#[derive(Clone, Debug)]
pub struct Evaluation {
    /// Mean classification loss over the clips.
    pub loss: f64,
    /// Probabilities, row-major [N, C].
    pub probabilities: Vec<f32>,
    /// Every figure.
    pub metrics: Metrics,
    /// The clips judged, as indices into the list.
    pub clips: Vec<usize>,
    /// Seconds that it took.
    pub seconds: f64,
}

impl CriterionName {
    /// The same criterion as the metrics call it.
    #[must_use]
    pub fn of_metrics(self) -> metrics::Criterion {
        match self {
            Self::Multilabel => metrics::Criterion::Multilabel,
            Self::Multiclass => metrics::Criterion::Multiclass,
        }
    }
}

/// What the model has said of a list so far.
#[derive(Debug)]
pub(super) struct Answers {
    /// Sum of the clips' losses.
    loss: Tensor,
    /// Probabilities [n, C] of each batch.
    parts: Vec<Tensor>,
    clips: Vec<usize>,
    begun: Instant,
}

impl Answers {
    /// Nothing said yet.
    pub(super) fn new(device: Device) -> Self {
        Self {
            loss: Tensor::zeros([], (Kind::Double, device)),
            parts: Vec::new(),
            clips: Vec::new(),
            begun: Instant::now(),
        }
    }

    /// Answers about `clips`, from what [`Answers::state`] gave.
    pub(super) fn of(device: Device, clips: Vec<usize>, state: &StateDict) -> Self {
        let mut answers = Self::new(device);
        if let (Some(loss), Some(said)) = (state.get(LOSS), state.get(PROBABILITIES)) {
            answers.loss = loss.to_device(device);
            answers.parts.push(said.to_device(device));
            answers.clips = clips;
        }
        answers
    }

    /// The answers by name; none before the first.
    pub(super) fn state(&self) -> StateDict {
        if self.parts.is_empty() {
            return StateDict::new();
        }
        StateDict::from([
            (LOSS.to_owned(), self.loss.shallow_clone()),
            (PROBABILITIES.to_owned(), Tensor::cat(&self.parts, 0)),
        ])
    }

    /// The clips judged so far, as indices into the list.
    pub(super) fn clips(&self) -> &[usize] {
        &self.clips
    }

    /// Takes in the answer about a batch, if any of its clips was read.
    pub(super) fn add(&mut self, outcome: &Outcome) {
        if !outcome.was_computed() {
            return;
        }
        let (clips, values) = (outcome.samples.len(), &outcome.values);
        let size = i64::try_from(clips).unwrap_or(i64::MAX);
        self.loss += values.get(0).to_kind(Kind::Double) * size;
        let said = values.slice(0, 1, None, 1);
        self.parts.push(said.reshape([size, -1]));
        self.clips.extend_from_slice(&outcome.samples);
    }

    /// How good the answers about the whole `list`, that of `split` of `task`, are.
    ///
    /// # Errors
    /// When no clip could be read, or the model has said something that is no probability.
    pub(super) fn judge(
        &self,
        criterion: CriterionName,
        taxonomy: &Taxonomy,
        (task, split): (usize, Split),
        list: &Dataset,
    ) -> Result<Evaluation, TrainError> {
        if self.clips.is_empty() {
            return Err(TrainError::NoReadableClip {
                task,
                split,
                listed: list.len(),
            });
        }
        let probabilities = Vec::<f32>::try_from(Tensor::cat(&self.parts, 0).reshape([-1]))?;
        let samples = self.clips.iter().map(|&i| &list.samples()[i]);
        let truth = samples.map(|sample| (sample.label, sample.subcategory.as_str()));
        let metrics = judge(taxonomy, criterion, &probabilities, truth)?;
        #[allow(clippy::cast_precision_loss)] // A number of clips.
        let loss = self.loss.double_value(&[]) / self.clips.len() as f64;
        Ok(Evaluation {
            loss,
            probabilities,
            metrics,
            clips: self.clips.clone(),
            seconds: self.begun.elapsed().as_secs_f64(),
        })
    }
}

/// What `learner` answers about a batch in evaluation mode: its mean loss, then the probabilities [n, C] of its clips, row by
/// row; 32-bit floats in one dimension.
pub(super) fn answer(learner: &Learner, batch: &DeviceBatch) -> Tensor {
    no_grad(|| {
        let logits = learner.forward(&batch.clips, Mode::Evaluate).logits;
        let loss = learner.criterion().loss(&logits, &batch.labels);
        let said = learner.criterion().probabilities(&logits);
        let parts = [loss, said].map(|part| part.to_kind(Kind::Float).reshape([-1]));
        Tensor::cat(&parts, 0)
    })
}

/// The evaluation of a whole list whose `logits` [N, C] are known, in its order.
///
/// # Errors
/// When they make no probabilities.
pub(super) fn of_logits(
    criterion: CriterionName,
    taxonomy: &Taxonomy,
    list: &Dataset,
    logits: &Tensor,
    begun: Instant,
) -> Result<Evaluation, TrainError> {
    let labels: Vec<i64> = list.samples().iter().map(|sample| sample.label).collect();
    let loss = criterion.loss(logits, &Tensor::from_slice(&labels));
    let probabilities = criterion.probabilities(logits).to_kind(Kind::Float);
    let probabilities = Vec::<f32>::try_from(probabilities.reshape([-1]))?;
    let samples = list.samples().iter();
    let truth = samples.map(|sample| (sample.label, sample.subcategory.as_str()));
    let metrics = judge(taxonomy, criterion, &probabilities, truth)?;
    Ok(Evaluation {
        loss: loss.double_value(&[]),
        probabilities,
        metrics,
        clips: (0..list.len()).collect(),
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Every figure of `probabilities` [N, C] for clips of which `truth` gives label and subcategory.
fn judge<'a>(
    taxonomy: &Taxonomy,
    criterion: CriterionName,
    probabilities: &[f32],
    truth: impl Iterator<Item = (i64, &'a str)>,
) -> Result<Metrics, TrainError> {
    let (classes, names): (Vec<usize>, Vec<&str>) = taxonomy.subcategories().unzip();
    let places: HashMap<&str, usize> = names.into_iter().zip(0..).collect();
    // What the taxonomy does not know has no place in the metrics either, which refuse it.
    let unknown = usize::MAX;
    let (labels, subcategories): (Vec<usize>, Vec<usize>) = truth
        .map(|(label, subcategory)| {
            let place = places.get(subcategory).copied();
            (
                usize::try_from(label).unwrap_or(unknown),
                place.unwrap_or(unknown),
            )
        })
        .unzip();
    Ok(metrics::evaluate(&Predictions {
        probabilities,
        labels: &labels,
        subcategories: &subcategories,
        class_of_subcategory: &classes,
        classes: taxonomy.classes(),
        criterion: criterion.of_metrics(),
    })?)
}

impl Evaluation {
    /// The evaluation as rows of `predictions.parquet`.
    #[must_use]
    pub fn rows(&self, task: i32, split: Split, list: &Dataset) -> Vec<PredictionRow> {
        let classes = self.probabilities.len() / self.clips.len().max(1);
        self.clips
            .iter()
            .zip(self.probabilities.chunks(classes.max(1)))
            .zip(&self.metrics.predicted)
            .map(|((&clip, probabilities), &predicted)| {
                let sample = &list.samples()[clip];
                PredictionRow {
                    task,
                    split,
                    position: sample.position,
                    clip_id: sample.clip_id.clone(),
                    // Class indices are small.
                    label: i32::try_from(sample.label).unwrap_or(i32::MAX),
                    subcategory: sample.subcategory.clone(),
                    prediction: i32::try_from(predicted).unwrap_or(i32::MAX),
                    probabilities: probabilities.to_vec(),
                }
            })
            .collect()
    }
}
