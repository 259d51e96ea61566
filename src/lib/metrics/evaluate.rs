//! Every figure of one set of predictions.

use super::confusion::{argmax, one_vs_rest, true_by_predicted};
use super::ratio::{div, ratio};
use super::{Criterion, Figures, MetricsError, PrCurve, Predictions, Ranking};

/// What an evaluation finds.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    /// The number of clips judged.
    pub clips: usize,
    /// The figures that tables, forgetting and reports are made of.
    pub figures: Figures,
    /// The class predicted for each clip, `[N]`: the one with the largest probability.
    pub predicted: Vec<usize>,
    /// Counts of clips, `[C][C]`, rows the true class, columns the predicted one.
    pub confusion: Vec<Vec<u64>>,
    /// Multilabel only: per class `[[tn, fp], [fn, tp]]` at 0.5, `[C]`.
    pub confusion_at_half: Option<Vec<[[u64; 2]; 2]>>,
    /// The precision-recall curve of each class, `[C]`.
    pub pr_curves: Vec<PrCurve>,
}

/// Judges predictions by every figure there is.
///
/// # Errors
/// When the predictions are not what [`Predictions`] promises.
pub fn evaluate(predictions: &Predictions<'_>) -> Result<Metrics, MetricsError> {
    predictions.check()?;
    let p = predictions;
    let clips = p.clips();
    let labels = p.labels;
    let rankings = rankings(p);
    let predicted: Vec<usize> = (0..clips).map(|i| argmax(p.row(i))).collect();
    let confusion = true_by_predicted(labels, &predicted, p.classes);
    let rows: Vec<u64> = confusion.iter().map(|row| row.iter().sum()).collect();
    let columns: Vec<u64> = (0..p.classes)
        .map(|c| confusion.iter().map(|row| row[c]).sum())
        .collect();
    let ap_per_class = ap_per_class(&rankings, labels);
    let each_class =
        |figure: &dyn Fn(usize) -> f64| (0..p.classes).map(|c| Some(figure(c))).collect();
    let n = clips as u64;
    let correct = (0..p.classes).map(|c| confusion[c][c]).sum();
    let mut figures = Figures {
        accuracy: share(correct, n),
        mean_ap: super::mean_defined(ap_per_class.iter().copied()),
        mean_ap_weighted: weighted_mean(&ap_per_class, &rows),
        exact_match: exact_match(p),
        recall_per_class: each_class(&|c| div(confusion[c][c], rows[c])),
        precision_per_class: each_class(&|c| div(confusion[c][c], columns[c])),
        accuracy_per_class: (0..p.classes)
            .map(|c| share(n + 2 * confusion[c][c] - rows[c] - columns[c], n))
            .collect(),
        ap_per_class,
        ..Figures::default()
    };
    for x in 0..p.class_of_subcategory.len() {
        per_subcategory(p, x, &rankings, &predicted, &mut figures);
    }
    let confusion_at_half = (p.criterion == Criterion::Multilabel).then(|| {
        (0..p.classes)
            .map(|c| one_vs_rest(&p.column(c), labels, c))
            .collect()
    });
    let pr_curves = rankings
        .iter()
        .enumerate()
        .map(|(c, ranking)| ranking.curve(|i| labels[i] == c))
        .collect();
    Ok(Metrics {
        clips,
        figures,
        predicted,
        confusion,
        confusion_at_half,
        pr_curves,
    })
}

/// The mean, over the classes that occur, of their average precision: all that the choice of an
/// epoch needs.
///
/// # Errors
/// When the predictions are not what [`Predictions`] promises.
pub fn mean_average_precision(predictions: &Predictions<'_>) -> Result<Option<f64>, MetricsError> {
    predictions.check()?;
    let aps = ap_per_class(&rankings(predictions), predictions.labels);
    Ok(super::mean_defined(aps))
}

/// The ranking of the clips by the probability of each class, `[C]`.
pub(super) fn rankings(predictions: &Predictions<'_>) -> Vec<Ranking> {
    (0..predictions.classes)
        .map(|c| Ranking::new(&predictions.column(c)))
        .collect()
}

/// The average precision of each class against all others, `[C]`.
pub(super) fn ap_per_class(rankings: &[Ranking], labels: &[usize]) -> Vec<Option<f64>> {
    rankings
        .iter()
        .enumerate()
        .map(|(c, ranking)| ranking.average_precision(|_| true, |i| labels[i] == c))
        .collect()
}

