//! Ridge and RanPAC: what arrives is added to sums, what leaves is subtracted. Cost of a withdrawal: a
//! pass over F's features; over those of all that stay where a refit is due.

use tch::Tensor;

use super::features::{Features, HeadClip};
use super::head::Head;
use crate::clip::Split;
use crate::train::TrainError;
use crate::unlearning::exact_head::{Clip, ExactHead, Expansion};
use crate::unlearning::linear_head::LinearHead;
use crate::unlearning::sets::change;

/// Solves a symmetric positive definite system by LAPACK's factor; `None` where there is none.
fn by_lapack(matrix: &[f64], size: usize, right: &[f64], columns: usize) -> Option<Vec<f64>> {
    let shape =
        |rows: usize, columns: usize| [rows, columns].map(|n| i64::try_from(n).unwrap_or(i64::MAX));
    let matrix = Tensor::from_slice(matrix).reshape(shape(size, size));
    let (factor, failed) = matrix.f_linalg_cholesky_ex(false, false).ok()?;
    if failed.int64_value(&[]) != 0 {
        return None;
    }
    let right = Tensor::from_slice(right).reshape(shape(size, columns));
    let solved = right.f_cholesky_solve(&factor, false).ok()?;
    let solved = Vec::<f64>::try_from(solved.contiguous().reshape([-1])).ok()?;
    solved.iter().all(|x| x.is_finite()).then_some(solved)
}

/// An exact head that goes from stage to stage, or is fitted anew in each: the same to 1e-9.
pub(super) struct Exact<'a> {
    head: ExactHead,
    expansion: Expansion,
    anew: bool,
    features: &'a Features,
}

impl<'a> Exact<'a> {
    pub(super) fn new(expansion: Expansion, anew: bool, features: &'a Features) -> Self {
        Self {
            head: ExactHead::new(expansion.clone(), features.classes()),
            expansion,
            anew,
            features,
        }
    }

    /// Subtracts what `stage` withdraws and adds what arrives.
    fn follow(&mut self, stage: usize) -> Result<(), TrainError> {
        let ids = self.features.train_ids();
        let found = change(&ids, stage);
        let clip = |stage: usize, id: &str| {
            let list = self.features.list(stage, Split::Train);
            list.iter().find(|clip| clip.id == id).map(HeadClip::exact)
        };
        // The ids are of these very lists.
        for clip in found.forget.iter().filter_map(|id| clip(stage - 1, id)) {
            self.head.remove(clip)?;
        }
        for clip in found.arrived.iter().filter_map(|id| clip(stage, id)) {
            self.head.add(clip)?;
        }
        Ok(())
    }

    fn refit(&mut self, stage: usize) -> Result<(), TrainError> {
        let list = self.features.list(stage, Split::Train);
        Ok(self.head.refit(list.iter().map(HeadClip::exact))?)
    }
}

impl Head for Exact<'_> {
    fn advance(&mut self, stage: usize) -> Result<LinearHead, TrainError> {
        if self.anew {
            self.head = ExactHead::new(self.expansion.clone(), self.features.classes());
            self.refit(stage)?;
        } else {
            self.follow(stage)?;
            if self.head.wants_refit() {
                self.refit(stage)?;
            }
        }
        let validation = self.features.list(stage, Split::Validation);
        let validation: Vec<Clip<'_>> = validation.iter().map(HeadClip::exact).collect();
        let mut ridge = self.head.fit_by(&by_lapack, &validation)?;
        if ridge.is_none() {
            self.refit(stage)?;
            ridge = self.head.fit_by(&by_lapack, &validation)?;
        }
        let task = self.features.tasks()[stage];
        let ridge = ridge.ok_or(TrainError::NoRidge { task })?;
        Ok(LinearHead::of_exact(&self.head, &ridge))
    }
}
