//! CSV tables that people write: columns are found by the names in the first line, in whatever order they stand.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use crate::foreign::printable;

/// Longest row, in bytes; a row of a label table has some fifty.
const MAX_ROW_BYTES: usize = 1 << 20;

/// A CSV table whose first line has been read. Spaces around fields and a byte order mark are passed over.
#[derive(Debug)]
pub struct NamedCsv<R> {
    path: PathBuf,
    columns: Vec<String>,
    reader: csv::Reader<RowLimit<R>>,
}

/// A reader that gives what one row may have, and then an error: a row without an end would fill the memory.
#[derive(Debug)]
struct RowLimit<R> {
    inner: R,
    /// Bytes that may still be read for the row that is being read.
    left: usize,
}

impl<R: Read> Read for RowLimit<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            let text = format!("a row of more than {MAX_ROW_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        let most = buffer.len().min(self.left);
        let n = self.inner.read(&mut buffer[..most])?;
        self.left -= n;
        Ok(n)
    }
}

/// Why a table could not be read.
#[derive(Debug, thiserror::Error)]
pub enum NamedCsvError {
    /// The file cannot be read, or not as CSV.
    #[error("{path}: {source}")]
    Read {
        /// The table's file.
        path: PathBuf,
        /// What the CSV reader said.
        source: csv::Error,
    },
    /// A needed column is missing.
    #[error("{path}: column {} is missing", printable(column))]
    Column {
        /// The table's file.
        path: PathBuf,
        /// The missing column.
        column: String,
    },
}

impl NamedCsv<File> {
    /// Opens the table at `path` and reads its first line.
    ///
    /// # Errors
    /// When the file cannot be opened, or its first line is not CSV.
    pub fn open(path: &Path) -> Result<Self, NamedCsvError> {
        let file = File::open(path).map_err(|e| NamedCsvError::Read {
            path: path.to_owned(),
            source: e.into(),
        })?;
        Self::new(path, file)
    }
}

impl<R: Read> NamedCsv<R> {
    /// Reads the first line of a table; `path` only names it in errors.
    ///
    /// # Errors
    /// When the first line cannot be read as CSV.
    pub fn new(path: &Path, bytes: R) -> Result<Self, NamedCsvError> {
        Self::with(path, bytes, csv::ReaderBuilder::new().trim(csv::Trim::All))
    }

    /// As [`NamedCsv::new`], for a table whose rows may have more or fewer fields than its first line.
    ///
    /// # Errors
    /// When the first line cannot be read as CSV.
    pub fn uneven(path: &Path, bytes: R) -> Result<Self, NamedCsvError> {
        let mut builder = csv::ReaderBuilder::new();
        Self::with(path, bytes, builder.trim(csv::Trim::All).flexible(true))
    }

    fn with(path: &Path, bytes: R, builder: &csv::ReaderBuilder) -> Result<Self, NamedCsvError> {
        let mut reader = builder.from_reader(RowLimit {
            inner: bytes,
            left: MAX_ROW_BYTES,
        });
        let names = reader.headers().map_err(|source| NamedCsvError::Read {
            path: path.to_owned(),
            source,
        })?;
        let columns = names
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').to_owned())
            .collect();
        Ok(Self {
            path: path.to_owned(),
            columns,
            reader,
        })
    }

    /// The names of the columns, in the table's order.
    #[must_use]
    pub fn columns(&self) -> &[String] {
        &self.columns
    }

    /// Where the column `name` stands, if it is there.
    #[must_use]
    pub fn position(&self, name: &str) -> Option<usize> {
        self.columns.iter().position(|column| column == name)
    }

    /// Where the column `name` stands.
    ///
    /// # Errors
    /// When it is missing.
    pub fn column(&self, name: &str) -> Result<usize, NamedCsvError> {
        self.position(name).ok_or_else(|| NamedCsvError::Column {
            path: self.path.clone(),
            column: name.to_owned(),
        })
    }

