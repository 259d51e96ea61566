//! Under which tags epochs and tasks stand: those of the seed, and curves over tasks.

use std::path::Path;

use super::event_log::EventLog;
use super::image;
use crate::artifact::ArtifactError;
use crate::clip::Split;
use crate::taxonomy::Taxonomy;
use crate::train::TrainError;
use crate::train::evaluate::Evaluation;
use crate::train::record::rows::EpochEnd;

/// The tag of a figure of the epochs of `task`.
fn training_tag(task: usize, name: &str) -> String {
    format!("training_task_{task}/{name}")
}

impl EventLog {
    /// Bytes of the event file in `folder` before the first epoch of `task`.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(in crate::train::record) fn bytes_before_task(
        folder: &Path,
        task: usize,
    ) -> Result<u64, ArtifactError> {
        Self::bytes_before(folder, &training_tag(task, ""))
    }

    /// Appends what an epoch came to, in training and on the validation set.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(in crate::train::record) fn epoch(&mut self, end: &EpochEnd<'_>) -> Result<(), TrainError> {
        let (task, epoch) = (end.task, end.epoch);
        let tag = |name: &str| training_tag(task, name);
        let loss = Some(end.trained.loss());
        self.scalar(&tag("training_classification_loss"), epoch, loss)?;
        for (_, name, value) in end.on_validation() {
            self.scalar(&tag(&format!("dataset_{task}_{name}")), epoch, value)?;
        }
        Ok(())
    }

    /// Appends what a task came to on `split`, at `step`: figures, curves and, where it is one
    /// matrix, the confusion.
    ///
    /// # Errors
    /// When an image cannot be encoded, or the disk refuses.
    pub(in crate::train::record) fn task(
        &mut self,
        task: usize,
        step: u32,
        split: Split,
        evaluation: &Evaluation,
        taxonomy: &Taxonomy,
    ) -> Result<(), TrainError> {
        let tag = |name: &str| format!("{split}_dataset_{task}/task_{task}_{name}");
        let figures = &evaluation.metrics.figures;
        for (name, value) in [
            ("accuracy", figures.accuracy),
            ("mAP", figures.mean_ap),
            ("weighted_mAP", figures.mean_ap_weighted),
        ] {
            self.scalar(&tag(name), step, value)?;
            // A curve over tasks, which the seed's tags do not give.
            let number = u32::try_from(task).unwrap_or(u32::MAX);
            self.scalar(&format!("{split}/{name}"), number, value)?;
        }
        let categories = taxonomy.category_names();
        let curves = image::precision_recall(&evaluation.metrics.pr_curves, &categories);
        self.image(&tag("pr_curve"), step, &curves)?;
        if evaluation.metrics.confusion_at_half.is_none() {
            let matrix = image::confusion(&evaluation.metrics.confusion, &categories);
            self.image(&tag("confusion_matrix"), step, &matrix)?;
        }
        Ok(())
    }
}
