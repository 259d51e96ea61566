//! Parquet files to rows, or to record batches of the columns that are asked for.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use arrow::array::{Array, RecordBatch};
use arrow::error::ArrowError;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;
use parquet::file::metadata::ParquetMetaData;

use super::provenance::{FORMAT_KEY, ROWS_KEY};
use super::{Format, Provenance, ROWS_PER_BATCH, RowsHash, Table, TableError};
use crate::artifact::ArtifactError;
use crate::panics::caught;

/// Opens a file in `format` and reads its provenance without reading rows.
///
/// # Errors
/// When the file is absent, damaged, or in another format or version.
pub fn provenance(path: &Path, format: &Format) -> Result<Provenance, TableError> {
    open(path, format).map(|opened| opened.provenance)
}

/// Reads all record batches of a file in `format`; of the columns only `columns`, where given.
///
/// # Errors
/// When the file is absent, damaged, in another format or version, or lacks a column.
pub fn read_batches(
    path: &Path,
    format: &Format,
    columns: Option<&[&str]>,
) -> Result<Vec<RecordBatch>, TableError> {
    read_columns(path, format, columns, &[])
}

/// [`read_batches`] where the columns `added` may be absent.
fn read_columns(
    path: &Path,
    format: &Format,
    columns: Option<&[&str]>,
    added: &[&str],
) -> Result<Vec<RecordBatch>, TableError> {
    let Opened {
        mut builder,
        rows_hash,
        ..
    } = open(path, format)?;
    let wanted = columns
        .map(|columns| places_of(path, &builder, columns, added))
        .transpose()?;
    if rows_hash.is_none() {
        tracing::info!(
            "{}: it was written before rows were hashed and is read unchecked",
            path.display()
        );
        if let Some(places) = &wanted {
            let mask = ProjectionMask::roots(builder.parquet_schema(), places.iter().copied());
            builder = builder.with_projection(mask);
        }
    }
    let schema = builder.schema().clone();
    // Of a damaged file the packages panic in places that the metadata do not show; nothing of it is used afterwards.
    let batches = caught(|| all_batches(path, builder))
        .unwrap_or_else(|message| Err(damaged(path, &message)))?;
    let Some(written) = rows_hash else {
        return Ok(batches);
    };
    let mut hash = RowsHash::new(&schema);
    for batch in &batches {
        hash.update(batch).map_err(arrow_error(path))?;
    }
    if hash.finish() != written {
        return Err(TableError::Changed {
            path: path.to_owned(),
            what: "rows",
            expected: *format,
        });
    }
    let Some(places) = wanted else {
        return Ok(batches);
    };
    let project = |batch: RecordBatch| batch.project(&places);
    batches
        .into_iter()
        .map(|batch| project(batch).map_err(arrow_error(path)))
        .collect()
}

/// Where the file has the columns that are asked for, in the file's order. Those of `added` may be absent.
fn places_of(
    path: &Path,
    builder: &ParquetRecordBatchReaderBuilder<File>,
    columns: &[&str],
    added: &[&str],
) -> Result<Vec<usize>, TableError> {
    let is_there = |column: &str| builder.schema().index_of(column).is_ok();
    let mut places = columns
        .iter()
        .filter(|column| !added.contains(column) || is_there(column))
        .map(|column| {
            builder
                .schema()
                .index_of(column)
                .map_err(|_| TableError::Column {
                    path: path.to_owned(),
                    column: (*column).to_owned(),
                })
        })
        .collect::<Result<Vec<_>, _>>()?;
    places.sort_unstable();
    Ok(places)
}

fn all_batches(
    path: &Path,
    builder: ParquetRecordBatchReaderBuilder<File>,
) -> Result<Vec<RecordBatch>, TableError> {
    builder
        .with_batch_size(ROWS_PER_BATCH)
        .build()
        .map_err(parquet_error(path))?
        .collect::<Result<_, _>>()
        .map_err(arrow_error(path))
}

/// The error of a file on which the packages panic.
pub(super) fn damaged(path: &Path, message: &str) -> TableError {
    parquet_error(path)(ParquetError::General(format!("damaged: {message}")))
}

pub(super) fn parquet_error(path: &Path) -> impl FnOnce(ParquetError) -> TableError + use<> {
    let path = path.to_owned();
    move |source| TableError::Parquet { path, source }
}

pub(super) fn arrow_error(path: &Path) -> impl FnOnce(ArrowError) -> TableError + use<> {
    let path = path.to_owned();
    move |source| TableError::Arrow { path, source }
}

