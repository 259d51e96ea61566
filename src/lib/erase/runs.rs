//! Run directories: finding them, and which checkpoints saw a clip.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::EraseError;
use super::config::Places;
use super::held::{Action, HeldRow, Place, What};
use super::ids::Ids;
use super::ledger::KnownByRun;
use crate::artifact::hash_file;
use crate::clip::Split;
use crate::parquet_file;
use crate::run_record::{
    Knowledge, Lineage, PROGRESS_FILE, Part, Position, REMEDIES, RUN_FILE, Remedy, SETTINGS_FILE,
    header_entry, positions,
};
use crate::tables::{self, AvailabilityRow, PredictionRow, ScheduleRow};

/// Deepest folder below a folder of runs that is looked into.
const MAX_DEPTH: usize = 6;
/// How the ledger names a checkpoint that was trained on a clip, and one that was chosen by it.
const TRAINED: &str = "trained";
const SELECTED: &str = "selected";

/// The files of a run that are written anew.
pub(super) fn files_of_run(folder: &Path) -> Vec<PathBuf> {
    [
        AvailabilityRow::FILE,
        ScheduleRow::FILE,
        PredictionRow::FILE,
        PROGRESS_FILE,
        RUN_FILE,
    ]
    .into_iter()
    .map(|name| folder.join(name))
    .filter(|path| path.exists())
    .collect()
}

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
pub(super) struct Taints {
    by_run: BTreeMap<PathBuf, Vec<Taint>>,
    /// Runs whose weights come from a file of which no run has a record, with the file's hash.
    unrecorded: Vec<(PathBuf, String)>,
}

impl Taints {
    /// Looks into all runs: what they trained on and chose by, and what the weights they began with
    /// did.
    ///
    /// # Errors
    /// When a run's record or table cannot be read.
    pub(super) fn of(places: &Places, ids: &Ids) -> Result<Self, EraseError> {
        let folders = run_folders(places);
        let backbones = |table: &str| backbone_of(places, table);
        let lineage = Lineage::of(&folders, &backbones, &|clip| ids.contains(clip))?;
        let mut by_run = BTreeMap::new();
        for folder in folders {
            // What goes as a whole needs no mark.
            let gone = under_way(&folder, ids)?.into_keys();
            let gone: BTreeSet<String> = gone.map(|position| position.file()).collect();
            let mut found = Vec::new();
            for (file, known) in lineage.files(&folder) {
                if gone.contains(&file) {
                    continue;
                }
                let remedies = remedies(&folder.join(&file));
                found.extend(known.iter().map(|(clip_id, how)| Taint {
                    file: file.clone(),
                    clip_id: clip_id.clone(),
                    trained: how.trained,
                    note: note(&folder, how) + &remedies,
                }));
            }
            if !found.is_empty() {
                found.sort();
                by_run.insert(folder, found);
            }
        }
        let unrecorded = lineage.unrecorded();
        let unrecorded = unrecorded.map(|(folder, hash)| (folder.to_owned(), hash.to_owned()));
        Ok(Self {
            by_run,
            unrecorded: unrecorded.collect(),
        })
    }

    /// The runs that come from weights of which no run has a record, in words.
    pub(super) fn unrecorded(&self, places: &Places) -> Vec<String> {
        let runs = self.unrecorded.iter();
        runs.map(|(folder, hash)| {
            format!(
                "{} comes from weights of which no run has a record ({hash}): whether these saw the clips is not known here",
                places.name_of(folder)
            )
        })
        .collect()
    }

