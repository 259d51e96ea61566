//! Symmetric positive definite systems of equations, solved by Cholesky factors in 64-bit floats.

/// The lower triangular factor L of a symmetric positive definite matrix A = L L'.
#[derive(Clone, Debug, PartialEq)]
pub struct Cholesky {
    /// L, row-major, its upper triangle unused.
    lower: Vec<f64>,
    size: usize,
}

impl Cholesky {
    /// Factors `matrix` `[size, size]`, row-major, of which the lower triangle is read; `None`
    /// where it is not positive definite in the precision at hand, or holds what is no number.
    ///
    /// About size^3 / 3 multiplications, in memory of one more matrix.
    ///
    /// # Panics
    /// When `matrix` is not `size` squared values.
    #[must_use]
    pub fn new(matrix: &[f64], size: usize) -> Option<Self> {
        assert_eq!(matrix.len(), size * size, "a square matrix");
        let mut lower = matrix.to_vec();
        for row in 0..size {
            let (above, here) = lower.split_at_mut(row * size);
            for column in 0..row {
                let other = &above[column * size..=column * size + column];
                let sum = dot(&here[..column], &other[..column]);
                here[column] = (here[column] - sum) / other[column];
            }
            let pivot = here[row] - dot(&here[..row], &here[..row]);
            // Also false for what is no number.
            if !(pivot > 0.0 && pivot.is_finite()) {
                return None;
            }
            here[row] = pivot.sqrt();
        }
        Some(Self { lower, size })
    }

    /// X of A X = B, for `right` = B `[size, columns]`, row-major; X likewise.
    ///
    /// # Panics
    /// When `right` is not `size` rows of `columns`.
    #[must_use]
    pub fn solve(&self, right: &[f64], columns: usize) -> Vec<f64> {
        assert_eq!(right.len(), self.size * columns, "a row for each unknown");
        let mut solution = right.to_vec();
        for row in 0..self.size {
            self.eliminate(&mut solution, columns, row, 0..row, |other| {
                row * self.size + other
            });
        }
        for row in (0..self.size).rev() {
            let below = row + 1..self.size;
            self.eliminate(&mut solution, columns, row, below, |other| {
                other * self.size + row
            });
        }
        solution
    }

    /// Takes the known rows `others` out of row `row` of the solution and divides it by the pivot.
    fn eliminate(
        &self,
        solution: &mut [f64],
        columns: usize,
        row: usize,
        others: std::ops::Range<usize>,
        factor_at: impl Fn(usize) -> usize,
    ) {
        for other in others {
            let factor = self.lower[factor_at(other)];
            for column in 0..columns {
                solution[row * columns + column] -= factor * solution[other * columns + column];
            }
        }
        let pivot = self.lower[row * self.size + row];
        for value in &mut solution[row * columns..(row + 1) * columns] {
            *value /= pivot;
        }
    }
}

/// How many sums a dot product runs side by side, so that the processor need not wait for one
/// addition after another.
const LANES: usize = 8;

/// The dot product of two slices of one length, in an order that does not depend on the machine.
#[must_use]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; LANES];
    let (a_chunks, b_chunks) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = a_chunks.remainder().iter().zip(b_chunks.remainder());
    let rest: f64 = rest.map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for lane in 0..LANES {
            sums[lane] += a[lane] * b[lane];
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_is_not_positive_definite_has_no_factor() {
        assert!(Cholesky::new(&[1.0, 2.0, 2.0, 1.0], 2).is_none());
        assert!(Cholesky::new(&[0.0], 1).is_none());
        assert!(Cholesky::new(&[f64::NAN], 1).is_none());
        assert!(Cholesky::new(&[f64::INFINITY], 1).is_none());
        assert_eq!(Cholesky::new(&[], 0).unwrap().solve(&[], 3), [0.0; 0]);
    }

    #[test]
    fn two_equations_are_solved() {
        let factor = Cholesky::new(&[4.0, 0.0, 2.0, 3.0], 2).unwrap();
        // 4x + 2y = 8, 2x + 3y = 8: only the lower triangle was read.
        let solution = factor.solve(&[8.0, 8.0], 1);
        assert!((solution[0] - 1.0).abs() < 1e-12 && (solution[1] - 2.0).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_solution_satisfies_its_equations(
            values in prop::collection::vec(-1.0..1.0_f64, 11 * 11),
            right in prop::collection::vec(-1.0..1.0_f64, 11 * 2),
        ) {
            let n = 11;
            let row = |i: usize| &values[i * n..(i + 1) * n];
            let mut matrix: Vec<f64> = (0..n * n).map(|at| dot(row(at / n), row(at % n))).collect();
            for i in 0..n {
                matrix[i * n + i] += 0.1;
            }
            let solution = Cholesky::new(&matrix, n).unwrap().solve(&right, 2);
            for i in 0..n {
                for c in 0..2 {
                    let sum: f64 = (0..n).map(|j| matrix[i * n + j] * solution[j * 2 + c]).sum();
                    prop_assert!((sum - right[i * 2 + c]).abs() < 1e-9);
                }
            }
        }
    }
}
