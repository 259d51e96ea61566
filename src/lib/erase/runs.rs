//! Run directories: finding them, and which checkpoints saw a clip.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde_json::Value;
use walkdir::WalkDir;

use super::EraseError;
use super::checkpoint_header::entry;
use super::config::Places;
use super::held::{Action, HeldRow, Place, What};
use super::ids::Ids;
use super::ledger::KnownByRun;
use crate::clip::Split;
use crate::parquet_file;
use crate::run_record::{
    Position, REMEDIES, Remedy, RunHead, RunProgress, SETTINGS_FILE, checkpoint_file, positions,
    read_progress, seen_by, state_file, unlearned_file,
};
use crate::tables::{AvailabilityRow, Use};

/// Deepest folder below a folder of runs that is looked into.
const MAX_DEPTH: usize = 6;
/// The role of the weights to start from, among a run's inputs.
const PRETRAINED: &str = "pretrained";
/// How the ledger names a checkpoint that was trained on a clip, and one that was chosen by it.
const TRAINED: &str = "trained";
const SELECTED: &str = "selected";
/// The setting of runs whose tasks do not begin with the weights of the task before.
const FROM_SCRATCH: &str = "from_scratch";

/// The run directories of all folders of runs, sorted.
pub(super) fn run_folders(places: &Places) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for runs in &places.runs {
        let entries = WalkDir::new(runs).max_depth(MAX_DEPTH).follow_links(true);
        // What cannot be read is named by the search.
        let files = entries.into_iter().filter_map(Result::ok);
        let settings = files.filter(|entry| entry.file_name() == SETTINGS_FILE);
        found.extend(settings.filter_map(|entry| Some(entry.path().parent()?.to_owned())));
    }
    found.sort();
    found.dedup();
    found
}

/// A checkpoint and how it knows a clip.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Taint {
    /// Its name in the run directory.
    file: String,
    clip_id: String,
    trained: bool,
    note: String,
}

/// The checkpoints and states that saw a clip, by run directory.
#[derive(Debug, Default)]
pub(super) struct Taints(BTreeMap<PathBuf, Vec<Taint>>);

/// What tainting needs to know of a run.
struct Run {
    folder: PathBuf,
    progress: RunProgress,
    pretrained: Option<String>,
    from_scratch: bool,
}

impl Taints {
    /// Looks into all runs: what they trained on and chose by, and what the weights they began with
    /// did.
    ///
    /// # Errors
    /// When a run's record or table cannot be read.
    pub(super) fn of(places: &Places, ids: &Ids) -> Result<Self, EraseError> {
        let mut runs = Vec::new();
        for folder in run_folders(places) {
            let Some(head) = RunHead::read(&folder)? else {
                continue;
            };
            runs.push(Run {
                progress: read_progress(&folder)?.unwrap_or_default(),
                pretrained: head.inputs.get(PRETRAINED).cloned(),
                from_scratch: head.settings.get(FROM_SCRATCH).and_then(Value::as_bool)
                    == Some(true),
                folder,
            });
        }
        let mut taints = Self::default();
        for run in &runs {
            let mut found = run.own(ids)?;
            found.sort();
            found.dedup();
            taints.0.insert(run.folder.clone(), found);
        }
        // A run that begins with a checkpoint that saw a clip passes that on to all of its own, and
        // so on.
        while runs.iter().any(|run| taints.inherit(run, &runs)) {}
        taints.0.retain(|_, found| !found.is_empty());
        Ok(taints)
    }

    /// Adds what a run has from the weights that it began with. Says whether that was anything new.
    fn inherit(&mut self, run: &Run, runs: &[Run]) -> bool {
        let Some((parent, file)) = run.pretrained.as_ref().and_then(|h| checkpoint_of(runs, h))
        else {
            return false;
        };
        let Some(of_parent) = self.0.get(&parent.folder) else {
            return false;
        };
        let inherited: Vec<Taint> = of_parent
            .iter()
            .filter(|t| t.file == *file)
            .cloned()
            .collect();
        let own = self.0.entry(run.folder.clone()).or_default();
        let before = own.len();
        for taint in inherited {
            for file in (0..run.progress.tasks.len()).flat_map(|task| run.files(task)) {
                let known = |t: &Taint| t.file == file && t.clip_id == taint.clip_id;
                if !own.iter().any(known) {
                    let from = parent
                        .folder
                        .file_name()
                        .unwrap_or_default()
                        .to_string_lossy();
                    own.push(Taint {
                        file,
                        note: format!("began with a checkpoint of {from}"),
                        ..taint.clone()
                    });
                }
            }
        }
        own.sort();
        own.len() > before
    }

    /// The taints as rows of a plan.
    pub(super) fn rows(&self, places: &Places) -> Vec<HeldRow> {
        let all = self
            .0
            .iter()
            .flat_map(|(folder, taints)| taints.iter().map(move |t| (folder, t)));
        all.map(|(folder, taint)| HeldRow {
            place: Place::Runs,
            file: places.name_of(&folder.join(&taint.file)),
            clip_id: taint.clip_id.clone(),
            what: if taint.trained {
                What::Trained
            } else {
                What::Selected
            },
            bytes: 0,
            action: Action::Taint,
            note: Some(taint.note.clone()),
        })
        .collect()
    }

    /// The checkpoints as the ledger keeps them, by the name of their run.
    pub(super) fn by_run(&self, places: &Places) -> BTreeMap<String, KnownByRun> {
        let mut runs: BTreeMap<String, KnownByRun> = BTreeMap::new();
        for (folder, taints) in &self.0 {
            let files = &mut runs.entry(places.name_of(folder)).or_default().checkpoints;
            for taint in taints {
                let how = files.entry(taint.file.clone()).or_default();
                if taint.trained || how.is_empty() {
                    if taint.trained { TRAINED } else { SELECTED }.clone_into(how);
                }
            }
        }
        runs
    }
}

