//! What the model says of a list of clips, in order, unaugmented, and how good that is.

use std::sync::Arc;
use std::time::Instant;

use tch::{Kind, Tensor, no_grad};

use super::TrainError;
use super::feed::Feed;
use super::learner::Learner;
use super::plan::Plan;
use super::settings::CriterionName;
use crate::clip::Split;
use crate::data::{Dataset, Sample};
use crate::metrics::{self, Metrics, Predictions};
use crate::model::Mode;
use crate::tables::PredictionRow;

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

/// Evaluates `learner` on `list`.
///
/// # Errors
/// When a clip cannot be loaded, or the model says something that is no probability.
pub(super) fn evaluate(
    learner: &Learner,
    plan: &Plan,
    list: &Arc<Dataset>,
    feed: &mut Feed,
) -> Result<Evaluation, TrainError> {
    let begun = Instant::now();
    let mut loss = Tensor::zeros([], (Kind::Double, learner.device()));
    let (mut clips, mut parts) = (Vec::new(), Vec::new());
    let mut batches = feed.in_order(list);
    while let Some(batch) = feed.next_untimed(list, &mut batches)? {
        no_grad(|| {
            let logits = learner.forward(&batch.device.clips, Mode::Evaluate).logits;
            let size = i64::try_from(batch.samples.len()).unwrap_or(i64::MAX);
            loss += learner
                .criterion()
                .loss(&logits, &batch.device.labels)
                .to_kind(Kind::Double)
                * size;
            parts.push(learner.criterion().probabilities(&logits));
        });
        clips.extend_from_slice(&batch.samples);
        feed.recycle(batch);
    }
    if clips.is_empty() {
        return Err(TrainError::NoReadableClip);
    }
    let probabilities =
        Vec::<f32>::try_from(Tensor::cat(&parts, 0).to_kind(Kind::Float).reshape([-1]))?;
    let samples: Vec<&Sample> = clips.iter().map(|&i| &list.samples()[i]).collect();
    let metrics = judge(
        plan,
        learner.criterion(),
        &probabilities,
        samples.into_iter(),
    )?;
    #[allow(clippy::cast_precision_loss)] // A number of clips.
    let loss = loss.double_value(&[]) / clips.len() as f64;
    Ok(Evaluation {
        loss,
        probabilities,
        metrics,
        clips,
        seconds: begun.elapsed().as_secs_f64(),
    })
}

/// Every figure of `probabilities` [N, C] for `samples`.
fn judge<'a>(
    plan: &Plan,
    criterion: CriterionName,
    probabilities: &[f32],
    samples: impl Iterator<Item = &'a Sample>,
) -> Result<Metrics, TrainError> {
    let (labels, subcategories): (Vec<usize>, Vec<usize>) = samples
        .map(|s| {
            (
                usize::try_from(s.label).unwrap_or(usize::MAX),
                plan.subcategory(&s.subcategory).unwrap_or(usize::MAX),
            )
        })
        .unzip();
    Ok(metrics::evaluate(&Predictions {
        probabilities,
        labels: &labels,
        subcategories: &subcategories,
        class_of_subcategory: &plan.class_of_subcategory(),
        classes: plan.classes(),
        criterion: criterion.of_metrics(),
    })?)
}

/// The metrics of predictions read back from a table.
///
/// # Errors
/// When the rows are not those of this plan.
pub(super) fn judge_rows(
    plan: &Plan,
    criterion: CriterionName,
    rows: &[&PredictionRow],
) -> Result<Metrics, TrainError> {
    let probabilities: Vec<f32> = rows
        .iter()
        .flat_map(|row| row.probabilities.iter().copied())
        .collect();
    let (labels, subcategories): (Vec<usize>, Vec<usize>) = rows
        .iter()
        .map(|row| {
            (
                usize::try_from(row.label).unwrap_or(usize::MAX),
                plan.subcategory(&row.subcategory).unwrap_or(usize::MAX),
            )
        })
        .unzip();
    Ok(metrics::evaluate(&Predictions {
        probabilities: &probabilities,
        labels: &labels,
        subcategories: &subcategories,
        class_of_subcategory: &plan.class_of_subcategory(),
        classes: plan.classes(),
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