/// The mean of the defined values, weighted by the number of clips of their classes.
fn weighted_mean(values: &[Option<f64>], weights: &[u64]) -> Option<f64> {
    let (mut sum, mut total) = (0.0, 0);
    for (value, &weight) in values.iter().zip(weights) {
        if let Some(value) = value {
            sum += value * weight as f64;
            total += weight;
        }
    }
    (total > 0).then(|| sum / total as f64)
}

/// The share of clips for which the true class, and no other, has a probability of at least 0.5.
fn exact_match(p: &Predictions<'_>) -> Option<f64> {
    if p.criterion != Criterion::Multilabel {
        return None;
    }
    let exact = (0..p.clips())
        .filter(|&i| {
            p.row(i)
                .iter()
                .enumerate()
                .all(|(c, &score)| (score >= 0.5) == (p.labels[i] == c))
        })
        .count();
    share(exact as u64, p.clips() as u64)
}

/// Appends the figures of subcategory `x`: its own clips against all clips of other classes, its
/// siblings left out.
fn per_subcategory(
    p: &Predictions<'_>,
    x: usize,
    rankings: &[Ranking],
    predicted: &[usize],
    figures: &mut Figures,
) {
    let class = p.class_of_subcategory[x];
    let own = |i: usize| p.labels[i] == class && p.subcategories[i] == x;
    let other = |i: usize| p.labels[i] != class;
    let (mut own_clips, mut others, mut hits, mut false_hits) = (0_u64, 0_u64, 0_u64, 0_u64);
    for (i, &prediction) in predicted.iter().enumerate() {
        let taken = u64::from(prediction == class);
        if own(i) {
            own_clips += 1;
            hits += taken;
        } else if other(i) {
            others += 1;
            false_hits += taken;
        }
    }
    let n = own_clips + others;
    figures
        .ap_per_subcategory
        .push(rankings[class].average_precision(|i| own(i) || other(i), own));
    figures
        .recall_per_subcategory
        .push(Some(div(hits, own_clips)));
    figures
        .precision_per_subcategory
        .push(Some(div(hits, hits + false_hits)));
    figures
        .accuracy_per_subcategory
        .push(share(hits + others - false_hits, n));
}

/// `part / whole`; `None` where there is nothing.
fn share(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| ratio(part, whole))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_clip_leaves_everything_undefined_and_nothing_panics() {
        let metrics = evaluate(&Predictions {
            probabilities: &[],
            labels: &[],
            subcategories: &[],
            class_of_subcategory: &[0, 1],
            classes: 2,
            criterion: Criterion::Multilabel,
        })
        .unwrap();
        assert_eq!(metrics.figures.accuracy, None);
        assert_eq!(metrics.figures.mean_ap, None);
        assert_eq!(metrics.figures.accuracy_per_class, [None, None]);
        assert_eq!(metrics.figures.accuracy_per_subcategory, [None, None]);
        assert_eq!(metrics.figures.recall_per_class, [Some(0.0), Some(0.0)]);
    }

    #[test]
    fn when_all_clips_are_of_the_first_class_the_others_are_undefined_not_zero() {
        let metrics = evaluate(&Predictions {
            probabilities: &[0.9, 0.1, 0.8, 0.2],
            labels: &[0, 0],
            subcategories: &[0, 0],
            class_of_subcategory: &[0, 1],
            classes: 2,
            criterion: Criterion::Multiclass,
        })
        .unwrap();
        assert_eq!(metrics.figures.ap_per_class, [Some(1.0), None]);
        assert_eq!(metrics.figures.mean_ap, Some(1.0));
        assert_eq!(metrics.figures.exact_match, None);
        assert_eq!(metrics.confusion_at_half, None);
    }

    #[test]
    fn siblings_are_left_out_of_a_subcategory() {
        // Classes 0 (subcategories 0 and 1) and 1 (2). The sibling, clip 1, outranks everything and
        // must not count.
        let metrics = evaluate(&Predictions {
            probabilities: &[0.6, 0.1, 0.9, 0.1, 0.3, 0.8],
            labels: &[0, 0, 1],
            subcategories: &[0, 1, 2],
            class_of_subcategory: &[0, 0, 1],
            classes: 2,
            criterion: Criterion::Multilabel,
        })
        .unwrap();
        assert_eq!(metrics.figures.ap_per_subcategory[0], Some(1.0));
        assert_eq!(metrics.figures.accuracy_per_subcategory[0], Some(1.0));
    }
}
