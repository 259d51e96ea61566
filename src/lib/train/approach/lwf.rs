//! Learning without Forgetting (Li and Hoiem, <https://arxiv.org/abs/1606.09282>), as the seed has
//! it: the model's own logits on the new clips are held to those that it gave before the task.

use std::path::Path;

use tch::{Kind, Tensor};

use super::teacher::TeacherOfTask;
use super::{Approach, Step};
use crate::model::state_dict::StateDict;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::{CriterionName, Settings};

/// Spread over the student's classes so that no probability is 0 (the seed's `cross_entropy`
/// helper).
const FLOOR: f64 = 1e-5;

/// Holds the logits to those of the task before.
pub struct Lwf {
    lambda: f64,
    temperature: f64,
    teacher: TeacherOfTask,
}

impl Lwf {
    /// The approach with `lwf_lambda` and `lwf_temperature` of `settings`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            lambda: settings.lwf_lambda,
            temperature: settings.lwf_temperature,
            teacher: TeacherOfTask::default(),
        }
    }
}

impl Approach for Lwf {
    fn before_task(&mut self, learner: &Learner, task: usize) -> Result<(), TrainError> {
        self.teacher.begin(learner, task);
        Ok(())
    }

    fn under_way(&self) -> StateDict {
        self.teacher.state()
    }

    fn go_on(
        &mut self,
        learner: &Learner,
        _task: usize,
        _path: &Path,
        held: StateDict,
    ) -> Result<(), TrainError> {
        self.teacher.go_on(learner, held)
    }

    fn penalty(&self, learner: &Learner, step: &Step<'_>) -> Option<Tensor> {
        let old = self.teacher.output(&step.batch.clips)?;
        let term = distillation(
            learner.criterion(),
            &step.output.logits,
            &old.logits,
            self.temperature,
        );
        Some(term * self.lambda)
    }
}

/// How far `logits` [N, C] are from `old` [N, C], a scalar.
///
/// Multilabel: mean over N x C of the binary cross-entropy between the sigmoids, in its stable form
/// softplus(z) - sigmoid(old) z. Multiclass: mean over N of the cross-entropy of the softmaxes,
/// both softened by `temperature`, the student's kept off 0 by a floor of 1e-5 in all.
pub fn distillation(
    criterion: CriterionName,
    logits: &Tensor,
    old: &Tensor,
    temperature: f64,
) -> Tensor {
    match criterion {
        CriterionName::Multilabel => (logits.softplus() - old.sigmoid() * logits).mean(Kind::Float),
        CriterionName::Multiclass => {
            let soften = |logits: &Tensor| {
                let p = logits.softmax(-1, Kind::Float);
                #[allow(clippy::float_cmp)] // 1 is the value that means "leave it".
                if temperature == 1.0 {
                    p
                } else {
                    normalised(&p.pow_tensor_scalar(1.0 / temperature))
                }
            };
            #[allow(clippy::cast_precision_loss)] // A number of classes.
            let classes = logits.size()[1] as f64;
            let student = normalised(&(soften(logits) + FLOOR / classes));
            let teacher = soften(old);
            -(teacher * student.log())
                .sum_dim_intlist(1, false, Kind::Float)
                .mean(Kind::Float)
        }
    }
}

/// Each row divided by its sum.
fn normalised(rows: &Tensor) -> Tensor {
    rows / rows.sum_dim_intlist(1, true, Kind::Float)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(criterion: CriterionName, temperature: f64) -> f64 {
        let z = Tensor::from_slice2(&[[0.3f32, -1.2, 0.8], [2.0, 0.1, -0.4]]);
        let old = Tensor::from_slice2(&[[0.1f32, -0.2, 0.5], [-1.0, 0.6, 0.4]]);
        distillation(criterion, &z, &old, temperature).double_value(&[])
    }

    const Z: [[f64; 3]; 2] = [[0.3, -1.2, 0.8], [2.0, 0.1, -0.4]];
    const OLD: [[f64; 3]; 2] = [[0.1, -0.2, 0.5], [-1.0, 0.6, 0.4]];

    #[test]
    fn multilabel_is_the_binary_cross_entropy_of_the_sigmoids() {
        let sigmoid = |z: f64| 1.0 / (1.0 + (-z).exp());
        let mut sum = 0.0;
        for (z, old) in Z.iter().flatten().zip(OLD.iter().flatten()) {
            let (p, q) = (sigmoid(*z), sigmoid(*old));
            sum -= q * p.ln() + (1.0 - q) * (1.0 - p).ln();
        }
        assert!((value(CriterionName::Multilabel, 1.0) - sum / 6.0).abs() < 1e-6);
    }

    #[test]
    fn multiclass_softens_both_sides_and_keeps_the_student_off_zero() {
        for temperature in [1.0, 2.0] {
            let soften = |row: &[f64; 3]| {
                let p: Vec<f64> = row.iter().map(|z| (z / temperature).exp()).collect();
                let sum: f64 = p.iter().sum();
                p.into_iter().map(|p| p / sum).collect::<Vec<_>>()
            };
            let mut sum = 0.0;
            for (z, old) in Z.iter().zip(&OLD) {
                for (p, q) in soften(z).iter().zip(soften(old)) {
                    sum -= q * ((p + FLOOR / 3.0) / (1.0 + FLOOR)).ln();
                }
            }
            assert!((value(CriterionName::Multiclass, temperature) - sum / 2.0).abs() < 1e-6);
        }
    }
}
