//! Parquet files to rows, or to record batches of the columns that are asked for.

use std::collections::HashMap;
use std::fs::File;
use std::path::Path;

use arrow::array::RecordBatch;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::errors::ParquetError;

use super::{Format, Provenance, ROWS_PER_BATCH, Table, TableError};
use crate::artifact::ArtifactError;
use crate::panics::caught;

/// Opens a file in `format` and reads its provenance without reading rows.
///
/// # Errors
/// When the file is absent, damaged, or in another format or version.
pub fn provenance(path: &Path, format: &Format) -> Result<Provenance, TableError> {
    open(path, format).map(|(_, provenance)| provenance)
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
    let (mut builder, _) = open(path, format)?;
    if let Some(columns) = columns {
        for column in columns {
            if builder.schema().field_with_name(column).is_err() {
                return Err(TableError::Column {
                    path: path.to_owned(),
                    column: (*column).to_owned(),
                });
            }
        }
        let mask = ProjectionMask::columns(builder.parquet_schema(), columns.iter().copied());
        builder = builder.with_projection(mask);
    }
    // Of a damaged file the packages panic in places that the metadata do not show; nothing of it is used afterwards.
    caught(|| {
        builder
            .with_batch_size(ROWS_PER_BATCH)
            .build()
            .map_err(|source| TableError::Parquet {
                path: path.to_owned(),
                source,
            })?
            .collect::<Result<_, _>>()
            .map_err(|source| TableError::Arrow {
                path: path.to_owned(),
                source,
            })
    })
    .unwrap_or_else(|message| {
        Err(TableError::Parquet {
            path: path.to_owned(),
            source: ParquetError::General(format!("damaged: {message}")),
        })
    })
}

/// Reads all rows of a table, its own columns alone.
///
/// # Errors
/// When the file is absent, damaged, in another format or version, or lacks a column.
pub fn read<T: Table>(path: &Path) -> Result<Vec<T>, TableError> {
    let fields = T::columns();
    let names: Vec<&str> = fields.iter().map(|f| f.name().as_str()).collect();
    let mut rows = Vec::new();
    for batch in read_batches(path, &T::FORMAT, Some(&names))? {
        let part: Vec<T> =
            serde_arrow::from_record_batch(&batch).map_err(|e| TableError::Rows {
                path: path.to_owned(),
                source: Box::new(e),
            })?;
        rows.extend(part);
    }
    Ok(rows)
}

fn open(
    path: &Path,
    format: &Format,
) -> Result<(ParquetRecordBatchReaderBuilder<File>, Provenance), TableError> {
    let file = File::open(path).map_err(ArtifactError::at("open", path))?;
    let parquet_error = |source| TableError::Parquet {
        path: path.to_owned(),
        source,
    };
    let metadata =
        ArrowReaderMetadata::load(&file, ArrowReaderOptions::default()).map_err(parquet_error)?;
    let pairs = metadata.metadata().file_metadata().key_value_metadata();
    let pairs: HashMap<String, String> = pairs
        .into_iter()
        .flatten()
        .filter_map(|pair| Some((pair.key.clone(), pair.value.clone()?)))
        .collect();
    let provenance = Provenance::from_metadata(path, &pairs, format)?;
    Ok((
        ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata),
        provenance,
    ))
}
