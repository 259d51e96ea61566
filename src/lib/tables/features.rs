//! The feature table: what a frozen backbone makes of every clip. Its columns depend on the
//! backbone's width.

use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, FixedSizeListArray, Float32Array, PrimitiveArray, RecordBatch, StringArray,
};
use arrow::datatypes::{DataType, Field, Float32Type, Schema, SchemaRef};
use arrow::error::ArrowError;

use crate::clip::Split;
use crate::parquet_file::{self, BatchWriter, Format, Provenance, TableError, column};

/// Rows that are converted to columns at a time.
const ROWS_PER_BATCH: usize = 1024;

/// A row of a feature table: one clip.
///
/// The column `feature` is a list of fixed size of 32-bit floats, none of them null. Sorted as the
/// shards' index.
#[derive(Clone, Debug, PartialEq)]
pub struct FeatureRow {
    /// The clip.
    pub clip_id: String,
    /// The split whose label table names the clip.
    pub split: Split,
    /// BLAKE3 hash of the clip's row in its shard, as the index has it: the feature is that of
    /// these bytes.
    pub content: String,
    /// The pooled features of the frozen, evaluated backbone, before any dropout, `[d]`.
    pub feature: Vec<f32>,
}

impl FeatureRow {
    /// The table's file name where nobody chooses another.
    pub const FILE: &'static str = "features.parquet";
}

/// The format of a feature table. Its provenance names the checkpoint's hash as the input
/// [`CHECKPOINT`], and the transform from stored frames to features as settings.
pub const FEATURES: Format = Format::new("incdec.features", 1, "make features");

/// The role of the backbone's checkpoint among the inputs of a feature table.
pub const CHECKPOINT: &str = "checkpoint";

/// The role of a feature table among the inputs of a run.
pub const FEATURES_INPUT: &str = "features";

/// The hash of the backbone that the feature table at `path` is of; none where it does not say.
///
/// # Errors
/// When the file is absent, damaged or no such table.
pub fn backbone_of(path: &Path) -> Result<Option<String>, TableError> {
    let mut provenance = parquet_file::provenance(path, &FEATURES)?;
    Ok(provenance.inputs.remove(CHECKPOINT))
}

/// Publishes a feature table.
///
/// # Errors
/// When the disk refuses.
///
/// # Panics
/// When rows differ in width.
pub fn write_features(
    path: &Path,
    rows: &[&FeatureRow],
    provenance: &Provenance,
) -> Result<(), TableError> {
    let width = rows.first().map_or(0, |row| row.feature.len());
    let arrow = |source| TableError::Arrow {
        path: path.to_owned(),
        source,
    };
    let schema = schema(width);
    let mut writer = BatchWriter::create(path, Arc::clone(&schema), &FEATURES, provenance)?;
    for rows in rows.chunks(ROWS_PER_BATCH) {
        writer.write(&batch_of(&schema, width, rows).map_err(arrow)?)?;
    }
    writer.finish()
}

fn schema(width: usize) -> SchemaRef {
    Arc::new(Schema::new(vec![
        column::text("clip_id"),
        column::text("split"),
        column::text("content"),
        Field::new("feature", list_of(width), false),
    ]))
}

fn list_of(width: usize) -> DataType {
    // A backbone's width is a few thousand.
    let width = i32::try_from(width).unwrap_or(i32::MAX);
    DataType::FixedSizeList(Arc::new(column::float32("item")), width)
}

fn batch_of(
    schema: &SchemaRef,
    width: usize,
    rows: &[&FeatureRow],
) -> Result<RecordBatch, ArrowError> {
    assert!(
        rows.iter().all(|row| row.feature.len() == width),
        "features of one width"
    );
    let text = |value: fn(&FeatureRow) -> &str| -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|r| value(r))))
    };
    let values: PrimitiveArray<Float32Type> =
        rows.iter().flat_map(|row| &row.feature).copied().collect();
    let DataType::FixedSizeList(item, size) = list_of(width) else {
        unreachable!("a list was made")
    };
    let features = FixedSizeListArray::try_new_with_length(
        item,
        size,
        Arc::new(Float32Array::from(values.values().to_vec())),
        None,
        rows.len(),
    )?;
    RecordBatch::try_new(
        Arc::clone(schema),
        vec![
            text(|row| &row.clip_id),
            text(|row| row.split.name()),
            text(|row| &row.content),
            Arc::new(features),
        ],
    )
}

/// Reads a feature table: where it comes from, and its rows.
///
/// # Errors
/// When the file is absent, damaged, in another format, or lacks a column.
pub fn read_features(path: &Path) -> Result<(Provenance, Vec<FeatureRow>), TableError> {
    let provenance = parquet_file::provenance(path, &FEATURES)?;
    let mut rows = Vec::new();
    for batch in parquet_file::read_batches(path, &FEATURES, None)? {
        let text = |name| parquet_file::typed_column::<StringArray>(path, &batch, name);
        let (clip_id, split, content) = (text("clip_id")?, text("split")?, text("content")?);
        let lists = parquet_file::typed_column::<FixedSizeListArray>(path, &batch, "feature")?;
        for i in 0..batch.num_rows() {
            let unreadable = |column: &str| TableError::Column {
                path: path.to_owned(),
                column: format!("{column} of row {i}"),
            };
            let list = lists.value(i);
            let feature = list.as_any().downcast_ref::<Float32Array>();
            let feature = feature.filter(|values| values.null_count() == 0);
            rows.push(FeatureRow {
                clip_id: clip_id.value(i).to_owned(),
                split: split.value(i).parse().map_err(|_| unreadable("split"))?,
                content: content.value(i).to_owned(),
                feature: feature
                    .ok_or_else(|| unreadable("feature"))?
                    .values()
                    .to_vec(),
            });
        }
    }
    Ok((provenance, rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn features_survive_to_the_bit_and_their_rows_are_hashed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FeatureRow::FILE);
        let row = |id: &str, feature: [f32; 2]| FeatureRow {
            clip_id: id.to_owned(),
            split: Split::Train,
            content: "c".to_owned(),
            feature: feature.to_vec(),
        };
        let rows = [row("a", [0.1, -0.0]), row("b", [f32::MIN_POSITIVE, 3.0])];
        let provenance = Provenance::default();
        write_features(&path, &rows.iter().collect::<Vec<_>>(), &provenance).unwrap();
        assert_eq!(read_features(&path).unwrap().1, rows);
        assert!(parquet_file::verify(&path, &FEATURES).unwrap());
        write_features(&path, &[], &provenance).unwrap();
        assert_eq!(read_features(&path).unwrap().1, []);
    }
}
