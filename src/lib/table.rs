//! The one place that writes and reads Parquet.
//!
//! A table is a list of rows, each a plain struct with serde's derives, plus the list of its Arrow columns. Every file
//! carries its [`Format`] and its [`Provenance`] in the key-value metadata: the format's name and version, this crate's
//! version, the settings that can change the content, and the BLAKE3 hash of each input. The same rows and provenance
//! give the same bytes.
//!
//! ```
//! use incdec::table::{self, Format, Provenance, Table, column};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, PartialEq, Debug)]
//! struct Row { clip_id: String, frames: i32 }
//!
//! impl Table for Row {
//!     const FORMAT: Format = Format { name: "incdec.example", version: 1, rebuild: "make example" };
//!     fn columns() -> Vec<arrow::datatypes::Field> {
//!         vec![column::text("clip_id"), column::int32("frames")]
//!     }
//! }
//!
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("example.parquet");
//! let rows = [Row { clip_id: "a".into(), frames: 50 }];
//! table::write(&path, &rows, &Provenance::default()).unwrap();
//! assert_eq!(table::read::<Row>(&path).unwrap(), rows);
//! ```

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::datatypes::{Field, FieldRef, Schema, SchemaRef};
use arrow::error::ArrowError;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder,
};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::artifact::{ArtifactError, Draft, hash_file};
use crate::hint::Hint;

/// Rows that are converted to columns at a time; bounds the memory that writing takes.
const ROWS_PER_BATCH: usize = 65_536;

const FORMAT_KEY: &str = "incdec.format";
const VERSION_KEY: &str = "incdec.format_version";
const CRATE_KEY: &str = "incdec.crate_version";
const SETTINGS_KEY: &str = "incdec.settings";
const INPUTS_KEY: &str = "incdec.inputs";

/// What kind of file this is, so that a reader can tell and a changed layout is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The format's name, `incdec.<noun>`.
    pub name: &'static str,
    /// Raised whenever a reader of the version before would misread the file.
    pub version: u32,
    /// The make target that writes such a file anew.
    pub rebuild: &'static str,
}

/// Where a file's content comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Provenance {
    /// The settings that can change the content: no paths, workers, threads or devices.
    pub settings: serde_json::Map<String, serde_json::Value>,
    /// The BLAKE3 hash of each input file, by its role (`train.csv`, `index.parquet`, ...).
    pub inputs: BTreeMap<String, String>,
}

impl Provenance {
    /// The provenance under `settings`, which must serialise to a JSON object; anything else is kept under `value`.
    #[must_use]
    pub fn of(settings: &impl Serialize) -> Self {
        let settings = match serde_json::to_value(settings) {
            Ok(serde_json::Value::Object(map)) => map,
            Ok(other) => serde_json::Map::from_iter([("value".to_owned(), other)]),
            Err(_) => serde_json::Map::new(),
        };
        Self {
            settings,
            inputs: BTreeMap::new(),
        }
    }

    /// Adds an input file under its own name.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn with_input(mut self, path: &Path) -> Result<Self, ArtifactError> {
        let name = path
            .file_name()
            .map_or_else(String::new, |n| n.to_string_lossy().into_owned());
        self.inputs.insert(name, hash_file(path)?);
        Ok(self)
    }

    /// The key-value metadata of a file in `format`, sorted by key.
    #[must_use]
    pub fn metadata(&self, format: &Format) -> BTreeMap<String, String> {
        BTreeMap::from([
            (FORMAT_KEY.to_owned(), format.name.to_owned()),
            (VERSION_KEY.to_owned(), format.version.to_string()),
            (CRATE_KEY.to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            (
                SETTINGS_KEY.to_owned(),
                serde_json::Value::Object(self.settings.clone()).to_string(),
            ),
            (
                INPUTS_KEY.to_owned(),
                serde_json::json!(self.inputs).to_string(),
            ),
        ])
    }

    /// Reads the provenance back from a file's key-value metadata, after checking that the file is in `format`.
    ///
    /// # Errors
    /// When the metadata name another format or another version of it.
    pub fn from_metadata(
        path: &Path,
        metadata: &HashMap<String, String>,
        format: &Format,
    ) -> Result<Self, TableError> {
        let found = metadata.get(FORMAT_KEY).cloned().unwrap_or_default();
        if found != format.name {
            return Err(TableError::Format {
                path: path.to_owned(),
                expected: *format,
                found,
            });
        }
        let version = metadata
            .get(VERSION_KEY)
            .and_then(|v| v.parse().ok())
            .unwrap_or(0);
        if version != format.version {
            return Err(TableError::Version {
                path: path.to_owned(),
                expected: *format,
                found: version,
            });
        }
        let json = |key: &str| metadata.get(key).map_or("{}", String::as_str);
        let malformed = |source| TableError::Metadata {
            path: path.to_owned(),
            source,
        };
        Ok(Self {
            settings: serde_json::from_str(json(SETTINGS_KEY)).map_err(malformed)?,
            inputs: serde_json::from_str(json(INPUTS_KEY)).map_err(malformed)?,
        })
    }
}

