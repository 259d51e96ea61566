//! `predictions.parquet`: what the model said of every clip. Its columns depend on the categories.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{ArrayRef, Float32Array, Int32Array, RecordBatch, StringArray};
use arrow::datatypes::Schema;
use arrow::error::ArrowError;

use crate::clip::Split;
use crate::parquet_file::{
    self, BatchWriter, Format, Layout, Provenance, RowsHash, TableError, column,
};

/// A row of `predictions.parquet`: what the model said of one clip at the end of one task.
///
/// The file has a column `p_<category>` for each class, in class order. Sorted by task, split,
/// position.
#[derive(Clone, Debug, PartialEq)]
pub struct PredictionRow {
    /// The task, from 0.
    pub task: i32,
    /// Validation or test.
    pub split: Split,
    /// The clip's position in the task's list.
    pub position: i32,
    /// The clip.
    pub clip_id: String,
    /// Its class index.
    pub label: i32,
    /// Its subcategory.
    pub subcategory: String,
    /// The class with the largest probability; the lowest wins a tie.
    pub prediction: i32,
    /// A probability for each class.
    pub probabilities: Vec<f32>,
}

impl PredictionRow {
    /// The table's file name.
    pub const FILE: &'static str = "predictions.parquet";
}

/// The format of `predictions.parquet`.
pub const PREDICTIONS: Format = Format {
    name: "incdec.predictions",
    version: 1,
    rebuild: "make train",
    layout: &Layout {
        sorted: &["task"],
        unique: &["position"],
    },
};

/// Publishes `predictions.parquet` for the classes named `categories`.
///
/// # Errors
/// When the disk refuses.
///
/// # Panics
/// When a row has another number of probabilities than there are categories.
pub fn write_predictions(
    path: &Path,
    categories: &[String],
    rows: &[PredictionRow],
    provenance: &Provenance,
) -> Result<(), TableError> {
    let rows: Vec<&PredictionRow> = rows.iter().collect();
    let arrow = |source| TableError::Arrow {
        path: path.to_owned(),
        source,
    };
    let batch = batch_of(categories, &rows).map_err(arrow)?;
    let mut writer = BatchWriter::create(path, batch.schema(), &PREDICTIONS, provenance)?;
    writer.write(&batch)?;
    writer.finish()
}

/// The hash that `predictions.parquet` of these rows alone would carry over its rows.
///
/// # Errors
/// When the columns cannot be made.
///
/// # Panics
/// When a row has another number of probabilities than there are categories.
pub fn predictions_hash(
    categories: &[String],
    rows: &[&PredictionRow],
) -> Result<String, ArrowError> {
    let batch = batch_of(categories, rows)?;
    let mut hash = RowsHash::new(&batch.schema());
    hash.update(&batch)?;
    Ok(hash.finish())
}

/// The rows as columns, with one `p_<category>` for each class.
fn batch_of(categories: &[String], rows: &[&PredictionRow]) -> Result<RecordBatch, ArrowError> {
    let mut fields = vec![
        column::int32("task"),
        column::text("split"),
        column::int32("position"),
        column::text("clip_id"),
        column::int32("label"),
        column::text("subcategory"),
        column::int32("prediction"),
    ];
    fields.extend(
        categories
            .iter()
            .map(|c| column::float32(&format!("p_{c}"))),
    );
    assert!(
        rows.iter()
            .all(|r| r.probabilities.len() == categories.len()),
        "a probability for each class"
    );
    let int = |value: fn(&PredictionRow) -> i32| -> ArrayRef {
        Arc::new(Int32Array::from_iter_values(rows.iter().map(|r| value(r))))
    };
    let mut columns: Vec<ArrayRef> = vec![
        int(|r| r.task),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|r| r.split.name()),
        )),
        int(|r| r.position),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|r| &r.clip_id),
        )),
        int(|r| r.label),
        Arc::new(StringArray::from_iter_values(
            rows.iter().map(|r| &r.subcategory),
        )),
        int(|r| r.prediction),
    ];
    for class in 0..categories.len() {
        columns.push(Arc::new(Float32Array::from_iter_values(
            rows.iter().map(|r| r.probabilities[class]),
        )));
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns)
}

/// Reads `predictions.parquet`: the categories in class order, and the rows.
///
/// # Errors
/// When the file is absent, damaged, in another format, or lacks a column.
pub fn read_predictions(path: &Path) -> Result<(Vec<String>, Vec<PredictionRow>), TableError> {
    let mut categories = Vec::new();
    let mut rows = Vec::new();
    for batch in parquet_file::read_batches(path, &PREDICTIONS, None)? {
        let schema = batch.schema();
        categories = schema
            .fields()
            .iter()
            .filter_map(|f| f.name().strip_prefix("p_"))
            .map(str::to_owned)
            .collect();
        let task = parquet_file::typed_column::<Int32Array>(path, &batch, "task")?;
        let split = parquet_file::typed_column::<StringArray>(path, &batch, "split")?;
        let position = parquet_file::typed_column::<Int32Array>(path, &batch, "position")?;
        let clip_id = parquet_file::typed_column::<StringArray>(path, &batch, "clip_id")?;
        let label = parquet_file::typed_column::<Int32Array>(path, &batch, "label")?;
        let subcategory = parquet_file::typed_column::<StringArray>(path, &batch, "subcategory")?;
        let prediction = parquet_file::typed_column::<Int32Array>(path, &batch, "prediction")?;
        let probabilities = categories
            .iter()
            .map(|c| parquet_file::typed_column::<Float32Array>(path, &batch, &format!("p_{c}")))
            .collect::<Result<Vec<_>, _>>()?;
        for i in 0..batch.num_rows() {
            let split = split.value(i).parse().map_err(|_| TableError::Column {
                path: path.to_owned(),
                column: format!("split of row {i}"),
            })?;
            rows.push(PredictionRow {
                task: task.value(i),
                split,
                position: position.value(i),
                clip_id: clip_id.value(i).to_owned(),
                label: label.value(i),
                subcategory: subcategory.value(i).to_owned(),
                prediction: prediction.value(i),
                probabilities: probabilities.iter().map(|p| p.value(i)).collect(),
            });
        }
    }
    Ok((categories, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn predictions_survive_with_a_column_for_each_category() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(PredictionRow::FILE);
        let row = PredictionRow {
            task: 1,
            split: Split::Test,
            position: 4,
            clip_id: "a_000000_000010".into(),
            label: 1,
            subcategory: "yawning".into(),
            prediction: 0,
            probabilities: vec![0.75, 0.25],
        };
        let categories = ["food".to_owned(), "fatigue".to_owned()];
        write_predictions(
            &path,
            &categories,
            std::slice::from_ref(&row),
            &Provenance::default(),
        )
        .unwrap();
        assert_eq!(
            read_predictions(&path).unwrap(),
            (categories.to_vec(), vec![row])
        );
    }
}
