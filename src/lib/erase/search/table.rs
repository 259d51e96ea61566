//! Clips in Parquet tables, those of ours and any other: every text of every row is read.

use std::collections::BTreeMap;
use std::path::Path;

use arrow::array::{Array, BooleanArray, Int32Array, RecordBatch, StringArray};

use super::Search;
use crate::erase::held::{Action, Place, What};
use crate::parquet_file::{self, Table, TableError};
use crate::tables::{
    AuditRow, AvailabilityRow, ClipRow, ClipStatus, ErasureRow, FEATURES, IndexRow, LedgerRow,
    PREDICTIONS, ScheduleRow, SeenRow,
};

/// What a table holds of one clip.
#[derive(Default)]
struct Mentions {
    rows: usize,
    /// Rows that say more than that the clip is withdrawn.
    telling: usize,
    /// The tasks of those rows.
    tasks: Vec<i32>,
}

impl Search<'_> {
    /// Looks at every row of a table.
    pub(super) fn table(&mut self, place: Place, path: &Path) -> Result<(), TableError> {
        let mut found: BTreeMap<String, Mentions> = BTreeMap::new();
        let mut name = String::new();
        parquet_file::scan(path, |format, batch| {
            format.clone_into(&mut name);
            let allowed = Allowed::of(format, batch);
            let task = typed::<Int32Array>(batch, "task");
            for row in 0..batch.num_rows() {
                for id in self.ids_of_row(batch, row) {
                    let mentions = found.entry(id).or_default();
                    mentions.rows += 1;
                    mentions.telling += usize::from(!allowed.is(row));
                    mentions.tasks.extend(task.map(|task| task.value(row)));
                }
            }
        })?;
        // These two may name the clips that they are about.
        if [ErasureRow::FORMAT.name, SeenRow::FORMAT.name].contains(&name.as_str()) {
            return Ok(());
        }
        let what = match name.as_str() {
            n if n == PREDICTIONS.name => What::Prediction,
            n if n == FEATURES.name => What::Feature,
            n if n == AuditRow::FORMAT.name => What::Figure,
            _ => What::Row,
        };
        let is_rewritten = self.is_rewritten_table(place, path, &name);
        for (id, mentions) in found {
            let action = match (mentions.telling, is_rewritten) {
                (0, _) => Action::Keep,
                (_, true) => Action::Rewrite,
                (_, false) => Action::ByHand,
            };
            self.hold(place, path, &id, what, 0, action, Some(mentions.note()));
        }
        Ok(())
    }

    /// Whether apply writes a table of this format anew: index and manifest in their place, tables of
    /// other kinds wherever they lie. Of those in a store more is known there.
    fn is_rewritten_table(&self, place: Place, path: &Path, format: &str) -> bool {
        let index = self.places.shards.join(IndexRow::FILE);
        match format {
            _ if matches!(place, Place::Cache | Place::Store) || self.is_of_part(path) => {
                format.starts_with("incdec.")
            }
            n if n == IndexRow::FORMAT.name => path == index,
            n if n == ClipRow::FORMAT.name => path == self.places.manifest,
            n => [
                AvailabilityRow::FORMAT.name,
                ScheduleRow::FORMAT.name,
                LedgerRow::FORMAT.name,
                FEATURES.name,
                PREDICTIONS.name,
                AuditRow::FORMAT.name,
            ]
            .contains(&n),
        }
    }

    /// The clips that one row names.
    fn ids_of_row(&self, batch: &RecordBatch, row: usize) -> Vec<String> {
        if let Some(clip) = typed::<StringArray>(batch, "clip_id") {
            // The other columns of such a table say nothing about other clips.
            let id = clip.value(row);
            return self
                .ids
                .contains(id)
                .then(|| id.to_owned())
                .into_iter()
                .collect();
        }
        let texts = batch.columns().iter();
        let texts = texts.filter_map(|column| column.as_any().downcast_ref::<StringArray>());
        texts
            .filter(|column| column.is_valid(row))
            .flat_map(|column| self.ids.within(column.value(row).as_bytes()))
            .collect()
    }
}

impl Mentions {
    fn note(mut self) -> String {
        self.tasks.sort_unstable();
        self.tasks.dedup();
        let rows = format!("{} rows", self.rows);
        match (self.tasks.first(), self.tasks.last()) {
            (Some(first), Some(last)) if first != last => {
                format!("{rows}, tasks {first} to {last}")
            }
            (Some(task), _) => format!("{rows}, task {task}"),
            _ => rows,
        }
    }
}

/// Which rows say no more than that their clip is withdrawn.
struct Allowed<'a> {
    status: Option<&'a StringArray>,
    shard: Option<&'a StringArray>,
    content: Option<&'a StringArray>,
    usable: Option<&'a BooleanArray>,
}

impl<'a> Allowed<'a> {
    fn of(format: &str, batch: &'a RecordBatch) -> Self {
        let by_status = [IndexRow::FORMAT.name, ClipRow::FORMAT.name].contains(&format);
        let text = |name: &str| by_status.then(|| typed(batch, name)).flatten();
        let is_availability = format == AvailabilityRow::FORMAT.name;
        Self {
            status: text("status"),
            shard: text("shard"),
            content: text("source_blake3"),
            usable: is_availability.then(|| typed(batch, "usable")).flatten(),
        }
    }

    fn is(&self, row: usize) -> bool {
        let is_null = |column: Option<&StringArray>| column.is_none_or(|c| c.is_null(row));
        let withdrawn = self
            .status
            .is_some_and(|s| s.value(row) == ClipStatus::Withdrawn.name());
        let unusable = self.usable.is_some_and(|usable| !usable.value(row));
        (withdrawn && is_null(self.shard) && is_null(self.content)) || unusable
    }
}

fn typed<'a, A: Array + 'static>(batch: &'a RecordBatch, name: &str) -> Option<&'a A> {
    batch.column_by_name(name)?.as_any().downcast_ref()
}