    /// The taints as rows of a plan.
    pub(super) fn rows(&self, places: &Places) -> Vec<HeldRow> {
        let all = self
            .by_run
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
        for (folder, taints) in &self.by_run {
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

/// How a checkpoint of the run in `folder` knows a clip, in words.
fn note(folder: &Path, how: &Knowledge) -> String {
    if *how.run != *folder {
        let from = how.run.file_name().unwrap_or_default().to_string_lossy();
        return format!("began with a checkpoint of {from}");
    }
    let verb = if how.trained {
        "trained on it"
    } else {
        "chosen by it"
    };
    format!("{verb} from task {} on", how.first_task)
}

/// What a file says becomes of its tensors, in words; nothing where it does not say.
fn remedies(path: &Path) -> String {
    let said = header_entry(path, REMEDIES).ok().flatten();
    let by_remedy = said.and_then(|said| serde_json::from_str(&said).ok());
    let by_remedy: BTreeMap<Remedy, Vec<String>> = by_remedy.unwrap_or_default();
    let counted = by_remedy.iter().map(|(remedy, names)| {
        let tensors = names.len();
        match remedy {
            Remedy::Rebuilt => format!("; {tensors} tensors can be rebuilt from what stays"),
            Remedy::TakenOut => format!("; {tensors} tensors lose their rows of it"),
            Remedy::Tainted => format!("; {tensors} tensors only by going back"),
        }
    });
    counted.collect()
}

/// The hash of the backbone of the feature table with this hash, where the table lies in its place.
fn backbone_of(places: &Places, table: &str) -> Option<String> {
    let files = WalkDir::new(&places.features).follow_links(true);
    // What cannot be read is named by the search.
    let files = files.into_iter().filter_map(Result::ok);
    let mut files = files.filter(|entry| entry.file_type().is_file());
    files.find_map(|entry| {
        let backbone = tables::backbone_of(entry.path()).ok()??;
        let is_wanted = hash_file(entry.path()).ok()? == table;
        is_wanted.then_some(backbone)
    })
}

/// The checkpoints inside a task of the run in `folder` that hold something of one of the clips, each with these clips: their task
/// trains on them or chooses by them, or the checkpoint holds answers about the test set with them. They go, and the task
/// goes on from one before, or begins anew, without the clips.
///
/// # Errors
/// When the folder or the run's lists cannot be read.
pub(super) fn under_way(
    folder: &Path,
    ids: &Ids,
) -> Result<BTreeMap<Position, BTreeMap<String, What>>, EraseError> {
    let (there, lists) = (positions(folder)?, folder.join(AvailabilityRow::FILE));
    let mut found = BTreeMap::new();
    if there.is_empty() || !lists.exists() {
        return Ok(found);
    }
    let rows: Vec<AvailabilityRow> = parquet_file::read_any(&lists)?;
    for position in there {
        let is_known = |row: &&AvailabilityRow| {
            usize::try_from(row.task) == Ok(position.task)
                && (row.split != Split::Test || position.part >= Part::BestTest)
                && row.usable
                && row.position.is_some()
                && ids.contains(&row.clip_id)
        };
        let what = |row: &AvailabilityRow| match row.split {
            Split::Train => What::Trained,
            Split::Validation => What::Selected,
            Split::Test => What::Answer,
        };
        let known = rows.iter().filter(is_known);
        let clips: BTreeMap<String, What> =
            known.map(|row| (row.clip_id.clone(), what(row))).collect();
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
            let what_follows = |what: What| {
                if what == What::Answer {
                    "goes back to before its test"
                } else {
                    "begins anew"
                }
            };
            rows.extend(clips.into_iter().map(|(clip_id, what)| HeldRow {
                place: Place::Runs,
                file: places.name_of(&path),
                clip_id,
                what,
                bytes: i64::try_from(bytes).unwrap_or(i64::MAX),
                action: Action::Erase,
                note: Some(format!("task {} {}", position.task, what_follows(what))),
            }));
        }
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_state_says_of_how_many_tensors_what_becomes_of_them() {
        let folder = tempfile::tempdir().unwrap();
        let said = r#"{"rebuilt":["a","b"],"taken out":["d"],"tainted":["c"]}"#;
        let header = serde_json::json!({"__metadata__": {REMEDIES: said}}).to_string();
        let bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes()].concat();
        let state = folder.path().join("state");
        fs::write(&state, bytes).unwrap();
        assert_eq!(
            remedies(&state),
            "; 2 tensors can be rebuilt from what stays; 1 tensors lose their rows of it; 1 tensors only by going back"
        );
        assert_eq!(remedies(&folder.path().join("absent")), "");
    }
}
