//! Streams the rows of `availability.parquet`, tens of millions of them, straight into Arrow
//! columns.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::{ArrayRef, BooleanBuilder, Int32Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{Schema, SchemaRef};

use super::LabelledClip;
use crate::clip::Split;
use crate::parquet_file::{BatchWriter, Provenance, Table, TableError};
use crate::tables::{AvailabilityRow, Change};
use crate::taxonomy::Taxonomy;

/// Rows that are gathered before they are written: what bounds the stage's memory beside the clips
/// themselves.
const ROWS_PER_BATCH: usize = 65_536;

/// One row, borrowed: [`AvailabilityRow`] without a copy of its texts.
pub(super) struct RowRef<'a> {
    pub(super) task: i32,
    pub(super) split: Split,
    pub(super) position: Option<i32>,
    pub(super) row: i32,
    pub(super) clip: &'a LabelledClip,
    pub(super) change: Change,
}

/// Writes such rows; the file appears under its name only when finished.
pub(super) struct AvailabilityWriter<'a> {
    path: PathBuf,
    taxonomy: &'a Taxonomy,
    schema: SchemaRef,
    writer: BatchWriter,
    columns: Builders,
    rows: usize,
}

#[derive(Default)]
struct Builders {
    task: Int32Builder,
    split: StringBuilder,
    position: Int32Builder,
    row: Int32Builder,
    clip_id: StringBuilder,
    group: StringBuilder,
    category: StringBuilder,
    label: Int32Builder,
    subcategory: StringBuilder,
    change: StringBuilder,
    usable: BooleanBuilder,
}

impl<'a> AvailabilityWriter<'a> {
    pub(super) fn create(
        path: &Path,
        taxonomy: &'a Taxonomy,
        provenance: &Provenance,
    ) -> Result<Self, TableError> {
        let schema = Arc::new(Schema::new(AvailabilityRow::columns()));
        let format = &AvailabilityRow::FORMAT;
        Ok(Self {
            path: path.to_owned(),
            taxonomy,
            writer: BatchWriter::create(path, schema.clone(), format, provenance)?,
            schema,
            columns: Builders::default(),
            rows: 0,
        })
    }

    pub(super) fn push(&mut self, row: &RowRef<'_>) -> Result<(), TableError> {
        let category = &self.taxonomy.categories()[row.clip.class];
        let columns = &mut self.columns;
        columns.task.append_value(row.task);
        columns.split.append_value(row.split.name());
        columns.position.append_option(row.position);
        columns.row.append_value(row.row);
        columns.clip_id.append_value(&row.clip.clip_id);
        columns.group.append_option(row.clip.group.as_deref());
        columns.category.append_value(&category.name);
        columns.label.append_value(int(row.clip.class));
        columns
            .subcategory
            .append_value(&category.subcategories[row.clip.subcategory]);
        columns.change.append_value(row.change.name());
        columns.usable.append_value(row.clip.usable);
        self.rows += 1;
        if self.rows == ROWS_PER_BATCH {
            self.flush()?;
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<(), TableError> {
        self.flush()?;
        self.writer.finish()
    }

    fn flush(&mut self) -> Result<(), TableError> {
        self.rows = 0;
        let c = &mut self.columns;
        // In the order of the table's columns.
        let columns: Vec<ArrayRef> = vec![
            Arc::new(c.task.finish()),
            Arc::new(c.split.finish()),
            Arc::new(c.position.finish()),
            Arc::new(c.row.finish()),
            Arc::new(c.clip_id.finish()),
            Arc::new(c.group.finish()),
            Arc::new(c.category.finish()),
            Arc::new(c.label.finish()),
            Arc::new(c.subcategory.finish()),
            Arc::new(c.change.finish()),
            Arc::new(c.usable.finish()),
        ];
        let batch = RecordBatch::try_new(self.schema.clone(), columns).map_err(|source| {
            TableError::Arrow {
                path: self.path.clone(),
                source,
            }
        })?;
        self.writer.write(&batch)
    }
}

/// A count as tables hold it. Tasks, rows and positions are far below 2^31: label rows are 32-bit
/// themselves.
pub(super) fn int(n: usize) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet_file;

    #[test]
    fn streamed_rows_are_read_back_as_rows_of_the_table() {
        let pairs = [("food".to_owned(), "eating cake".to_owned())];
        let taxonomy = Taxonomy::from_pairs(Path::new("classes.csv"), pairs).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("availability.parquet");
        let mut writer =
            AvailabilityWriter::create(&path, &taxonomy, &Provenance::default()).unwrap();
        let clip = LabelledClip {
            clip_id: "abc_000000_000010".into(),
            group: Some("abc".into()),
            class: 0,
            subcategory: 0,
            usable: false,
        };
        let changes = [
            Change::Initial,
            Change::Kept,
            Change::Arrived,
            Change::Removed,
        ];
        let expected: Vec<AvailabilityRow> = (0..)
            .zip(changes)
            .map(|(i, change)| AvailabilityRow {
                task: i,
                split: Split::Validation,
                position: (change != Change::Removed).then_some(i),
                row: 7,
                clip_id: clip.clip_id.clone(),
                group: clip.group.clone(),
                category: "food".into(),
                label: 0,
                subcategory: "eating cake".into(),
                change,
                usable: false,
            })
            .collect();
        for row in &expected {
            let row = RowRef {
                task: row.task,
                split: row.split,
                position: row.position,
                row: row.row,
                clip: &clip,
                change: row.change,
            };
            writer.push(&row).unwrap();
        }
        writer.finish().unwrap();
        assert_eq!(
            parquet_file::read::<AvailabilityRow>(&path).unwrap(),
            expected
        );
    }
}
