//! Rows to Parquet files that appear under their name only when finished.

use std::fs::File;
use std::marker::PhantomData;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, SortingColumn};
use parquet::file::properties::WriterProperties;

use super::provenance::ROWS_KEY;
use super::{Format, Provenance, ROWS_PER_BATCH, RowsHash, Table, TableError};
use crate::artifact::{ArtifactError, Draft};

/// Writes record batches into a Parquet file that appears under its name only when finished.
pub struct BatchWriter {
    path: PathBuf,
    draft: Draft,
    writer: ArrowWriter<File>,
    hash: RowsHash,
}

impl BatchWriter {
    /// Starts a file with the given columns.
    ///
    /// # Errors
    /// When the temporary file cannot be made.
    pub fn create(
        path: &Path,
        columns: SchemaRef,
        format: &Format,
        provenance: &Provenance,
    ) -> Result<Self, TableError> {
        let draft = Draft::new(path)?;
        let metadata = provenance
            .metadata(format)
            .into_iter()
            .map(|(k, v)| KeyValue::new(k, v))
            .collect();
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_key_value_metadata(Some(metadata))
            .set_sorting_columns(sorting(&columns, format));
        let unique = columns.fields().iter().filter(|column| {
            column.data_type().is_floating()
                || format.layout.unique.contains(&column.name().as_str())
        });
        let properties = unique.fold(properties, |properties, column| {
            properties.set_column_dictionary_enabled(column.name().as_str().into(), false)
        });
        let hash = RowsHash::new(&columns);
        let writer = ArrowWriter::try_new(draft.handle()?, columns, Some(properties.build()))
            .map_err(|source| TableError::Parquet {
                path: path.to_owned(),
                source,
            })?;
        Ok(Self {
            path: path.to_owned(),
            draft,
            writer,
            hash,
        })
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// When the batch has other columns or the disk refuses.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        self.hash
            .update(batch)
            .map_err(|source| TableError::Arrow {
                path: self.path.clone(),
                source,
            })?;
        self.writer.write(batch).map_err(parquet_error(&self.path))
    }

    /// Closes the file and gives it its name.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(mut self) -> Result<(), TableError> {
        let hash = KeyValue::new(ROWS_KEY.to_owned(), self.hash.finish());
        self.writer.append_key_value_metadata(hash);
        self.writer.close().map_err(parquet_error(&self.path))?;
        Ok(self.draft.publish()?)
    }
}

/// By which columns the rows are sorted, in Parquet's words; none where they are not.
fn sorting(columns: &Schema, format: &Format) -> Option<Vec<SortingColumn>> {
    let places = format
        .layout
        .sorted
        .iter()
        .map(|name| columns.index_of(name));
    let sorting: Vec<SortingColumn> = places
        .filter_map(|place| i32::try_from(place.ok()?).ok())
        .map(|column_idx| SortingColumn {
            column_idx,
            descending: false,
            nulls_first: false,
        })
        .collect();
    (!sorting.is_empty()).then_some(sorting)
}

/// A Parquet error at `path`; what the disk said keeps its own error, so that a full disk gets its hint.
fn parquet_error(path: &Path) -> impl FnOnce(ParquetError) -> TableError + use<> {
    let path = path.to_owned();
    move |source| match source {
        ParquetError::External(inner) => match inner.downcast::<std::io::Error>() {
            Ok(io) => ArtifactError::at("write", &path)(*io).into(),
            Err(inner) => TableError::Parquet {
                path,
                source: ParquetError::External(inner),
            },
        },
        source => TableError::Parquet { path, source },
    }
}

/// Writes rows into a Parquet file that appears under its name only when finished. Buffers one batch of rows at most.
pub struct RowWriter<T: Table> {
    inner: BatchWriter,
    columns: Vec<FieldRef>,
    rows: PhantomData<T>,
}

impl<T: Table> RowWriter<T> {
    /// Starts a file of `T` rows.
    ///
    /// # Errors
    /// When the temporary file cannot be made.
    pub fn create(path: &Path, provenance: &Provenance) -> Result<Self, TableError> {
        let columns: Vec<FieldRef> = T::columns().into_iter().map(Arc::new).collect();
        let schema = Arc::new(Schema::new(columns.clone()));
        Ok(Self {
            inner: BatchWriter::create(path, schema, &T::FORMAT, provenance)?,
            columns,
            rows: PhantomData,
        })
    }

    /// Appends rows.
    ///
    /// # Errors
    /// When a row does not fit the columns or the disk refuses.
    pub fn push(&mut self, rows: &[T]) -> Result<(), TableError> {
        for rows in rows.chunks(ROWS_PER_BATCH) {
            let batch = serde_arrow::to_record_batch(&self.columns, &rows).map_err(|e| {
                TableError::Rows {
                    path: self.inner.path.clone(),
                    source: Box::new(e),
                }
            })?;
            self.inner.write(&batch)?;
        }
        Ok(())
    }

    /// Closes the file and gives it its name.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> Result<(), TableError> {
        self.inner.finish()
    }
}

/// Publishes `rows` as a Parquet file.
///
/// # Errors
/// When a row does not fit the columns or the disk refuses; the file is then as it was.
pub fn write<T: Table>(path: &Path, rows: &[T], provenance: &Provenance) -> Result<(), TableError> {
    let mut writer = RowWriter::create(path, provenance)?;
    writer.push(rows)?;
    writer.finish()
}

/// The hash over `rows` that a file of them carries as `incdec.rows`.
///
/// # Errors
/// When a row does not fit the columns.
pub fn rows_hash<T: Table>(rows: &[T]) -> Result<String, ArrowError> {
    let columns: Vec<FieldRef> = T::columns().into_iter().map(Arc::new).collect();
    let mut hash = RowsHash::new(&Schema::new(columns.clone()));
    for rows in rows.chunks(ROWS_PER_BATCH) {
        let batch = serde_arrow::to_record_batch(&columns, &rows)
            .map_err(|e| ArrowError::ExternalError(Box::new(e)))?;
        hash.update(&batch)?;
    }
    Ok(hash.finish())
}
