//! A shard that vanished or changed under a run.

use crate::data::{DataError, Dataset};
use crate::train::TrainError;

/// `error` of a batch of `list`: where the shard of its clip is no longer the file that it was when
/// the run began, that, with the clips of the list that lie in it.
pub(in crate::train) fn explained(list: &Dataset, error: DataError) -> TrainError {
    let DataError::Clip { shard, .. } = &error else {
        return error.into();
    };
    let Some(what) = list.changed(shard) else {
        return error.into();
    };
    let clips = list.samples().iter().filter(|clip| clip.shard == *shard);
    TrainError::ShardChanged {
        clips: clips.map(|clip| clip.clip_id.clone()).collect(),
        what,
        fault: Box::new(error),
    }
}
