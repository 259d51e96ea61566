//! Run directories, written anew without the clips: their metrics stay as they were judged.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::Work;
use super::derived::without_predictions;
use super::tables::{Lineage, renew};
use crate::artifact::{self, ArtifactError};
use crate::erase::EraseError;
use crate::erase::runs::{run_folders, under_way};
use crate::parquet_file;
use crate::run_record::{
    RunErasure, RunHead, RunProgress, read_progress, read_summary, seen_by, state_file,
    without_buffered, write_summary,
};
use crate::tables::{
    AvailabilityRow, FEATURES_INPUT, IndexRow, PredictionRow, ScheduleRow, SeenRow,
    predictions_hash,
};

impl Work<'_> {
    /// All runs.
    pub(super) fn runs(&self) -> Result<(), EraseError> {
        let lineage = self.lineage()?;
        let index = self.renewed(&self.config.places.shards.join(IndexRow::FILE))?;
        let features = self.renewed_features()?.into_iter();
        let mut shared: Vec<(&str, String, String)> = features
            .map(|(was, now)| (FEATURES_INPUT, was, now))
            .collect();
        shared.extend(index.map(|(was, now)| (IndexRow::FILE, was, now)));
        for folder in run_folders(&self.config.places) {
            let Some(head) = RunHead::read(&folder)? else {
                continue;
            };
            RunFolder {
                work: self,
                folder,
                head,
            }
            .renew(&lineage, &shared)?;
        }
        Ok(())
    }

    /// How many clips of the request a run was judged with.
    fn judged(&self, folder: &Path) -> usize {
        let name = self.config.places.name_of(folder);
        self.known.get(&name).map_or(0, |known| known.judged)
    }
}

/// A run directory that is written anew.
struct RunFolder<'w, 'a> {
    work: &'w Work<'a>,
    folder: PathBuf,
    head: RunHead,
}

impl RunFolder<'_, '_> {
    /// `shared` are the inputs of several runs that were written anew: the role, and the hash before
    /// and after.
    fn renew(
        &self,
        lineage: &Lineage,
        shared: &[(&str, String, String)],
    ) -> Result<(), EraseError> {
        let mut progress = read_progress(&self.folder)?.unwrap_or_default();
        let before = progress.clone();
        self.keep_seen(&progress)?;
        // Before the lists no longer say which clips the task under way had.
        for position in under_way(&self.folder, &self.work.ids)?.into_keys() {
            let path = self.folder.join(position.file());
            fs::remove_file(&path).map_err(ArtifactError::at("remove", &path))?;
        }
        let inputs_before = before.inputs_now(&self.head.inputs);
        let mut inputs = BTreeMap::new();
        for name in [AvailabilityRow::FILE, ScheduleRow::FILE] {
            let path = self.folder.join(name);
            if !path.exists() {
                continue;
            }
            renew(&path, &self.work.ids, lineage)?;
            if let Some((was, now)) = self.work.renewed(&path)?
                && was != now
            {
                if let Some(hash) = progress.files.get_mut(name) {
                    hash.clone_from(&now);
                }
                if inputs_before.get(name) == Some(&was) {
                    inputs.insert(name.to_owned(), now);
                }
            }
        }
        for (role, was, now) in shared {
            if was != now && inputs_before.get(*role) == Some(was) {
                inputs.insert((*role).to_owned(), now.clone());
            }
        }
        let judged = self.work.judged(&self.folder);
        if judged > 0 {
            self.predictions(&mut progress)?;
        }
        self.forget_skipped(&mut progress);
        self.buffers(&mut progress)?;
        let number = self.work.row.number;
        let known = progress
            .erasures
            .iter()
            .any(|erasure| erasure.number == number);
        if !known && (!inputs.is_empty() || judged > 0 || progress != before) {
            progress.erasures.push(RunErasure {
                number,
                judged,
                inputs,
            });
        }
        if progress != before {
            progress.write(&self.folder)?;
        }
        self.summary(&progress)
    }

    /// Writes down what the run has seen, where a version before did not, before its lists no
    /// longer say so.
    fn keep_seen(&self, progress: &RunProgress) -> Result<(), EraseError> {
        let path = self.folder.join(SeenRow::FILE);
        if path.exists() || progress.tasks.is_empty() {
            return Ok(());
        }
        let rows = seen_by(&self.folder, progress)?;
        if !rows.iter().any(|row| self.work.ids.contains(&row.clip_id)) {
            return Ok(());
        }
        Ok(parquet_file::write(&path, &rows, &self.head.provenance())?)
    }

    /// Takes the clips' rows out of the predictions of a run that was judged with some, and gives
    /// each task's rows their new hash.
    fn predictions(&self, progress: &mut RunProgress) -> Result<(), EraseError> {
        let path = self.folder.join(PredictionRow::FILE);
        if !path.exists() {
            return Ok(());
        }
        let (categories, rows) = without_predictions(&path, &self.work.ids)?;
        // Where no row is left the file names no categories to those who read it.
        let categories = if rows.is_empty() {
            Vec::new()
        } else {
            categories
        };
        for (task, outcome) in progress.tasks.iter_mut().enumerate() {
            let of_task = rows
                .iter()
                .filter(|row| usize::try_from(row.task) == Ok(task));
            let of_task: Vec<&PredictionRow> = of_task.collect();
            let hashes = outcome.hashes.as_mut();
            if let Some(hash) = hashes.and_then(|hashes| hashes.rows.get_mut(PredictionRow::FILE)) {
                *hash = predictions_hash(&categories, &of_task).map_err(|source| {
                    parquet_file::TableError::Arrow {
                        path: path.clone(),
                        source,
                    }
                })?;
            }
        }
        Ok(())
    }

    /// Takes the clips' rows out of the replay buffers that done tasks left, and gives these files their new hash.
    fn buffers(&self, progress: &mut RunProgress) -> Result<(), EraseError> {
        let is_gone = |key| self.work.ids.of_buffer(key).is_some();
        for task in 0..=progress.tasks.len() {
            let name = state_file(task);
            let path = self.folder.join(&name);
            if !path.exists() {
                continue;
            }
            let without = without_buffered(&path, is_gone);
            if let Some(bytes) = without.map_err(ArtifactError::at("read", &path))? {
                artifact::publish(&path, |out| out.write_all(&bytes))?;
            }
            let outcome = progress.tasks.get_mut(task);
            let hashes = outcome.and_then(|outcome| outcome.hashes.as_mut());
            if let Some((was, now)) = self.work.renewed(&path)?
                && let Some(hash) = hashes.and_then(|hashes| hashes.files.get_mut(&name))
                && *hash == was
            {
                *hash = now;
            }
        }
        Ok(())
    }

    /// Takes the clips out of those that could not be read.
    fn forget_skipped(&self, progress: &mut RunProgress) {
        for outcome in &mut progress.tasks {
            outcome.skipped.retain(|id| !self.work.ids.contains(id));
        }
    }

    /// Marks the summary of a complete run.
    fn summary(&self, progress: &RunProgress) -> Result<(), EraseError> {
        let Some(before) = read_summary(&self.folder)? else {
            return Ok(());
        };
        let mut summary = before.clone();
        summary.erasures.clone_from(&progress.erasures);
        summary
            .skipped_clips
            .retain(|id| !self.work.ids.contains(id));
        if summary != before {
            write_summary(&self.folder, &summary)?;
        }
        Ok(())
    }
}
