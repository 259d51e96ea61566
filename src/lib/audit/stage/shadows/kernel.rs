//! Exact shadow heads.
//!
//! All share what stays, R. With A = G + l I over R, the head that also has the clips r of the pool
//! says of the pool mu + K[., r] (K[r, r] + l I)^-1 (Y[r] - mu[r]), where K = l H A^-1 H' and
//! mu = H A^-1 Q: one factor and two matrix products over the feature table serve every head, and a
//! head costs a system of the size of r. What is unlearned is subtracted, so that it equals what was
//! never seen: an attack on it must find nothing, which tests the attack and the audit.

use tch::{Device, Kind, Tensor};

use super::super::AuditStageError;
use super::super::models::Matrix;
use super::super::single::Comparison;
use super::pool::Pool;
use crate::audit::lira::Status;

/// The ridge, as a share of trace(G) / M: that of an exact head without validation clips.
const RIDGE: f64 = 1e-2;

/// The logits of the pool by each exact head; none where equations cannot be solved.
pub(super) fn logits(
    comparison: &Comparison<'_>,
    pool: &Pool,
    dealt: &[Vec<Status>],
) -> Result<Option<Vec<Matrix>>, AuditStageError> {
    let (model, retain) = (&comparison.own.model, &comparison.sets.retain);
    let classes = comparison.about.run.taxonomy.classes();
    let retained = matrix(&model.expanded(retain)?);
    let own = [&pool.of_forget, &pool.of_others].map(|set| model.expanded(set));
    let [forget, others] = own;
    let own = Tensor::cat(&[matrix(&forget?), matrix(&others?)], 0);
    let targets = one_hot(&retain.labels(), classes);
    let Some(kernel) = Kernel::beside(&retained, &targets, &own)? else {
        return Ok(None);
    };
    let of = |status: &Vec<Status>| {
        let seen: Vec<bool> = status.iter().map(|s| *s == Status::Retained).collect();
        kernel.logits(&pool.labels, &seen)
    };
    dealt.iter().map(of).collect()
}

/// Ridge heads on any part of the same clips, beside clips that all of them have.
pub(in crate::audit::stage) struct Kernel {
    /// l.
    ridge: f64,
    /// K, `[m, m]`.
    products: Tensor,
    /// mu, `[m, C]`.
    scores: Tensor,
}

impl Kernel {
    /// Heads that all have the clips `retained` `[n, M]` with their `targets` `[n, C]`, and of `own`
    /// `[m, M]` some; none where their equations cannot be solved.
    fn beside(
        retained: &Tensor,
        targets: &Tensor,
        own: &Tensor,
    ) -> Result<Option<Self>, AuditStageError> {
        let gram = retained.tr().matmul(retained);
        let width = gram.size()[0];
        let ridge = RIDGE * gram.trace().double_value(&[]) / width as f64;
        let matrix = gram + Tensor::eye(width, (Kind::Double, Device::Cpu)) * ridge;
        let Some(factor) = factor(&matrix)? else {
            return Ok(None);
        };
        let weights = retained.tr().matmul(targets);
        let weights = weights.f_cholesky_solve(&factor, false)?;
        Ok(Some(Self {
            ridge,
            products: own.matmul(&own.tr().f_cholesky_solve(&factor, false)?) * ridge,
            scores: own.matmul(&weights),
        }))
    }

    /// Heads that have some of the clips whose features are `own`, and nothing else.
    pub(in crate::audit::stage) fn alone(own: &Matrix, classes: usize) -> Self {
        let own = matrix(own);
        let (clips, width) = (own.size()[0], own.size()[1]);
        let products = own.matmul(&own.tr());
        let classes = i64::try_from(classes).unwrap_or(i64::MAX);
        Self {
            ridge: RIDGE * products.trace().double_value(&[]) / width.max(1) as f64,
            scores: Tensor::zeros([clips, classes], (Kind::Double, Device::Cpu)),
            products,
        }
    }

