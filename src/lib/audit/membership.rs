//! How well one score tells members from others.
//!
//! A clip is called a member when its score is at or above a threshold, so equal scores are always
//! called alike. Read every figure as a difference to that of the reference, for which the same
//! clips are no members: siblings of a withdrawn subcategory alone can make it differ from one
//! half.

use super::AuditError;
use super::error::numbers;

/// At most so many folds choose the threshold that the others are judged by.
const FOLDS: usize = 10;
/// Accuracies this near count as equal.
const EQUAL: f64 = 1e-12;

/// The figures of an attack on members and others; `None` where a side is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Attack {
    /// Area under the ROC curve, 0..1; 0.5 tells nothing, below it is as telling as above it. Never
    /// folded.
    pub auc: Option<f64>,
    /// The largest true positive rate with at most 1 % false positives, rounded down to whole
    /// clips.
    pub tpr_at_1: Option<f64>,
    /// The same at 0.1 %.
    pub tpr_at_01: Option<f64>,
    /// Whether there are others enough for one of them to be 1 %; otherwise the rate is that
    /// without any false positive.
    pub resolved_1: bool,
    /// The same for 0.1 %.
    pub resolved_01: bool,
    /// The largest balanced accuracy over thresholds, 0.5..1: chosen on the clips that it is judged
    /// by, so optimistic.
    pub balanced_best: Option<f64>,
    /// Balanced accuracy with thresholds of the other folds, 0..1; `None` with fewer than two clips
    /// on a side.
    pub balanced_cv: Option<f64>,
}

/// Attacks `members` and `others` by their scores, each side in the order of its clips' ids (which
/// assigns the folds).
///
/// # Errors
/// [`AuditError::NotANumber`]; infinite scores are compared as such.
pub fn attack(members: &[f64], others: &[f64]) -> Result<Attack, AuditError> {
    numbers("scores of members", members)?;
    numbers("scores of others", others)?;
    let negatives = others.len();
    let points = roc(members, others);
    let at = |per| (!points.is_empty()).then(|| tpr_at(&points, negatives / per, members.len()));
    let best = points.iter().map(|p| p.balanced(members.len(), negatives));
    Ok(Attack {
        auc: auc(members, others)?,
        tpr_at_1: at(100),
        tpr_at_01: at(1000),
        resolved_1: negatives >= 100,
        resolved_01: negatives >= 1000,
        balanced_best: best.reduce(f64::max),
        balanced_cv: balanced_cv(members, others),
    })
}

/// Area under the ROC curve: the share of pairs in which the member scores higher, ties half;
/// `None` where a side is empty.
///
/// # Errors
/// [`AuditError::NotANumber`].
pub fn auc(members: &[f64], others: &[f64]) -> Result<Option<f64>, AuditError> {
    numbers("scores of members", members)?;
    numbers("scores of others", others)?;
    let points = roc(members, others);
    // Twice the area in whole pairs: exact, whatever the order of the clips.
    let twice: u64 = points
        .windows(2)
        .map(|w| (w[1].false_positives - w[0].false_positives) * (w[0].hits + w[1].hits))
        .map(|area| area as u64)
        .sum();
    let pairs = (members.len() * others.len()) as f64;
    Ok((!points.is_empty()).then(|| twice as f64 / 2.0 / pairs))
}

/// What a threshold calls a member.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RocPoint {
    /// The threshold; infinite where nothing is called a member.
    pub threshold: f64,
    /// Members called so.
    pub hits: usize,
    /// Others called so.
    pub false_positives: usize,
}

impl RocPoint {
    fn balanced(&self, members: usize, others: usize) -> f64 {
        let sensitivity = self.hits as f64 / members as f64;
        let specificity = (others - self.false_positives) as f64 / others as f64;
        f64::midpoint(sensitivity, specificity)
    }
}

/// "None", then every distinct score as a threshold, highest first; empty where a side is empty. No
/// score may be no number.
#[must_use]
pub fn roc(members: &[f64], others: &[f64]) -> Vec<RocPoint> {
    if members.is_empty() || others.is_empty() {
        return Vec::new();
    }
    let mut scores: Vec<(f64, bool)> = members.iter().map(|&s| (s, true)).collect();
    scores.extend(others.iter().map(|&s| (s, false)));
    scores.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut points = vec![RocPoint {
        threshold: f64::INFINITY,
        hits: 0,
        false_positives: 0,
    }];
    // Equality of values and not of bits: -0 and 0 are one threshold.
    #[allow(clippy::float_cmp)]
    for group in scores.chunk_by(|a, b| a.0 == b.0) {
        let before = points[points.len() - 1];
        let hits = group.iter().filter(|(_, member)| *member).count();
        points.push(RocPoint {
            threshold: group[0].0,
            hits: before.hits + hits,
            false_positives: before.false_positives + group.len() - hits,
        });
    }
    points
}

