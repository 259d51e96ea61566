//! Which checkpoints the ledger names as having seen a clip.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{self, PathBuf};

use super::EraseError;
use super::config::Places;
use super::ids::Ids;
use super::ledger::{KnownByRun, Ledger};
use super::runs::Taints;

/// Checkpoints that saw one of the clips and that no row of the ledger names, in words.
///
/// # Errors
/// When a run's record or the ledger cannot be read.
pub(super) fn unmarked(
    places: &Places,
    ids: &Ids,
    ledger: &Ledger,
) -> Result<Vec<String>, EraseError> {
    let mut marked: BTreeSet<(PathBuf, String)> = BTreeSet::new();
    for row in ledger.rows() {
        let runs: BTreeMap<String, KnownByRun> = ledger.json(row, &row.runs)?;
        for (run, known) in runs {
            let folder = folder_of(places, &run);
            let files = known.checkpoints.into_keys();
            marked.extend(files.map(|file| (folder.clone(), file)));
        }
    }
    let mut unmarked = Vec::new();
    for (run, known) in Taints::of(places, ids)?.by_run(places) {
        let folder = places.path_of(&run);
        for file in known.checkpoints.into_keys() {
            if !marked.contains(&(folder.clone(), file.clone())) {
                unmarked.push(format!(
                    "{run}/{file} saw a withdrawn clip, and no row of the ledger says so"
                ));
            }
        }
    }
    Ok(unmarked)
}

/// The folder of a run that the ledger names. A version before has named one outside the data folder
/// as it was given, from the folder in which the command ran.
fn folder_of(places: &Places, run: &str) -> PathBuf {
    let folder = places.path_of(run);
    if folder.exists() {
        return folder;
    }
    path::absolute(run)
        .ok()
        .filter(|given| given.exists())
        .unwrap_or(folder)
}
