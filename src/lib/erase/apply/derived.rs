//! What was computed of clips, each row of one: feature tables, predictions beside runs, and the
//! figures that audits have of single clips. The rows go, the others stay as they are.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::Work;
use crate::artifact::hash_file;
use crate::erase::EraseError;
use crate::erase::config::Places;
use crate::erase::held::{Action, HeldRow, What};
use crate::erase::ids::Ids;
use crate::erase::runs::{files_of_run, run_folders};
use crate::parquet_file::{self, Table, TableError};
use crate::tables::{
    AuditRow, FEATURES, FeatureRow, PREDICTIONS, PredictionRow, read_features, read_predictions,
    write_features, write_predictions,
};
use crate::withdrawn::WITHDRAWN_FILE;

/// The feature tables that runs are given, sorted: each says by which list of withdrawn clips it was computed.
pub(super) fn feature_tables(places: &Places) -> BTreeSet<PathBuf> {
    let entries = WalkDir::new(&places.features).follow_links(true);
    // What cannot be read is named by the search.
    let files = entries.into_iter().filter_map(Result::ok);
    let files = files.map(walkdir::DirEntry::into_path);
    files.filter(|path| is_feature_table(path)).collect()
}

fn is_feature_table(path: &Path) -> bool {
    path.is_file() && parquet_file::provenance(path, &FEATURES).is_ok()
}

/// The folders in which features and audits are written, sorted.
pub(super) fn derived_folders(places: &Places) -> Vec<PathBuf> {
    let roots = places.runs.iter();
    let entries = roots.flat_map(|root| WalkDir::new(root).follow_links(true));
    // What cannot be read is named by the search.
    let audits = entries.filter_map(Result::ok);
    let audits = audits.filter(|entry| entry.file_name() == AuditRow::FILE);
    let mut folders: BTreeSet<PathBuf> = audits
        .filter_map(|entry| Some(entry.path().parent()?.to_owned()))
        .collect();
    folders.insert(places.features.clone());
    folders.into_iter().collect()
}

impl Work<'_> {
    /// Takes the clips' rows out of every table that was found to hold some.
    pub(super) fn derived(&self, held: &[HeldRow]) -> Result<(), EraseError> {
        let files = |wanted: What| -> BTreeSet<PathBuf> {
            let is_wanted = |row: &&HeldRow| row.what == wanted && row.action == Action::Rewrite;
            let rows = held.iter().filter(is_wanted);
            let paths = rows.map(|row| self.config.places.path_of(&row.file));
            paths.collect()
        };
        let list = hash_file(&self.config.places.labels.join(WITHDRAWN_FILE))?;
        let tables = feature_tables(&self.config.places);
        for path in tables.union(&files(What::Feature)) {
            without_features(path, &self.ids, &list)?;
        }
        for path in files(What::Figure) {
            without_figures(&path, &self.ids)?;
        }
        // Those of a run go with its record.
        let runs = run_folders(&self.config.places);
        let of_runs: BTreeSet<PathBuf> = runs.iter().flat_map(|run| files_of_run(run)).collect();
        for path in files(What::Prediction).difference(&of_runs) {
            without_predictions(path, &self.ids)?;
        }
        Ok(())
    }

    /// The hashes of feature tables as they were when the work began, and as they are now.
    pub(super) fn renewed_features(&self) -> Result<Vec<(String, String)>, EraseError> {
        let paths = self
            .before
            .keys()
            .map(|name| self.config.places.path_of(name));
        let tables = paths.filter(|path| is_feature_table(path));
        let renewed = tables.map(|path| self.renewed(&path));
        let renewed: Vec<Option<(String, String)>> = renewed.collect::<Result<_, _>>()?;
        Ok(renewed.into_iter().flatten().collect())
    }
}

/// Writes a feature table anew without the clips, as one that was computed by the list with the hash `list`.
fn without_features(path: &Path, ids: &Ids, list: &str) -> Result<(), TableError> {
    let (mut provenance, rows) = read_features(path)?;
    let kept: Vec<&FeatureRow> = rows
        .iter()
        .filter(|row| !ids.contains(&row.clip_id))
        .collect();
    let listed = provenance
        .inputs
        .insert(WITHDRAWN_FILE.to_owned(), list.to_owned());
    if kept.len() == rows.len() && listed.as_deref() == Some(list) {
        return Ok(());
    }
    write_features(path, &kept, &provenance)
}

fn without_figures(path: &Path, ids: &Ids) -> Result<(), TableError> {
    let provenance = parquet_file::provenance(path, &AuditRow::FORMAT)?;
    let mut rows: Vec<AuditRow> = parquet_file::read(path)?;
    rows.retain(|row| !row.group.as_ref().is_some_and(|group| ids.contains(group)));
    parquet_file::write(path, &rows, &provenance)
}

/// Takes the clips' rows out of a table of predictions; gives its categories and the rows that stay.
pub(super) fn without_predictions(
    path: &Path,
    ids: &Ids,
) -> Result<(Vec<String>, Vec<PredictionRow>), TableError> {
    let (categories, mut rows) = read_predictions(path)?;
    let before = rows.len();
    rows.retain(|row| !ids.contains(&row.clip_id));
    if rows.len() < before {
        let provenance = parquet_file::provenance(path, &PREDICTIONS)?;
        write_predictions(path, &categories, &rows, &provenance)?;
    }
    Ok((categories, rows))
}