/// Reads all rows of a table, its own columns alone. Columns that a version of this program has [added](Table::ADDED) are null
/// where the file lacks them.
///
/// # Errors
/// When the file is absent, damaged, in another format or version, or lacks a column.
pub fn read<T: Table>(path: &Path) -> Result<Vec<T>, TableError> {
    let fields = T::columns();
    let names: Vec<&str> = fields.iter().map(|f| f.name().as_str()).collect();
    rows_of(
        path,
        read_columns(path, &T::FORMAT, Some(&names), T::ADDED)?,
    )
}

/// The rows of all batches.
pub(super) fn rows_of<T: Table>(
    path: &Path,
    batches: impl IntoIterator<Item = RecordBatch>,
) -> Result<Vec<T>, TableError> {
    let mut rows = Vec::new();
    for batch in batches {
        let part: Vec<T> =
            serde_arrow::from_record_batch(&batch).map_err(|e| TableError::Rows {
                path: path.to_owned(),
                source: Box::new(e),
            })?;
        rows.extend(part);
    }
    Ok(rows)
}

/// Hands on the record batches of any Parquet file, each with the name of the file's format; empty where the file names none.
/// Hashes are not compared: what is damaged or edited is looked into all the same.
///
/// # Errors
/// When the file is absent or cannot be read to its end.
pub fn scan(path: &Path, mut each: impl FnMut(&str, &RecordBatch)) -> Result<(), TableError> {
    let file = File::open(path).map_err(ArtifactError::at("open", path))?;
    let scanned = caught(|| {
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(parquet_error(path))?;
        let pairs = builder.metadata().file_metadata().key_value_metadata();
        let format = pairs
            .into_iter()
            .flatten()
            .find(|pair| pair.key == FORMAT_KEY);
        let format = format
            .and_then(|pair| pair.value.clone())
            .unwrap_or_default();
        let batches = builder.with_batch_size(ROWS_PER_BATCH).build();
        batches
            .map_err(parquet_error(path))?
            .try_for_each(|batch| batch.map(|b| each(&format, &b)).map_err(arrow_error(path)))
    });
    scanned.unwrap_or_else(|message| Err(damaged(path, &message)))
}

/// Reads a file in `format` to its end, a batch at a time, and compares its hashes. Says whether it has one over its rows.
///
/// # Errors
/// When the file is absent, damaged, in another format or version, or not as it was written.
pub fn verify(path: &Path, format: &Format) -> Result<bool, TableError> {
    let Opened {
        builder, rows_hash, ..
    } = open(path, format)?;
    let mut hash = RowsHash::new(builder.schema());
    let read = caught(|| {
        let batches = builder.with_batch_size(ROWS_PER_BATCH).build();
        batches.map_err(parquet_error(path))?.try_for_each(|batch| {
            batch
                .and_then(|batch| hash.update(&batch))
                .map_err(arrow_error(path))
        })
    });
    read.unwrap_or_else(|message| Err(damaged(path, &message)))?;
    match rows_hash {
        Some(written) if written != hash.finish() => Err(TableError::Changed {
            path: path.to_owned(),
            what: "rows",
            expected: *format,
        }),
        found => Ok(found.is_some()),
    }
}

/// The key-value metadata of a file.
pub(super) fn keys(metadata: &ParquetMetaData) -> HashMap<String, String> {
    let pairs = metadata.file_metadata().key_value_metadata();
    let pairs = pairs.into_iter().flatten();
    pairs
        .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
        .collect()
}

/// A file whose metadata have been read.
struct Opened {
    builder: ParquetRecordBatchReaderBuilder<File>,
    provenance: Provenance,
    /// The hash over the rows, where the file has one.
    rows_hash: Option<String>,
}

fn open(path: &Path, format: &Format) -> Result<Opened, TableError> {
    let file = File::open(path).map_err(ArtifactError::at("open", path))?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::default())
        .map_err(parquet_error(path))?;
    let mut pairs = keys(metadata.metadata());
    Ok(Opened {
        provenance: Provenance::from_metadata(path, &pairs, format)?,
        rows_hash: pairs.remove(ROWS_KEY),
        builder: ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata),
    })
}

/// A column of a batch by its name and type.
///
/// # Errors
/// When the batch has no such column.
pub fn typed_column<'a, A: Array + 'static>(
    path: &Path,
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a A, TableError> {
    let column = batch.column_by_name(name);
    let column = column.and_then(|column| column.as_any().downcast_ref());
    column.ok_or_else(|| TableError::Column {
        path: path.to_owned(),
        column: name.to_owned(),
    })
}
