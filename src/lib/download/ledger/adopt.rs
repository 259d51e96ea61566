//! Clips that lie on disk and that no ledger knows, taken as they are: those that a person put
//! there, and all of them after the ledger was lost.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use super::record::{KeptClip, find_clip};
use crate::artifact::{ArtifactError, hash_file};
use crate::download::archive::container;
use crate::download::plan::WantedClip;
use crate::parallel;
use crate::progress::{Progress, Unit};

/// Those of the clips that lie below `raw` as whole video files. One that is cut is left to be
/// fetched.
///
/// # Errors
/// When a file that is there cannot be read.
pub(crate) fn adopt(
    raw: &Path,
    clips: &BTreeMap<&String, &WantedClip>,
    jobs: usize,
) -> Result<Vec<KeptClip>, ArtifactError> {
    let clips: Vec<_> = clips.iter().collect();
    let total = Some(clips.len() as u64);
    let progress = Progress::new("looking for clips on disk", total, Unit::Count("clips"));
    let found = parallel::try_each(&clips, jobs, |(id, clip)| {
        progress.inc(1);
        match find_clip(raw, &clip.subcategory, id, |_| true) {
            Some(path) => look_at(&path, id),
            None => Ok(None),
        }
    });
    progress.finish();
    Ok(found?.into_iter().flatten().collect())
}

fn look_at(path: &Path, id: &str) -> Result<Option<KeptClip>, ArtifactError> {
    let mut file = File::open(path).map_err(ArtifactError::at("read", path))?;
    let metadata = file.metadata().map_err(ArtifactError::at("read", path))?;
    let bytes = metadata.len();
    let container = container::check(&mut file, bytes).map_err(ArtifactError::at("read", path))?;
    if container != "ok" {
        tracing::warn!("{}: {container}; it is fetched", path.display());
        return Ok(None);
    }
    Ok(Some(KeptClip {
        clip_id: id.to_owned(),
        bytes,
        blake3: hash_file(path)?,
        container,
    }))
}