/// Why a table could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file could not be published or opened.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The file is not Parquet, or is damaged.
    #[error("{path}: {source}")]
    Parquet {
        /// The table's file.
        path: PathBuf,
        /// What the Parquet library said.
        source: ParquetError,
    },
    /// The file's columns cannot be read.
    #[error("{path}: {source}")]
    Arrow {
        /// The table's file.
        path: PathBuf,
        /// What the Arrow library said.
        source: ArrowError,
    },
    /// Rows and columns do not fit each other.
    #[error("{path}: {source}")]
    Rows {
        /// The table's file.
        path: PathBuf,
        /// What the conversion said.
        source: Box<serde_arrow::Error>,
    },
    /// The file is something else.
    #[error("{path} is not a {} file{}", expected.name, if found.is_empty() { String::new() } else { format!(" but a {found} file") })]
    Format {
        /// The table's file.
        path: PathBuf,
        /// What was asked for.
        expected: Format,
        /// What the file says it is; empty where it says nothing.
        found: String,
    },
    /// The file was written by a version of this program that lays it out otherwise.
    #[error("{path}: format {} version {found}, this program reads version {}", expected.name, expected.version)]
    Version {
        /// The table's file.
        path: PathBuf,
        /// What this program reads.
        expected: Format,
        /// What the file has.
        found: u32,
    },
    /// The metadata that this program wrote are no longer JSON.
    #[error("{path}: metadata: {source}")]
    Metadata {
        /// The table's file.
        path: PathBuf,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
    /// A column that the reader needs is absent.
    #[error("{path}: column {column} is missing")]
    Column {
        /// The table's file.
        path: PathBuf,
        /// The missing column.
        column: String,
    },
}

impl Hint for TableError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(e) => e.hint(),
            Self::Version { expected, .. } | Self::Format { expected, .. } => {
                Some(format!("write it anew with `{}`", expected.rebuild))
            }
            _ => None,
        }
    }
}

/// A row type and the columns that hold it. Field names and column names are the same.
pub trait Table: Serialize + DeserializeOwned {
    /// The file format that holds such rows.
    const FORMAT: Format;

    /// The columns in the order in which the file has them.
    fn columns() -> Vec<Field>;
}

/// Short constructors of the columns that tables use.
pub mod column {
    use arrow::datatypes::{DataType, Field};

    /// UTF-8 text, never null.
    #[must_use]
    pub fn text(name: &str) -> Field {
        Field::new(name, DataType::Utf8, false)
    }

    /// A 32-bit integer, never null.
    #[must_use]
    pub fn int32(name: &str) -> Field {
        Field::new(name, DataType::Int32, false)
    }

    /// A 64-bit integer, never null.
    #[must_use]
    pub fn int64(name: &str) -> Field {
        Field::new(name, DataType::Int64, false)
    }

    /// A 32-bit float, never null.
    #[must_use]
    pub fn float32(name: &str) -> Field {
        Field::new(name, DataType::Float32, false)
    }

    /// A 64-bit float, never null.
    #[must_use]
    pub fn float64(name: &str) -> Field {
        Field::new(name, DataType::Float64, false)
    }

    /// A truth value, never null.
    #[must_use]
    pub fn boolean(name: &str) -> Field {
        Field::new(name, DataType::Boolean, false)
    }

