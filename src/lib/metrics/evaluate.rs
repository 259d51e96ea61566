//! Every figure of one set of predictions.

use super::average_precision::Side;
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
    let judged = Judged::new(*predictions)?;
    let p = predictions;
    let labels = p.labels;
    let confusion_at_half = (p.criterion == Criterion::Multilabel).then(|| {
        (0..p.classes)
            .map(|c| one_vs_rest(&p.column(c), labels, c))
            .collect()
    });
    let pr_curves = judged.rankings.iter().enumerate();
    let pr_curves = pr_curves.map(|(c, ranking)| ranking.curve(|i| labels[i] == c));
    Ok(Metrics {
        clips: p.clips(),
        figures: judged.figures(),
        confusion: true_by_predicted(labels, &judged.predicted, p.classes),
        confusion_at_half,
        pr_curves: pr_curves.collect(),
        predicted: judged.predicted,
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
fn rankings(predictions: &Predictions<'_>) -> Vec<Ranking> {
    (0..predictions.classes)
        .map(|c| Ranking::new(&predictions.column(c)))
        .collect()
}

/// The average precision of each class against all others, `[C]`.
fn ap_per_class(rankings: &[Ranking], labels: &[usize]) -> Vec<Option<f64>> {
    let rankings = rankings.iter().enumerate();
    let of = |(c, ranking): (usize, &Ranking)| ranking.average_precision(|i| labels[i] == c);
    rankings.map(of).collect()
}

/// Predictions with what every choice of their clips and labels shares: rankings and decisions.
#[derive(Clone, Debug)]
pub struct Judged<'a> {
    predictions: Predictions<'a>,
    rankings: Vec<Ranking>,
    predicted: Vec<usize>,
}

impl<'a> Judged<'a> {
    /// Ranks and decides.
    ///
    /// # Errors
    /// When the predictions are not what [`Predictions`] promises.
    pub fn new(predictions: Predictions<'a>) -> Result<Self, MetricsError> {
        predictions.check()?;
        let clips = 0..predictions.clips();
        Ok(Self {
            rankings: rankings(&predictions),
            predicted: clips.map(|i| argmax(predictions.row(i))).collect(),
            predictions,
        })
    }

    /// The number of clips.
    #[must_use]
    pub fn clips(&self) -> usize {
        self.predicted.len()
    }

    /// Every figure of the clips as they are.
    #[must_use]
    pub fn figures(&self) -> Figures {
        let p = &self.predictions;
        self.count(&vec![1; p.clips()], p.labels, p.subcategories)
    }

    /// Every figure where clip i occurs `times[i]` times, as in a draw with replacement.
    ///
    /// # Panics
    /// When there are fewer `times` than clips.
    #[must_use]
    pub fn drawn(&self, times: &[u32]) -> Figures {
        let p = &self.predictions;
        let times: Vec<u64> = times.iter().copied().map(u64::from).collect();
        self.count(&times, p.labels, p.subcategories)
    }

    /// Every figure where clip i has the label and the subcategory of clip `places[i]`.
    ///
    /// # Panics
    /// When there are fewer `places` than clips, or one is none of a clip.
    #[must_use]
    pub fn permuted(&self, places: &[usize]) -> Figures {
        let p = &self.predictions;
        let moved = |values: &[usize]| -> Vec<usize> {
            let places = places.iter().take(p.clips());
            places.map(|&place| values[place]).collect()
        };
        let (labels, subcategories) = (moved(p.labels), moved(p.subcategories));
        self.count(&vec![1; p.clips()], &labels, &subcategories)
    }

    /// Every figure of clips that count so many `times` and have those `labels` and
    /// `subcategories`, each `[N]`.
    fn count(&self, times: &[u64], labels: &[usize], subcategories: &[usize]) -> Figures {
        let p = &self.predictions;
        let clips = p.clips();
        let mut confusion = vec![vec![0; p.classes]; p.classes];
        for (i, &predicted) in self.predicted.iter().enumerate() {
            confusion[labels[i]][predicted] += times[i];
        }
        let rows: Vec<u64> = confusion.iter().map(|row| row.iter().sum()).collect();
        let column = |c: usize| confusion.iter().map(|row: &Vec<u64>| row[c]).sum();
        let columns: Vec<u64> = (0..p.classes).map(column).collect();
        let n: u64 = rows.iter().sum();
        let each_class =
            |figure: &dyn Fn(usize) -> f64| (0..p.classes).map(|c| Some(figure(c))).collect();
        let exact = |i: usize| {
            let mut row = p.row(i).iter().enumerate();
            row.all(|(c, &score)| (score >= 0.5) == (labels[i] == c))
        };
        let exact: Option<u64> = (p.criterion == Criterion::Multilabel)
            .then(|| (0..clips).filter(|&i| exact(i)).map(|i| times[i]).sum());
        let mut figures = Figures {
            accuracy: share((0..p.classes).map(|c| confusion[c][c]).sum(), n),
            exact_match: exact.and_then(|exact| share(exact, n)),
            recall_per_class: each_class(&|c| div(confusion[c][c], rows[c])),
            precision_per_class: each_class(&|c| div(confusion[c][c], columns[c])),
            accuracy_per_class: (0..p.classes)
                .map(|c| share(n + 2 * confusion[c][c] - rows[c] - columns[c], n))
                .collect(),
            ..Figures::default()
        };
        self.rank(times, labels, subcategories, &mut figures);
        figures.mean_ap = super::mean_defined(figures.ap_per_class.iter().copied());
        figures.mean_ap_weighted = weighted_mean(&figures.ap_per_class, &rows);
        // A subcategory's own clips stand against all clips of other classes, its siblings left out.
        let (own_clips, hits) = self.own(times, labels, subcategories);
        for (x, &class) in p.class_of_subcategory.iter().enumerate() {
            let others = n - rows[class];
            let false_hits = columns[class] - confusion[class][class];
            figures
                .recall_per_subcategory
                .push(Some(div(hits[x], own_clips[x])));
            figures
                .precision_per_subcategory
                .push(Some(div(hits[x], hits[x] + false_hits)));
            figures
                .accuracy_per_subcategory
                .push(share(hits[x] + others - false_hits, own_clips[x] + others));
        }
        figures
    }

    /// Sets the average precision of each class and of each subcategory.
    fn rank(
        &self,
        times: &[u64],
        labels: &[usize],
        subcategories: &[usize],
        figures: &mut Figures,
    ) {
        let class_of = self.predictions.class_of_subcategory;
        figures.ap_per_subcategory = vec![None; class_of.len()];
        for (class, ranking) in self.rankings.iter().enumerate() {
            let side = |i: usize| {
                if labels[i] == class {
                    Side::Own(Some(subcategories[i]))
                } else {
                    Side::Other
                }
            };
            let (ap, of_parts) = ranking.average_precisions(times, side, class_of.len());
            figures.ap_per_class.push(ap);
            for (x, ap) in of_parts.into_iter().enumerate() {
                if class_of[x] == class {
                    figures.ap_per_subcategory[x] = ap;
                }
            }
        }
    }

    /// How many clips each subcategory has that are of its class, and how many of those are
    /// predicted to be, `[S]` each.
    fn own(
        &self,
        times: &[u64],
        labels: &[usize],
        subcategories: &[usize],
    ) -> (Vec<u64>, Vec<u64>) {
        let class_of = self.predictions.class_of_subcategory;
        let (mut clips, mut hits) = (vec![0; class_of.len()], vec![0; class_of.len()]);
        for (i, &predicted) in self.predicted.iter().enumerate() {
            let x = subcategories[i];
            if labels[i] == class_of[x] {
                clips[x] += times[i];
                hits[x] += times[i] * u64::from(predicted == class_of[x]);
            }
        }
        (clips, hits)
    }
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

    #[test]
    fn a_draw_is_as_the_evaluation_of_the_clips_drawn_and_a_permutation_of_labels_as_theirs() {
        let predictions = Predictions {
            probabilities: &[0.6, 0.1, 0.9, 0.2, 0.3, 0.8, 0.7, 0.4],
            labels: &[0, 0, 1, 1],
            subcategories: &[0, 1, 2, 2],
            class_of_subcategory: &[0, 0, 1],
            classes: 2,
            criterion: Criterion::Multilabel,
        };
        let judged = Judged::new(predictions).unwrap();
        let drawn = Predictions {
            probabilities: &[0.6, 0.1, 0.6, 0.1, 0.3, 0.8, 0.7, 0.4],
            labels: &[0, 0, 1, 1],
            subcategories: &[0, 0, 2, 2],
            ..predictions
        };
        let figures = |p: &Predictions<'_>| evaluate(p).unwrap().figures;
        assert_eq!(judged.drawn(&[2, 0, 1, 1]), figures(&drawn));
        assert_eq!(judged.drawn(&[1; 4]), figures(&predictions));
        let permuted = Predictions {
            labels: &[1, 0, 1, 0],
            subcategories: &[2, 1, 2, 0],
            ..predictions
        };
        assert_eq!(judged.permuted(&[3, 1, 2, 0]), figures(&permuted));
    }
}
