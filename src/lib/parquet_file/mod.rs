//! The one place that writes and reads Parquet.
//!
//! A table is a list of rows, each a plain struct with serde's derives, plus the list of its Arrow columns. Every file
//! carries its [`Format`] and its [`Provenance`] in the key-value metadata: the format's name and version, this crate's
//! version, the settings that can change the content, and the BLAKE3 hash of each input. The same rows and provenance
//! give the same bytes. Two more keys, `incdec.rows` and `incdec.metadata`, are hashes over the rows and over what was just
//! named; reading compares them, since Parquet itself notices few changed bytes. A file of a version before has neither and
//! is read unchecked. [`read_foreign`] reads a table that another program has written, by its columns alone.
//!
//! Columns are dictionary-encoded, as Parquet's writers do by default, but for fractions and those in which hardly a value comes
//! twice. Text
//! stays text to its readers: as a dictionary of Arrow's it would be a categorical in pandas, whose groups include empty ones.
//! By which columns the rows are sorted stands in the file's own metadata, so that other programs need not sort again.
//!
//! ```
//! use incdec::parquet_file::{self, Format, Provenance, Table, column};
//! use serde::{Deserialize, Serialize};
//!
//! #[derive(Serialize, Deserialize, PartialEq, Debug)]
//! struct Row { clip_id: String, frames: i32 }
//!
//! impl Table for Row {
//!     const FORMAT: Format = Format::new("incdec.example", 1, "make example");
//!     fn columns() -> Vec<arrow::datatypes::Field> {
//!         vec![column::text("clip_id"), column::int32("frames")]
//!     }
//! }
//!
//! let folder = tempfile::tempdir().unwrap();
//! let path = folder.path().join("example.parquet");
//! let rows = [Row { clip_id: "a".into(), frames: 50 }];
//! parquet_file::write(&path, &rows, &Provenance::default()).unwrap();
//! assert_eq!(parquet_file::read::<Row>(&path).unwrap(), rows);
//! ```

pub mod column;
mod error;
mod foreign;
mod provenance;
mod read;
mod row;
mod rows_hash;
mod write;

use arrow::datatypes::Field;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use error::TableError;
pub use foreign::{foreign_batches, is_foreign, read_any, read_foreign};
pub use provenance::Provenance;
pub use read::{provenance, read, read_batches, scan, typed_column, verify};
pub(crate) use row::table_row;
pub use rows_hash::RowsHash;
pub use write::{BatchWriter, RowWriter, rows_hash, write};

/// Rows that are converted to columns at a time; bounds the memory that writing takes.
const ROWS_PER_BATCH: usize = 65_536;

/// What kind of file this is, so that a reader can tell and a changed layout is noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format {
    /// The format's name, `incdec.<noun>`.
    pub name: &'static str,
    /// Raised whenever a reader of the version before would misread the file.
    pub version: u32,
    /// The make target that writes such a file anew.
    pub rebuild: &'static str,
    /// How the rows lie in it.
    pub layout: &'static Layout,
}

/// How rows lie in a file, which changes nothing that they say.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// Columns by which the rows are sorted, ascending; only what holds for every file. (The splits'
    /// own order is not that of their names.)
    pub sorted: &'static [&'static str],
    /// Columns in which hardly a value comes twice: a dictionary would only take room.
    pub unique: &'static [&'static str],
}

impl Format {
    /// A format of rows in no order that another program could use.
    #[must_use]
    pub const fn new(name: &'static str, version: u32, rebuild: &'static str) -> Self {
        Self {
            name,
            version,
            rebuild,
            layout: &Layout {
                sorted: &[],
                unique: &[],
            },
        }
    }
}

/// A row type and the columns that hold it. Field names and column names are the same.
pub trait Table: Serialize + DeserializeOwned {
    /// The file format that holds such rows.
    const FORMAT: Format;

    /// The columns in the order in which the file has them.
    fn columns() -> Vec<Field>;

