//! Where a run's weights come from, as the headers of its checkpoints say it.

use std::path::Path;

use crate::artifact::{ArtifactError, hash_file};
use crate::model::checkpoint::header;
use crate::parquet_file::Provenance;
use crate::run_record::{
    PRETRAINED_INPUT, Parent, ParentRole, RunProgress, checkpoint_file, header_entry,
    rollback_folder,
};
use crate::tables;
use crate::train::TrainError;
use crate::train::settings::TrainConfig;

/// Weights of other runs, or from elsewhere, that a run's own come from.
#[derive(Debug)]
pub(super) struct Origins {
    /// The file to start from.
    pretrained: Option<Parent>,
    /// The backbone whose features a head is applied to.
    backbone: Option<Parent>,
}

impl Origins {
    /// Those of `config`, whose inputs have the hashes in `provenance`.
    ///
    /// # Errors
    /// When a header or the feature table cannot be read.
    pub(super) fn of(config: &TrainConfig, provenance: &Provenance) -> Result<Self, TrainError> {
        let hash = provenance.inputs.get(PRETRAINED_INPUT).cloned();
        let pretrained = config.pretrained.as_ref().zip(hash);
        let pretrained = pretrained.map(|(path, blake3)| -> Result<Parent, TrainError> {
            Ok(Parent {
                foreign: is_foreign(path)?,
                ..Parent::known(ParentRole::Pretrained, blake3)
            })
        });
        let backbone = config.features.as_deref().map(tables::backbone_of);
        let backbone = backbone.transpose()?.flatten();
        Ok(Self {
            pretrained: pretrained.transpose()?,
            backbone: backbone.map(|hash| Parent::known(ParentRole::Backbone, hash)),
        })
    }

    /// The weights that those of `task` of the run in `folder` were trained from, by their hashes: those that the run within
    /// it ended with that trained again what came before, else the checkpoint of the task before or, where there is none or
    /// weights began anew, the file to start from; and the backbone of a head.
    ///
    /// # Errors
    /// When a checkpoint, whose hash a version before did not keep, cannot be read.
    pub(super) fn parents(
        &self,
        folder: &Path,
        progress: &RunProgress,
        task: usize,
        is_anew: bool,
    ) -> Result<Vec<Parent>, TrainError> {
        let again = folder.join(rollback_folder(task));
        let again = RunProgress::read(&again)?.map(|progress| (again, progress));
        let parent = match (&again, progress.last_trained_before(task)) {
            _ if is_anew => self.pretrained.clone(),
            (Some((folder, progress)), _) => {
                let last = progress.last_trained();
                let hash = last.map(|last| checkpoint_hash(folder, progress, last));
                let hash = hash.transpose()?;
                hash.map(|hash| Parent::known(ParentRole::RolledBack, hash))
            }
            (None, Some(before)) => {
                let hash = checkpoint_hash(folder, progress, before)?;
                Some(Parent::known(ParentRole::TaskBefore, hash))
            }
            (None, None) => self.pretrained.clone(),
        };
        Ok(parent.into_iter().chain(self.backbone.clone()).collect())
    }
}

/// Whether the file of weights at `path` does not say that a run of this program wrote it.
///
/// # Errors
/// When it cannot be read.
pub(in crate::train) fn is_foreign(path: &Path) -> Result<bool, ArtifactError> {
    let run = header_entry(path, header::RUN_ID);
    Ok(run.map_err(ArtifactError::at("read", path))?.is_none())
}

/// The hash of the weights of `task` of the run in `folder`.
fn checkpoint_hash(
    folder: &Path,
    progress: &RunProgress,
    task: usize,
) -> Result<String, TrainError> {
    let hashes = progress.tasks[task].hashes.as_ref();
    match hashes.and_then(|hashes| hashes.files.get(&checkpoint_file(task))) {
        Some(hash) => Ok(hash.clone()),
        None => Ok(hash_file(&folder.join(checkpoint_file(task)))?),
    }
}