    /// The rows below the first line, each with the number of its line, from 1. A row that is no UTF-8 or has another number
    /// of fields is an error and the next one follows; after any other error there is none.
    pub fn rows(self) -> impl Iterator<Item = Result<(usize, StringRecord), NamedCsvError>> {
        let Self {
            path, mut reader, ..
        } = self;
        let (mut row, mut ended) = (0, false);
        std::iter::from_fn(move || {
            if ended {
                return None;
            }
            reader.get_mut().left = MAX_ROW_BYTES;
            let mut record = StringRecord::new();
            let read = reader.read_record(&mut record);
            row += 1;
            ended = match &read {
                Ok(more) => !more,
                Err(error) => !costs_its_row_alone(error),
            };
            match read {
                Ok(false) => None,
                Ok(true) => {
                    let line = record
                        .position()
                        .and_then(|position| usize::try_from(position.line()).ok());
                    Some(Ok((line.unwrap_or(row + 1), record)))
                }
                Err(source) => Some(Err(NamedCsvError::Read {
                    path: path.clone(),
                    source,
                })),
            }
        })
    }
}

/// Whether the rows behind one with this error can be read.
fn costs_its_row_alone(error: &csv::Error) -> bool {
    use csv::ErrorKind::{UnequalLengths, Utf8};
    matches!(error.kind(), Utf8 { .. } | UnequalLengths { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(text: &'static str) -> NamedCsv<&'static [u8]> {
        NamedCsv::new(Path::new("t.csv"), text.as_bytes()).unwrap()
    }

    #[test]
    fn columns_are_found_by_name_behind_a_byte_order_mark_and_spaces() {
        let table = table("\u{feff}b , a\n1, 2\n");
        assert_eq!(table.columns(), ["b", "a"]);
        assert_eq!(table.column("a").unwrap(), 1);
        let rows: Vec<_> = table.rows().map(Result::unwrap).collect();
        assert_eq!(rows[0].0, 2);
        assert_eq!(&rows[0].1[1], "2");
    }

    #[test]
    fn lines_are_counted_through_quoted_line_ends() {
        let rows: Vec<_> = table("a\n\"1\n2\"\n3\n")
            .rows()
            .map(Result::unwrap)
            .collect();
        assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [2, 4]);
    }

    #[test]
    fn a_row_without_an_end_is_refused_at_its_limit_and_short_rows_have_none_together() {
        for endless in [b'x', b'"'] {
            let bytes = b"a\n".chain(io::repeat(endless));
            let table = NamedCsv::new(Path::new("t.csv"), bytes).unwrap();
            let mut rows = table.rows();
            let error = rows.next().unwrap().unwrap_err().to_string();
            assert!(error.contains("more than 1048576 bytes"), "{error}");
            assert!(rows.next().is_none());
        }
        let bytes = b"a\n".repeat(2 * MAX_ROW_BYTES);
        let table = NamedCsv::new(Path::new("t.csv"), bytes.as_slice()).unwrap();
        assert_eq!(
            table.rows().map(Result::unwrap).count(),
            2 * MAX_ROW_BYTES - 1
        );
        let header = NamedCsv::new(Path::new("t.csv"), io::repeat(b'x')).unwrap_err();
        assert!(header.to_string().contains("more than"), "{header}");
    }

    #[test]
    fn what_is_missing_or_damaged_is_named_with_the_file() {
        let missing = table("a\n").column("c").unwrap_err();
        assert_eq!(missing.to_string(), "t.csv: column c is missing");
        let uneven = table("a,b\n1\n").rows().next().unwrap().unwrap_err();
        assert!(
            uneven.to_string().starts_with("t.csv: CSV error: record 1"),
            "{uneven}"
        );
        let absent = NamedCsv::open(Path::new("/absent/t.csv")).unwrap_err();
        assert!(
            absent.to_string().starts_with("/absent/t.csv: "),
            "{absent}"
        );
    }
}
