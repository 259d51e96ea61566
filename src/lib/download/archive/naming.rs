//! Staged clips get their names below the folder of the clips.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use crate::artifact::ArtifactError;
use crate::download::ledger::workplace::Workplace;
use crate::download::ledger::{
    ArchiveRecord, ArchiveState, CLIP_ENDINGS, KeptClip, clip_path, find_clip,
};
use crate::download::plan::WantedClip;

/// Gives clips their names.
pub(crate) struct Naming<'a> {
    /// The folder of the clips.
    pub(crate) raw: &'a Path,
    pub(crate) workplace: &'a Workplace,
    /// All clips that are asked for, present or not.
    pub(crate) wanted: &'a BTreeMap<String, WantedClip>,
    /// Which archive each clip on disk is from.
    pub(crate) owners: Mutex<BTreeMap<String, String>>,
}

impl Naming<'_> {
    /// Gives the clips of an archive that lie in `staging` their names, and writes the record down.
    /// Where an earlier try was stopped, it goes on.
    pub(crate) fn take_in(
        &self,
        record: &ArchiveRecord,
        staging: &Path,
    ) -> Result<(), ArtifactError> {
        // Not complete yet: whatever of these clips has its name already when the run is killed now
        // is no clip that a person put there.
        self.workplace.record(&ArchiveRecord {
            state: ArchiveState::Probed,
            ..record.clone()
        })?;
        if staging.is_dir() {
            sync(staging)?;
        }
        {
            // One archive at a time: of a clip that two archives hold, the first archive's by path
            // stays, whoever is done first. A poisoned lock still guards sound data.
            let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
            for clip in &record.kept {
                let owner = owners.get(&clip.clip_id);
                if owner.is_some_and(|owner| *owner < record.path) {
                    continue;
                }
                self.name(clip, staging)?;
                owners.insert(clip.clip_id.clone(), record.path.clone());
            }
        }
        self.sync_folders(record)?;
        match fs::remove_dir_all(staging) {
            Err(e) if e.kind() != ErrorKind::NotFound => {
                return Err(ArtifactError::at("remove", staging)(e));
            }
            _ => {}
        }
        self.workplace.record(record)
    }

    fn name(&self, clip: &KeptClip, staging: &Path) -> Result<(), ArtifactError> {
        let id = clip.clip_id.as_str();
        let subcategory = self.wanted[id].subcategory.as_str();
        let folder = self.raw.join(subcategory);
        fs::create_dir_all(&folder).map_err(ArtifactError::at("create folder", &folder))?;
        let staged = clip_path(staging, "", id);
        let target = folder.join(staged.file_name().unwrap_or_default());
        match fs::rename(&staged, &target) {
            // A try that was stopped has named it.
            Err(e)
                if e.kind() == ErrorKind::NotFound
                    && find_clip(self.raw, subcategory, id, |m| m.len() == clip.bytes)
                        .is_some() =>
            {
                return Ok(());
            }
            Err(e) => return Err(ArtifactError::at("rename to", &target)(e)),
            Ok(()) => {}
        }
        // What lay there under another ending was not the clip, or it would not be fetched.
        for ending in CLIP_ENDINGS {
            let other = folder.join(format!("{id}.{ending}"));
            if other != target {
                let _ = fs::remove_file(other);
            }
        }
        Ok(())
    }

    /// Makes the new names last; before that, the record would promise too much.
    fn sync_folders(&self, record: &ArchiveRecord) -> Result<(), ArtifactError> {
        let kept = record.kept.iter();
        let folders: BTreeSet<&str> = kept
            .map(|clip| self.wanted[&clip.clip_id].subcategory.as_str())
            .collect();
        for folder in folders {
            let folder = self.raw.join(folder);
            match File::open(&folder).and_then(|f| f.sync_all()) {
                // All of its clips are another archive's.
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                synced => synced.map_err(ArtifactError::at("sync folder", &folder))?,
            }
        }
        Ok(())
    }
}

/// One sync for all clips of an archive; a disk that could not take them says so here at the
/// latest.
pub(super) fn sync(staging: &Path) -> Result<(), ArtifactError> {
    File::open(staging)
        .and_then(|folder| Ok(rustix::fs::syncfs(&folder)?))
        .map_err(ArtifactError::at("write", staging))
}
