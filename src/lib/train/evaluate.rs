//! What the model says of a list of clips, in order, unaugmented, and how good that is.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use tch::{Kind, Tensor, no_grad};

use super::TrainError;
use super::feed::Feed;
use super::learner::Learner;
use super::settings::CriterionName;
use crate::clip::Split;
use crate::data::Dataset;
use crate::metrics::{self, Metrics, Predictions};
use crate::model::Mode;
use crate::tables::PredictionRow;
use crate::taxonomy::Taxonomy;

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
    taxonomy: &Taxonomy,
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
    let samples = clips.iter().map(|&i| &list.samples()[i]);
    let truth = samples.map(|sample| (sample.label, sample.subcategory.as_str()));
    let metrics = judge(taxonomy, learner.criterion(), &probabilities, truth)?;
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

/// The metrics of predictions read back from a table.
///
/// # Errors
/// When the rows are not of this taxonomy.
pub(super) fn judge_rows(
    taxonomy: &Taxonomy,
    criterion: CriterionName,
    rows: &[&PredictionRow],
) -> Result<Metrics, TrainError> {
    let probabilities: Vec<f32> = rows
        .iter()
        .flat_map(|row| row.probabilities.iter().copied())
        .collect();
    let truth = rows
        .iter()
        .map(|row| (i64::from(row.label), row.subcategory.as_str()));
    judge(taxonomy, criterion, &probabilities, truth)
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
