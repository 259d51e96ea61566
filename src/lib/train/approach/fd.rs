//! Feature distillation: the features of the new clips are held to those that the model gave before
//! the task.

use std::path::Path;

use tch::{Kind, Tensor};

use super::teacher::TeacherOfTask;
use super::{Approach, Step};
use crate::model::state_dict::StateDict;
use crate::train::TrainError;
use crate::train::learner::Learner;
use crate::train::settings::{FeatureDistance, Settings};

/// Least product of norms that a cosine is divided by.
const COSINE_FLOOR: f64 = 1e-8;

/// Holds the features to those of the task before.
pub struct FeatureDistillation {
    lambda: f64,
    distance: FeatureDistance,
    teacher: TeacherOfTask,
}

impl FeatureDistillation {
    /// The approach with `fd_lambda` and `fd_distance` of `settings`.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self {
            lambda: settings.fd_lambda,
            distance: settings.fd_distance,
            teacher: TeacherOfTask::default(),
        }
    }
}

impl Approach for FeatureDistillation {
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

    fn penalty(&self, _learner: &Learner, step: &Step<'_>) -> Option<Tensor> {
        let old = self.teacher.output(&step.batch.clips)?;
        Some(distance(self.distance, &step.output.features, &old.features) * self.lambda)
    }
}

/// How far `features` [N, F] are from `old` [N, F], a scalar.
///
/// L2 is the Euclidean norm over the whole batch, neither squared nor divided; its gradient is 0
/// where the distance is.
pub fn distance(distance: FeatureDistance, features: &Tensor, old: &Tensor) -> Tensor {
    match distance {
        // PyTorch's norm has the subgradient 0 at 0, unlike the root of a sum.
        FeatureDistance::L2 => (features - old).norm(),
        FeatureDistance::Mse => (features - old).square().mean(Kind::Float),
        FeatureDistance::Cosine => {
            let similarity = Tensor::cosine_similarity(features, old, 1, COSINE_FLOOR);
            1.0 - similarity.mean(Kind::Float)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_distance_equals_its_formula() {
        let a = Tensor::from_slice2(&[[1.0f32, 2.0], [0.0, 1.0]]);
        let b = Tensor::from_slice2(&[[1.0f32, 0.0], [2.0, 1.0]]);
        let value = |d| distance(d, &a, &b).double_value(&[]);
        assert!((value(FeatureDistance::L2) - 8f64.sqrt()).abs() < 1e-6);
        assert!((value(FeatureDistance::Mse) - 2.0).abs() < 1e-6);
        // Both rows have the cosine 1 / sqrt(5).
        let cosine = 1.0 / 5f64.sqrt();
        assert!((value(FeatureDistance::Cosine) - (1.0 - cosine)).abs() < 1e-6);
    }

    #[test]
    fn equal_features_pull_nowhere() {
        let a = Tensor::from_slice2(&[[1.0f32, 2.0]]).set_requires_grad(true);
        let d = distance(FeatureDistance::L2, &a, &a.detach());
        d.backward();
        assert_eq!(
            Vec::<f32>::try_from(a.grad().reshape([-1])).unwrap(),
            [0.0, 0.0]
        );
    }
}
