//! Tables that other programs have written: the same columns without our metadata, in whatever types that program has for
//! numbers and text.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, Float64Array, RecordBatch, new_null_array};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use super::provenance::KEY_PREFIX;
use super::read::{arrow_error, damaged, keys, parquet_error, read, rows_of};
use super::{ROWS_PER_BATCH, Table, TableError};
use crate::artifact::ArtifactError;
use crate::panics::caught;

/// Whether a Parquet file was written by another program: none of its keys is ours. One changed byte in one of our keys makes no
/// file foreign.
///
/// # Errors
/// When it cannot be opened, or is not Parquet.
pub fn is_foreign(path: &Path) -> Result<bool, TableError> {
    let file = File::open(path).map_err(ArtifactError::at("open", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet_error(path))?;
    let keys = keys(builder.metadata());
    Ok(!keys.keys().any(|key| key.starts_with(KEY_PREFIX)))
}

/// Reads a table that another program has written: columns are found by name, and their values must be those of the table's
/// types, whatever types hold them. Columns that a version of this program has [added](Table::ADDED) may be absent.
///
/// # Errors
/// When the file is absent or damaged, lacks a column, or a value is none that its column can have.
pub fn read_foreign<T: Table>(path: &Path) -> Result<Vec<T>, TableError> {
    rows_of(path, foreign_batches::<T>(path)?)
}

/// Reads a table of ours, or one that [another program](read_foreign) has written.
///
/// # Errors
/// As [`read`] and [`read_foreign`].
pub fn read_any<T: Table>(path: &Path) -> Result<Vec<T>, TableError> {
    if is_foreign(path)? {
        read_foreign(path)
    } else {
        read(path)
    }
}

/// As [`read_foreign`], column by column.
///
/// # Errors
/// As there.
pub fn foreign_batches<T: Table>(path: &Path) -> Result<Vec<RecordBatch>, TableError> {
    let file = File::open(path).map_err(ArtifactError::at("open", path))?;
    let builder = ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet_error(path))?;
    let read = caught(|| {
        let batches = builder.with_batch_size(ROWS_PER_BATCH).build();
        let batches = batches.map_err(parquet_error(path))?;
        batches
            .map(|batch| converted::<T>(path, &batch.map_err(arrow_error(path))?))
            .collect()
    });
    read.unwrap_or_else(|message| Err(damaged(path, &message)))
}

/// The table's own columns, in its own types.
fn converted<T: Table>(path: &Path, batch: &RecordBatch) -> Result<RecordBatch, TableError> {
    let fields = T::columns();
    let column = |field: &Field| match batch.column_by_name(field.name()) {
        Some(column) => as_type(column, field).map_err(|what| TableError::Foreign {
            path: path.to_owned(),
            column: field.name().clone(),
            what,
        }),
        None if T::ADDED.contains(&field.name().as_str()) => {
            Ok(new_null_array(field.data_type(), batch.num_rows()))
        }
        None => Err(TableError::Column {
            path: path.to_owned(),
            column: field.name().clone(),
        }),
    };
    let columns: Vec<ArrayRef> = fields.iter().map(column).collect::<Result<_, _>>()?;
    let schema = Arc::new(Schema::new(fields));
    RecordBatch::try_new(schema, columns).map_err(arrow_error(path))
}

/// A column in the type of `field`, where every value can be held by it.
fn as_type(column: &ArrayRef, field: &Field) -> Result<ArrayRef, String> {
    let (from, to) = (column.data_type(), field.data_type());
    let is_text = |kind: &DataType| match kind {
        DataType::Dictionary(_, values) => values.is_string(),
        kind => kind.is_string(),
    };
    let is_fitting = match to {
        DataType::Utf8 => is_text(from),
        DataType::Int32 | DataType::Int64 => from.is_integer() || from.is_floating(),
        _ => from == to,
    };
    let is_fitting = is_fitting || (*from == DataType::Null && field.is_nullable());
    if !is_fitting {
        return Err(format!("{from} values, expected {to}"));
    }
    let whole = if from.is_floating() && to.is_integer() {
        whole(column)?
    } else {
        column.clone()
    };
    let converted = cast(&whole, to).map_err(|e: ArrowError| e.to_string())?;
    if converted.null_count() != whole.null_count() {
        return Err(format!("a number that {to} cannot hold"));
    }
    if converted.null_count() > 0 && !field.is_nullable() {
        return Err("a value is missing".to_owned());
    }
    Ok(converted)
}

/// Floats that are whole numbers, as integers; what is not a number is missing: so pandas writes columns with gaps.
fn whole(column: &ArrayRef) -> Result<ArrayRef, String> {
    let floats = cast(column, &DataType::Float64).map_err(|e: ArrowError| e.to_string())?;
    let floats: &Float64Array = floats.as_any().downcast_ref().ok_or("no numbers")?;
    let floats: Float64Array = floats
        .iter()
        .map(|value| value.filter(|v| !v.is_nan()))
        .collect();
    if let Some(value) = floats.iter().flatten().find(|value| value.fract() != 0.0) {
        return Err(format!("{value}, which is no whole number"));
    }
    let numbers = cast(&floats, &DataType::Int64).map_err(|e: ArrowError| e.to_string())?;
    if numbers.null_count() == floats.null_count() {
        Ok(numbers)
    } else {
        Err("a number beyond all integers".to_owned())
    }
}