    /// The same column, null allowed.
    #[must_use]
    pub fn nullable(field: Field) -> Field {
        field.with_nullable(true)
    }
}

/// Writes record batches into a Parquet file that appears under its name only when finished.
pub struct BatchWriter {
    path: PathBuf,
    draft: Draft,
    writer: ArrowWriter<File>,
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
            .build();
        let writer =
            ArrowWriter::try_new(draft.handle()?, columns, Some(properties)).map_err(|source| {
                TableError::Parquet {
                    path: path.to_owned(),
                    source,
                }
            })?;
        Ok(Self {
            path: path.to_owned(),
            draft,
            writer,
        })
    }

    /// Appends a batch.
    ///
    /// # Errors
    /// When the batch has other columns or the disk refuses.
    pub fn write(&mut self, batch: &RecordBatch) -> Result<(), TableError> {
        self.writer.write(batch).map_err(parquet_error(&self.path))
    }

    /// Closes the file and gives it its name.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn finish(self) -> Result<(), TableError> {
        self.writer.close().map_err(parquet_error(&self.path))?;
        Ok(self.draft.publish()?)
    }
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
pub struct Writer<T: Table> {
    inner: BatchWriter,
    columns: Vec<FieldRef>,
    rows: std::marker::PhantomData<T>,
}

impl<T: Table> Writer<T> {
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
            rows: std::marker::PhantomData,
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
    let mut writer = Writer::create(path, provenance)?;
    writer.push(rows)?;
    writer.finish()
}

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

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Row {
        split: crate::clip::Split,
        position: Option<i32>,
        share: Option<f64>,
    }

    impl Table for Row {
        const FORMAT: Format = Format {
            name: "incdec.test",
            version: 3,
            rebuild: "make test-rows",
        };

        fn columns() -> Vec<Field> {
            vec![
                column::text("split"),
                column::nullable(column::int32("position")),
                column::nullable(column::float64("share")),
            ]
        }
    }

    fn rows(n: usize) -> Vec<Row> {
        (0..n)
            .map(|i| Row {
                split: crate::clip::Split::ALL[i % 3],
                position: (i % 5 != 0).then_some(i32::try_from(i).unwrap()),
                share: (i % 7 != 0).then_some(0.5),
            })
            .collect()
    }

    #[test]
    fn rows_survive_and_the_same_rows_give_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (a, b) = (folder.path().join("a"), folder.path().join("b"));
        let rows = rows(ROWS_PER_BATCH + 10);
        let provenance = Provenance::of(&serde_json::json!({"seed": 3}));
        write(&a, &rows, &provenance).unwrap();
        write(&b, &rows, &provenance).unwrap();
        assert_eq!(read::<Row>(&a).unwrap(), rows);
        assert_eq!(std::fs::read(&a).unwrap(), std::fs::read(&b).unwrap());
        assert_eq!(super::provenance(&a, &Row::FORMAT).unwrap(), provenance);
    }

    #[test]
    fn another_version_or_format_is_refused_with_the_target_that_rebuilds_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        write(&path, &rows(3), &Provenance::default()).unwrap();
        let newer = Format {
            version: 4,
            ..Row::FORMAT
        };
        let e = super::provenance(&path, &newer).unwrap_err();
        assert!(matches!(e, TableError::Version { found: 3, .. }));
        assert_eq!(e.hint().unwrap(), "write it anew with `make test-rows`");
        let other = Format {
            name: "incdec.other",
            ..Row::FORMAT
        };
        assert!(matches!(
            super::provenance(&path, &other),
            Err(TableError::Format { .. })
        ));
    }

    #[test]
    fn damage_absence_and_missing_columns_are_errors_that_name_the_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        assert!(matches!(read::<Row>(&path), Err(TableError::Artifact(_))));
        std::fs::write(&path, b"not parquet at all").unwrap();
        assert!(
            read::<Row>(&path)
                .unwrap_err()
                .to_string()
                .contains(path.to_str().unwrap())
        );
        write(&path, &rows(3), &Provenance::default()).unwrap();
        let e = read_batches(&path, &Row::FORMAT, Some(&["absent"])).unwrap_err();
        assert!(matches!(e, TableError::Column { .. }));
    }
}
