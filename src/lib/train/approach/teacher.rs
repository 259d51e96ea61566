//! The frozen copy of the model that distillation compares with: absent in task 0.

use tch::Tensor;

use crate::model::Output;
use crate::model::state_dict::StateDict;
use crate::train::TrainError;
use crate::train::learner::{Learner, Teacher};

/// The teacher of the running task, if it has one.
#[derive(Default)]
pub(super) struct TeacherOfTask(Option<Teacher>);

impl TeacherOfTask {
    /// Copies the model as `task` finds it; task 0 has no teacher.
    pub(super) fn begin(&mut self, learner: &Learner, task: usize) {
        self.0 = (task > 0).then(|| learner.teacher());
    }

    /// The teacher's variables by name; none where there is no teacher.
    pub(super) fn state(&self) -> StateDict {
        self.0.as_ref().map(Teacher::state).unwrap_or_default()
    }

    /// Takes back what [`TeacherOfTask::state`] gave.
    pub(super) fn go_on(&mut self, learner: &Learner, state: StateDict) -> Result<(), TrainError> {
        self.0 = if state.is_empty() {
            None
        } else {
            Some(learner.teacher_of(state)?)
        };
        Ok(())
    }

    /// What the teacher says of `clips`, if there is one.
    pub(super) fn output(&self, clips: &Tensor) -> Option<Output> {
        self.0.as_ref().map(|teacher| teacher.output(clips))
    }
}