    /// Nullable columns that files of the same version may lack, because an earlier version of this program wrote them:
    /// they are read as null.
    const ADDED: &'static [&'static str] = &[];
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::Hint;
    use serde::Deserialize;

    #[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
    struct Row {
        split: crate::clip::Split,
        position: Option<i32>,
        share: Option<f64>,
    }

    impl Table for Row {
        const FORMAT: Format = Format::new("incdec.test", 3, "make test-rows");

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
    fn a_changed_byte_is_noticed_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let rows = rows(40);
        let provenance = Provenance::of(&serde_json::json!({"seed": 3}));
        write(&path, &rows, &provenance).unwrap();
        let bytes = std::fs::read(&path).unwrap();
        let mut refused = 0;
        for (at, bit) in (0..bytes.len()).flat_map(|at| [(at, 1), (at, 0x10)]) {
            let mut flipped = bytes.clone();
            flipped[at] ^= bit;
            std::fs::write(&path, &flipped).unwrap();
            match read::<Row>(&path).and_then(|r| Ok((r, super::provenance(&path, &Row::FORMAT)?)))
            {
                // Some bytes say nothing about the rows: who wrote the file, or statistics that nobody asks for.
                Ok(read) => assert_eq!(read, (rows.clone(), provenance.clone()), "byte {at}"),
                Err(_) => refused += 1,
            }
        }
        assert!(refused > bytes.len() / 2, "{refused} of {}", bytes.len());
    }

    #[test]
    fn a_file_without_hashes_is_read_as_before() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        let rows = rows(3);
        write(&path, &rows, &Provenance::default()).unwrap();
        let mut bytes = std::fs::read(&path).unwrap();
        // The keys lose their names, as in a file of a version that did not know them.
        for key in ["incdec.rows", "incdec.metadata"] {
            let at = bytes.windows(key.len()).position(|w| w == key.as_bytes());
            bytes[at.unwrap()] = b'x';
        }
        std::fs::write(&path, &bytes).unwrap();
        assert_eq!(read::<Row>(&path).unwrap(), rows);
        assert!(!verify(&path, &Row::FORMAT).unwrap());
    }

    #[test]
    fn verifying_reads_to_the_end_and_compares_the_hashes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        write(&path, &rows(40), &Provenance::default()).unwrap();
        assert!(verify(&path, &Row::FORMAT).unwrap());
        let bytes = std::fs::read(&path).unwrap();
        let refused = (4..bytes.len()).step_by(7).filter(|at| {
            let mut flipped = bytes.clone();
            flipped[*at] ^= 0x10;
            std::fs::write(&path, &flipped).unwrap();
            verify(&path, &Row::FORMAT).is_err()
        });
        assert!(refused.count() > bytes.len() / 7 / 2);
    }

    #[test]
    fn the_hash_of_rows_is_of_their_values_alone() {
        let all = rows(ROWS_PER_BATCH + 10);
        let hash = rows_hash(&all).unwrap();
        assert_eq!(rows_hash(&all.clone()).unwrap(), hash);
        let mut other = all.clone();
        other[5].position = Some(1);
        assert_ne!(rows_hash(&other).unwrap(), hash);
        let mut swapped = all;
        swapped.swap(1, 2);
        assert_ne!(rows_hash(&swapped).unwrap(), hash);
    }

    #[test]
    fn what_another_program_wrote_is_read_by_its_columns() {
        use arrow::array::{ArrayRef, Float64Array, LargeStringArray, RecordBatch};
        use std::sync::Arc;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("t");
        // As pandas and polars write it: long texts, floats where a number may be missing.
        let write = |positions: Vec<Option<f64>>, names: [&str; 3]| {
            let splits = LargeStringArray::from(vec!["train"; positions.len()]);
            let shares = Float64Array::from(vec![Some(0.5); positions.len()]);
            let columns: [ArrayRef; 3] = [
                Arc::new(splits),
                Arc::new(Float64Array::from(positions)),
                Arc::new(shares),
            ];
            let batch = RecordBatch::try_from_iter(names.into_iter().zip(columns)).unwrap();
            let file = std::fs::File::create(&path).unwrap();
            let mut writer =
                parquet::arrow::ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        };
        let names = ["split", "position", "share"];
        write(vec![Some(1.0), Some(f64::NAN), None], names);
        assert!(is_foreign(&path).unwrap());
        let positions = read_foreign::<Row>(&path).unwrap();
        let positions: Vec<_> = positions.iter().map(|row| row.position).collect();
        assert_eq!(positions, [Some(1), None, None]);
        for wrong in [1.5, 1e10, 1e30, f64::INFINITY] {
            write(vec![Some(wrong)], names);
            let error = read_foreign::<Row>(&path).unwrap_err();
            assert!(
                matches!(error, TableError::Foreign { .. }),
                "{wrong}: {error}"
            );
        }
        write(vec![None], ["split", "place", "share"]);
        assert!(matches!(
            read_foreign::<Row>(&path),
            Err(TableError::Column { .. })
        ));
        super::write(&path, &rows(3), &Provenance::default()).unwrap();
        assert!(!is_foreign(&path).unwrap());
        // One of our keys, changed, makes no file foreign: its own reader refuses it.
        let mut bytes = std::fs::read(&path).unwrap();
        let key = b"incdec.format";
        let at = bytes.windows(key.len()).position(|w| w == key).unwrap();
        bytes[at] = b'x';
        std::fs::write(&path, &bytes).unwrap();
        assert!(!is_foreign(&path).unwrap());
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
