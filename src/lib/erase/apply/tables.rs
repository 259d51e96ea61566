//! The tables of tasks and the download's ledgers, written anew without the clips.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanArray, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use walkdir::WalkDir;

use super::Work;
use crate::artifact::hash_file;
use crate::erase::EraseError;
use crate::erase::config::Places;
use crate::erase::held::{Action, HeldRow, What};
use crate::erase::ids::Ids;
use crate::erase::runs::{files_of_run, run_folders};
use crate::parquet_file::{self, BatchWriter, Format, Provenance, Table, TableError};
use crate::tables::{AvailabilityRow, Kind, LedgerRow, ScheduleRow};
use crate::withdrawn::WITHDRAWN_FILE;

/// A table that every stage which reads the label tables has among its inputs.
const LABEL_TABLE: &str = "train.csv";

/// The folders of tasks, sorted: those of the stage, and those that audits and unlearning deal for
/// themselves beside the runs.
pub(super) fn task_folders(places: &Places) -> Vec<PathBuf> {
    let roots = std::iter::once(&places.tasks).chain(&places.runs);
    let entries = roots.flat_map(|root| WalkDir::new(root).follow_links(true));
    // What cannot be read is named by the search.
    let files = entries.filter_map(Result::ok);
    let tables = files.filter(|entry| entry.file_name() == AvailabilityRow::FILE);
    let folders = tables.filter_map(|entry| Some(entry.path().parent()?.to_owned()));
    let mut folders: BTreeSet<PathBuf> = folders.collect();
    for run in run_folders(places) {
        folders.remove(&run);
    }
    folders.into_iter().collect()
}

/// The tables of all tasks that are there.
pub(super) fn task_tables(places: &Places) -> Vec<PathBuf> {
    let tables =
        |folder: PathBuf| [AvailabilityRow::FILE, ScheduleRow::FILE].map(|t| folder.join(t));
    let all = task_folders(places).into_iter().flat_map(tables);
    all.filter(|path| path.exists()).collect()
}

impl Work<'_> {
    /// The tables of all tasks: the clips keep their places and are no longer usable.
    pub(super) fn tasks(&self) -> Result<(), EraseError> {
        let lineage = self.lineage()?;
        for path in task_tables(&self.config.places) {
            renew(&path, &self.ids, &lineage)?;
        }
        Ok(())
    }

    /// Tables that lie where no stage puts them, each by its format.
    pub(super) fn elsewhere(&self, held: &[HeldRow]) -> Result<(), EraseError> {
        let places = &self.config.places;
        let runs = run_folders(places);
        let of_runs: BTreeSet<PathBuf> = runs.iter().flat_map(|run| files_of_run(run)).collect();
        let lineage = self.lineage()?;
        let is_wanted = |row: &&HeldRow| row.what == What::Row && row.action == Action::Rewrite;
        let paths = held.iter().filter(is_wanted);
        let paths: BTreeSet<PathBuf> = paths.map(|row| places.path_of(&row.file)).collect();
        for path in paths.difference(&of_runs) {
            if has_format(path, &AvailabilityRow::FORMAT) {
                renew(path, &self.ids, &lineage)?;
            } else if has_format(path, &LedgerRow::FORMAT) {
                self.without_downloads(path)?;
            }
        }
        Ok(())
    }

    /// What an input of the stage tasks has become.
    pub(super) fn lineage(&self) -> Result<Lineage, EraseError> {
        let places = &self.config.places;
        Ok(Lineage {
            renewed: self.renewed(&places.manifest)?.into_iter().collect(),
            list: hash_file(&places.labels.join(WITHDRAWN_FILE))?,
        })
    }

    /// The ledger of the download: it holds the hash of each clip's file.
    pub(super) fn downloads(&self) -> Result<(), EraseError> {
        let path = self.config.places.data.join(LedgerRow::FILE);
        if path.exists() {
            self.without_downloads(&path)?;
        }
        Ok(())
    }

    fn without_downloads(&self, path: &Path) -> Result<(), EraseError> {
        let before = parquet_file::provenance(path, &LedgerRow::FORMAT)?;
        let mut rows: Vec<LedgerRow> = parquet_file::read(path)?;
        let count = rows.len();
        rows.retain(|row| match row.kind {
            Kind::Archive => true,
            Kind::Clip | Kind::Refused => self.ids.within(row.name.as_bytes()).is_empty(),
        });
        let after = self.lineage()?.of(&before);
        if rows.len() < count || after != before {
            parquet_file::write(path, &rows, &after)?;
        }
        Ok(())
    }
}