/// The checkpoints inside a task of the run in `folder` whose task trains on one of the clips or chooses by it, each with these
/// clips. They go, and the task begins anew without the clips.
///
/// # Errors
/// When the folder or the run's lists cannot be read.
pub(super) fn under_way(
    folder: &Path,
    ids: &Ids,
) -> Result<BTreeMap<Position, BTreeSet<String>>, EraseError> {
    let (there, lists) = (positions(folder)?, folder.join(AvailabilityRow::FILE));
    let mut found = BTreeMap::new();
    if there.is_empty() || !lists.exists() {
        return Ok(found);
    }
    let rows: Vec<AvailabilityRow> = parquet_file::read_any(&lists)?;
    for position in there {
        let is_known = |row: &&AvailabilityRow| {
            usize::try_from(row.task) == Ok(position.task)
                && row.split != Split::Test
                && row.usable
                && row.position.is_some()
                && ids.contains(&row.clip_id)
        };
        let clips: BTreeSet<String> = rows
            .iter()
            .filter(is_known)
            .map(|row| row.clip_id.clone())
            .collect();
        if !clips.is_empty() {
            found.insert(position, clips);
        }
    }
    Ok(found)
}

/// The checkpoints inside tasks of all runs as rows of a plan.
///
/// # Errors
/// As [`under_way`].
pub(super) fn rows_under_way(places: &Places, ids: &Ids) -> Result<Vec<HeldRow>, EraseError> {
    let mut rows = Vec::new();
    for folder in run_folders(places) {
        for (position, clips) in under_way(&folder, ids)? {
            let path = folder.join(position.file());
            let bytes = path.metadata().map_or(0, |meta| meta.len());
            rows.extend(clips.into_iter().map(|clip_id| HeldRow {
                place: Place::Runs,
                file: places.name_of(&path),
                clip_id,
                what: What::Trained,
                bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
                action: Action::Erase,
                note: Some(format!("task {} begins anew", position.task)),
            }));
        }
    }
    Ok(rows)
}

impl Run {
    /// The taints of a run's own tasks.
    fn own(&self, ids: &Ids) -> Result<Vec<Taint>, EraseError> {
        let mut found = Vec::new();
        let rows = seen_by(&self.folder, &self.progress)?;
        let of_clips = rows.into_iter().filter(|row| ids.contains(&row.clip_id));
        let mut trained_from: BTreeMap<String, usize> = BTreeMap::new();
        for row in of_clips {
            let first = usize::try_from(row.first_task).unwrap_or(0);
            let last = usize::try_from(row.last_task).unwrap_or(usize::MAX);
            let trained = row.r#use == Use::Train;
            if trained {
                trained_from.insert(row.clip_id.clone(), first);
            }
            let reached = if self.from_scratch {
                last + 1
            } else {
                usize::MAX
            };
            for task in first..self.progress.tasks.len().min(reached) {
                // One that was trained on the clip is not named a second time.
                if !trained
                    && trained_from
                        .get(&row.clip_id)
                        .is_some_and(|from| *from <= task)
                {
                    continue;
                }
                let verb = if trained {
                    "trained on it"
                } else {
                    "chosen by it"
                };
                found.extend(self.files(task).into_iter().map(|file| Taint {
                    clip_id: row.clip_id.clone(),
                    trained,
                    note: format!("{verb} from task {first} on{}", self.remedies(&file)),
                    file,
                }));
            }
        }
        Ok(found)
    }

    /// What a file says becomes of its tensors, in words; nothing where it does not say.
    fn remedies(&self, file: &str) -> String {
        let said = entry(&self.folder.join(file), REMEDIES).ok().flatten();
        let by_remedy = said.and_then(|said| serde_json::from_str(&said).ok());
        let by_remedy: BTreeMap<Remedy, Vec<String>> = by_remedy.unwrap_or_default();
        let counted = by_remedy.iter().map(|(remedy, names)| match remedy {
            Remedy::Rebuilt => format!("; {} tensors can be rebuilt from what stays", names.len()),
            Remedy::Tainted => format!("; {} tensors only by going back", names.len()),
        });
        counted.collect()
    }

    /// The weights that had unlearned what a task withdraws, and weights and the approach's state after
    /// it, as far as they are there.
    fn files(&self, task: usize) -> Vec<String> {
        let names = [
            unlearned_file(task),
            checkpoint_file(task),
            state_file(task),
        ];
        let there = names
            .into_iter()
            .filter(|name| self.folder.join(name).exists());
        there.collect()
    }
}

/// The run and the name of the checkpoint that has this hash.
fn checkpoint_of<'a>(runs: &'a [Run], hash: &str) -> Option<(&'a Run, &'a String)> {
    runs.iter().find_map(|run| {
        let hashes = run
            .progress
            .tasks
            .iter()
            .filter_map(|task| task.hashes.as_ref());
        let mut files = hashes.flat_map(|hashes| &hashes.files);
        files.find(|(_, h)| *h == hash).map(|(name, _)| (run, name))
    })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_state_says_of_how_many_tensors_what_becomes_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let said = r#"{"rebuilt":["a","b"],"tainted":["c"]}"#;
        let header = serde_json::json!({"__metadata__": {REMEDIES: said}}).to_string();
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        fs::write(folder.path().join("state"), bytes).unwrap();
        let run = Run {
            folder: folder.path().to_owned(),
            progress: RunProgress::default(),
            pretrained: None,
            from_scratch: false,
        };
        assert_eq!(
            run.remedies("state"),
            "; 2 tensors can be rebuilt from what stays; 1 tensors only by going back"
        );
        assert_eq!(run.remedies("absent"), "");
    }
}