/// The largest true positive rate with at most `allowed` false positives: no interpolation between
/// thresholds.
fn tpr_at(points: &[RocPoint], allowed: usize, members: usize) -> f64 {
    let within = points.iter().filter(|p| p.false_positives <= allowed);
    let hits = within.map(|p| p.hits).max().unwrap_or(0);
    hits as f64 / members as f64
}

fn balanced_cv(members: &[f64], others: &[f64]) -> Option<f64> {
    let folds = FOLDS.min(members.len()).min(others.len());
    if folds < 2 {
        return None;
    }
    let split = |scores: &[f64], fold: usize| {
        let (inside, outside): (Vec<_>, Vec<_>) =
            (0..scores.len()).partition(|i| i % folds == fold);
        let pick = |places: Vec<usize>| places.into_iter().map(|i| scores[i]).collect::<Vec<_>>();
        (pick(inside), pick(outside))
    };
    let (mut hits, mut rejected) = (0, 0);
    for fold in 0..folds {
        let (members_in, members_out) = split(members, fold);
        let (others_in, others_out) = split(others, fold);
        let choice = best_threshold(&members_out, &others_out);
        let called = |s: f64| choice.is_some_and(|threshold| s >= threshold);
        hits += members_in.into_iter().filter(|&s| called(s)).count();
        rejected += others_in.into_iter().filter(|&s| !called(s)).count();
    }
    Some(f64::midpoint(
        hits as f64 / members.len() as f64,
        rejected as f64 / others.len() as f64,
    ))
}

/// The threshold of the largest balanced accuracy, the highest of equal ones; `None` calls nothing
/// a member.
fn best_threshold(members: &[f64], others: &[f64]) -> Option<f64> {
    let points = roc(members, others);
    let accuracy = |p: &RocPoint| p.balanced(members.len(), others.len());
    let best = points.iter().map(accuracy).fold(0.0, f64::max);
    let place = points.iter().position(|p| accuracy(p) >= best - EQUAL)?;
    (place > 0).then(|| points[place].threshold)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_threshold_takes_all_equal_scores_and_nothing_is_interpolated() {
        let found = attack(&[1.0, 1.0, 0.5], &[1.0, 0.0]).unwrap();
        // Pairs: 2 ties and 2 wins for the ones, 0 and 1 for the half.
        assert_eq!(found.auc, Some((2.0 / 2.0 + 2.0 + 1.0) / 6.0));
        assert_eq!(found.tpr_at_1, Some(0.0));
        assert_eq!(found.balanced_best, Some(0.75));
        assert!(attack(&[f64::NAN], &[]).is_err());
    }

    #[test]
    fn infinite_scores_are_scores() {
        let found = attack(&[f64::INFINITY, 1.0], &[f64::NEG_INFINITY, 0.0]).unwrap();
        assert_eq!(found.auc, Some(1.0));
        assert_eq!(found.balanced_best, Some(1.0));
    }

    proptest! {
        #[test]
        fn the_auc_counts_pairs_and_turns_with_the_sign(
            members in prop::collection::vec(-3..4_i32, 1..12),
            others in prop::collection::vec(-3..4_i32, 1..12),
        ) {
            let floats = |v: &[i32], sign: i32| v.iter().map(|&x| f64::from(x * sign)).collect::<Vec<_>>();
            let (a, b) = (floats(&members, 1), floats(&others, 1));
            let pairs = a.iter().flat_map(|x| b.iter().map(move |y| {
                if x > y { 1.0 } else if x < y { 0.0 } else { 0.5 }
            }));
            let by_hand = pairs.sum::<f64>() / (a.len() * b.len()) as f64;
            let ours = auc(&a, &b).unwrap().unwrap();
            prop_assert!((ours - by_hand).abs() < 1e-12);
            let turned = auc(&floats(&members, -1), &floats(&others, -1)).unwrap().unwrap();
            prop_assert!((ours + turned - 1.0).abs() < 1e-12);
            let found = attack(&a, &b).unwrap();
            prop_assert!(found.tpr_at_01 <= found.tpr_at_1);
            prop_assert!(found.balanced_best >= Some(0.5));
        }
    }
}
