//! Decisions and how they are mistaken for one another.

/// The class with the largest probability; the lowest class wins a tie. 0 for an empty row.
#[must_use]
pub fn argmax(row: &[f32]) -> usize {
    let mut best = 0;
    for (class, p) in row.iter().enumerate() {
        if *p > row[best] {
            best = class;
        }
    }
    best
}

/// Counts of clips, `[C][C]`: rows the true class, columns the predicted one.
///
/// # Panics
/// When a class is not below `classes`.
#[must_use]
pub fn true_by_predicted(labels: &[usize], predictions: &[usize], classes: usize) -> Vec<Vec<u64>> {
    let mut counts = vec![vec![0; classes]; classes];
    for (&label, &prediction) in labels.iter().zip(predictions) {
        counts[label][prediction] += 1;
    }
    counts
}

/// `[[tn, fp], [fn, tp]]` of one class, predicted where its probability is at least 0.5.
#[must_use]
pub fn one_vs_rest(scores: &[f32], labels: &[usize], class: usize) -> [[u64; 2]; 2] {
    let mut counts = [[0; 2]; 2];
    for (&score, &label) in scores.iter().zip(labels) {
        counts[usize::from(label == class)][usize::from(score >= 0.5)] += 1;
    }
    counts
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lowest_class_wins_a_tie() {
        assert_eq!(argmax(&[0.1, 0.7, 0.7]), 1);
        assert_eq!(argmax(&[0.0; 4]), 0);
    }

    #[test]
    fn rows_are_true_and_columns_predicted() {
        assert_eq!(
            true_by_predicted(&[0, 0, 1], &[0, 1, 1], 2),
            [[1, 1], [0, 1]]
        );
        assert_eq!(
            one_vs_rest(&[0.5, 0.4, 0.6], &[1, 1, 0], 1),
            [[0, 1], [1, 1]]
        );
    }
}