    /// The logits of the clips, whose classes are `labels`, by the head that has `seen` of them; none
    /// where its equations cannot be solved.
    ///
    /// # Errors
    /// When libtorch refuses.
    pub(in crate::audit::stage) fn logits(
        &self,
        labels: &[usize],
        seen: &[bool],
    ) -> Result<Option<Matrix>, AuditStageError> {
        let places = (0..).zip(seen).filter(|(_, seen)| **seen);
        let places: Vec<i64> = places.map(|(place, _)| place).collect();
        let classes = usize::try_from(self.scores.size()[1]).unwrap_or(0);
        let scores = if places.is_empty() {
            self.scores.shallow_clone()
        } else {
            let places = Tensor::from_slice(&places);
            let columns = self.products.index_select(1, &places);
            let size = places.size()[0];
            let system = columns.index_select(0, &places)
                + Tensor::eye(size, (Kind::Double, Device::Cpu)) * self.ridge;
            let missing = one_hot(labels, classes) - &self.scores;
            let Some(factor) = factor(&system)? else {
                return Ok(None);
            };
            let missing = missing.index_select(0, &places);
            &self.scores + columns.matmul(&missing.f_cholesky_solve(&factor, false)?)
        };
        // The link of exact heads.
        let logits = (scores * 2.0 - 1.0) * 4.0;
        Ok(Some(Matrix {
            values: Vec::<f64>::try_from(logits.contiguous().reshape([-1]))?,
            count: labels.len(),
            width: classes,
        }))
    }
}

/// Cholesky's factor; none of a matrix that is not positive definite.
fn factor(matrix: &Tensor) -> Result<Option<Tensor>, AuditStageError> {
    let (factor, failed) = matrix.f_linalg_cholesky_ex(false, false)?;
    Ok((failed.int64_value(&[]) == 0).then_some(factor))
}

/// A matrix as a tensor of 64-bit floats.
pub(super) fn matrix(matrix: &Matrix) -> Tensor {
    let shape = [matrix.count, matrix.width].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    Tensor::from_slice(&matrix.values).reshape(shape)
}

/// Classes as rows with a 1, `[N, C]`.
fn one_hot(labels: &[usize], classes: usize) -> Tensor {
    let labels = labels
        .iter()
        .map(|&class| i64::try_from(class).unwrap_or(0));
    let classes = i64::try_from(classes).unwrap_or(i64::MAX);
    Tensor::from_slice(&labels.collect::<Vec<_>>())
        .one_hot(classes)
        .to_kind(Kind::Double)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ridge regression by its normal equations.
    fn by_normal_equations(features: &Tensor, targets: &Tensor, of: &Tensor, l: f64) -> Vec<f64> {
        let gram = features.tr().matmul(features);
        let matrix = &gram + Tensor::eye(gram.size()[0], (Kind::Double, Device::Cpu)) * l;
        let weights = matrix.inverse().matmul(&features.tr().matmul(targets));
        let logits = (of.matmul(&weights) * 2.0 - 1.0) * 4.0;
        Vec::<f64>::try_from(logits.reshape([-1])).unwrap()
    }

    fn some(count: usize) -> Matrix {
        let value = |i: usize| ((i * 7 + i * i * 3) % 13) as f64 / 13.0 - 0.4;
        Matrix {
            values: (0..count * 3).map(value).collect(),
            count,
            width: 3,
        }
    }

    #[test]
    fn a_head_of_the_kernel_is_the_ridge_of_the_clips_that_it_has() {
        let all = some(9);
        let whole = matrix(&all);
        let (retained, own) = (whole.slice(0, 0, 4, 1), whole.slice(0, 4, 9, 1));
        let labels = [0, 1, 0, 1, 1, 0, 0, 1, 0];
        let targets = one_hot(&labels, 2);
        let seen = [true, false, true, true, false];
        let has = Tensor::from_slice(&[0_i64, 1, 2, 3, 4, 6, 7]);
        let (features, of_them) = (whole.index_select(0, &has), targets.index_select(0, &has));
        let beside = Kernel::beside(&retained, &targets.slice(0, 0, 4, 1), &own);
        let beside = beside.unwrap().unwrap();
        let found = beside.logits(&labels[4..], &seen).unwrap().unwrap();
        let expected = by_normal_equations(&features, &of_them, &own, beside.ridge);
        for (a, b) in found.values.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
        let alone = Kernel::alone(&all, 2);
        let seen: Vec<bool> = (0..9)
            .map(|clip| [0, 1, 2, 3, 4, 6, 7].contains(&clip))
            .collect();
        let found = alone.logits(&labels, &seen).unwrap().unwrap();
        let expected = by_normal_equations(&features, &of_them, &whole, alone.ridge);
        for (a, b) in found.values.iter().zip(&expected) {
            assert!((a - b).abs() < 1e-9, "{a} {b}");
        }
        let nothing = alone.logits(&labels, &[false; 9]).unwrap().unwrap();
        assert!(nothing.values.iter().all(|z| (z + 4.0).abs() < 1e-12));
    }
}