/// What the inputs of tables have become.
pub(super) struct Lineage {
    /// Hashes before and after.
    renewed: BTreeMap<String, String>,
    /// The hash of the list of withdrawn clips.
    list: String,
}

impl Lineage {
    /// The provenance of a table that is made again from the inputs as they are now.
    fn of(&self, before: &Provenance) -> Provenance {
        let mut after = before.clone();
        for hash in after.inputs.values_mut() {
            if let Some(now) = self.renewed.get(hash) {
                hash.clone_from(now);
            }
        }
        if after.inputs.contains_key(LABEL_TABLE) {
            after
                .inputs
                .insert(WITHDRAWN_FILE.to_owned(), self.list.clone());
        }
        after
    }
}

/// Writes a table of tasks anew: rows of the clips are no longer usable, and inputs that were
/// written anew have their new hashes. The bytes are those that the stage would give.
pub(super) fn renew(path: &Path, ids: &Ids, lineage: &Lineage) -> Result<(), TableError> {
    let (format, columns) = if has_format(path, &ScheduleRow::FORMAT) {
        (ScheduleRow::FORMAT, ScheduleRow::columns())
    } else {
        (AvailabilityRow::FORMAT, AvailabilityRow::columns())
    };
    let before = parquet_file::provenance(path, &format)?;
    let after = lineage.of(&before);
    // A table of a version before keeps the columns that it has.
    let batches = parquet_file::read_batches(path, &format, None)?;
    let schema = Arc::new(match batches.first() {
        Some(batch) => Schema::new(batch.schema().fields().clone()),
        None => Schema::new(columns),
    });
    let arrow = |source| TableError::Arrow {
        path: path.to_owned(),
        source,
    };
    let mut changed = false;
    let mut renewed = Vec::new();
    for batch in batches {
        let columns = match unusable(&batch, ids) {
            Some(columns) => {
                changed = true;
                columns
            }
            None => batch.columns().to_vec(),
        };
        renewed.push(RecordBatch::try_new(schema.clone(), columns).map_err(arrow)?);
    }
    if !changed && after == before {
        return Ok(());
    }
    let mut writer = BatchWriter::create(path, schema, &format, &after)?;
    renewed.iter().try_for_each(|batch| writer.write(batch))?;
    writer.finish()
}

/// Whether a file is a table of this format.
pub(super) fn has_format(path: &Path, format: &Format) -> bool {
    parquet_file::provenance(path, format).is_ok()
}

/// The columns of a batch in which no row of the clips is usable; none where that is so already.
fn unusable(batch: &RecordBatch, ids: &Ids) -> Option<Vec<ArrayRef>> {
    let place = batch.schema().index_of("usable").ok()?;
    let clips = batch
        .column_by_name("clip_id")?
        .as_any()
        .downcast_ref::<StringArray>()?;
    let usable = batch
        .column(place)
        .as_any()
        .downcast_ref::<BooleanArray>()?;
    let now: BooleanArray = (0..batch.num_rows())
        .map(|row| Some(usable.value(row) && !ids.contains(clips.value(row))))
        .collect();
    if now == *usable {
        return None;
    }
    let mut columns = batch.columns().to_vec();
    columns[place] = Arc::new(now);
    Some(columns)
}
