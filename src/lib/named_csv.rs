//! CSV tables that people write: columns are found by the names in the first line, in whatever order they stand.
//!
//! Spreadsheets save more than plain CSV: semicolons or tabs between the fields, UTF-16, rows of nothing but separators. All
//! of that is read, being certain; a text in an encoding that can only be guessed is an error that says so.

mod text;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use csv::StringRecord;

use crate::foreign::printable;
use text::Text;

/// Longest row, in bytes; a row of a label table has some fifty.
const MAX_ROW_BYTES: usize = 1 << 20;

/// A CSV table whose first line has been read. Spaces around fields, a byte order mark and rows of empty fields are passed
/// over.
#[derive(Debug)]
pub struct NamedCsv<R> {
    path: PathBuf,
    columns: Vec<String>,
    reader: csv::Reader<RowLimit<Text<R>>>,
    /// Whether rows may have more or fewer fields than the first line.
    is_uneven: bool,
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
    /// The text is not UTF-8, and which other encoding it is can only be guessed.
    #[error("{path}, line {line}: the text is not UTF-8: it may be Latin-1 or Windows-1252")]
    Encoding {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },
    /// A row has more or fewer fields than the first line.
    #[error("{path}, line {line}: {found} fields, but the first line names {expected}")]
    Fields {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The row's fields.
        found: usize,
        /// The columns.
        expected: usize,
    },
    /// A needed column is missing.
    #[error("{path}: column {} is missing", printable(column))]
    Column {
        /// The table's file.
        path: PathBuf,
        /// The missing column.
        column: String,
    },
    /// A needed column is missing, as nothing that stands between fields was found.
    #[error(
        "{path}: column {} is missing: the first line is one field, {:?}; fields are separated by commas, semicolons or tabs",
        printable(column),
        printable(found)
    )]
    Separator {
        /// The table's file.
        path: PathBuf,
        /// The missing column.
        column: String,
        /// The first line.
        found: String,
    },
}

impl NamedCsvError {
    /// What the user can do, where that is known.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Encoding { .. } => Some(
                "save it as \"CSV UTF-8\", or convert it with `iconv -f WINDOWS-1252 -t UTF-8`"
                    .into(),
            ),
            Self::Separator { .. } => Some("save the table with commas between its fields".into()),
            _ => None,
        }
    }
}

/// A whole number as people and spreadsheets write it: `3`, `3.0`.
#[must_use]
pub fn whole_number(text: &str) -> Option<u32> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let is_zero = !fraction.is_empty() && fraction.bytes().all(|b| b == b'0');
    let is_plain = whole.bytes().all(|b| b.is_ascii_digit());
    (is_zero && is_plain).then(|| whole.parse().ok()).flatten()
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
        Self::with(path, bytes, false)
    }

    /// As [`NamedCsv::new`], for a table with commas whose rows may have more or fewer fields than its first line.
    ///
    /// # Errors
    /// When the first line cannot be read as CSV.
    pub fn uneven(path: &Path, bytes: R) -> Result<Self, NamedCsvError> {
        Self::with(path, bytes, true)
    }

    fn with(path: &Path, bytes: R, is_uneven: bool) -> Result<Self, NamedCsvError> {
        let (text, separator) = Text::sniff(bytes).map_err(|e| NamedCsvError::Read {
            path: path.to_owned(),
            source: e.into(),
        })?;
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .flexible(true)
            .delimiter(if is_uneven { b',' } else { separator })
            .from_reader(RowLimit {
                inner: text,
                left: MAX_ROW_BYTES,
            });
        let names = reader.headers().map_err(|source| unread(path, source))?;
        let mut columns: Vec<String> = names
            .iter()
            .map(|name| name.trim_start_matches('\u{feff}').to_owned())
            .collect();
        // Spreadsheets end lines in as many separators as the sheet once had columns.
        while columns.len() > 1 && columns.last().is_some_and(String::is_empty) {
            columns.pop();
        }
        Ok(Self {
            path: path.to_owned(),
            columns,
            reader,
            is_uneven,
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
        let (path, column) = (self.path.clone(), name.to_owned());
        self.position(name).ok_or_else(|| match &self.columns[..] {
            [found] if found.contains(|c: char| c.is_ascii_punctuation() && c != '_') => {
                let found = found.clone();
                NamedCsvError::Separator {
                    path,
                    column,
                    found,
                }
            }
            _ => NamedCsvError::Column { path, column },
        })
    }

    /// The rows below the first line, each with the number of its line, from 1. A row that is no UTF-8 or has another number
    /// of fields is an error and the next one follows; after any other error there is none.
    pub fn rows(self) -> impl Iterator<Item = Result<(usize, StringRecord), NamedCsvError>> {
        let Self {
            path,
            columns,
            mut reader,
            is_uneven,
        } = self;
        let (mut row, mut ended) = (0, false);
        std::iter::from_fn(move || {
            while !ended {
                reader.get_mut().left = MAX_ROW_BYTES;
                let mut record = StringRecord::new();
                let read = reader.read_record(&mut record);
                row += 1;
                ended = match &read {
                    Ok(more) => !more,
                    Err(error) => !costs_its_row_alone(error),
                };
                match read {
                    Ok(false) => return None,
                    Ok(true) if record.iter().all(str::is_empty) => {}
                    Ok(true) => {
                        let position = record.position();
                        let line =
                            position.and_then(|position| usize::try_from(position.line()).ok());
                        let line = line.unwrap_or(row + 1);
                        let mut further = record.iter().skip(columns.len());
                        let is_even = record.len() >= columns.len() && further.all(str::is_empty);
                        if is_even || is_uneven {
                            return Some(Ok((line, record)));
                        }
                        return Some(Err(NamedCsvError::Fields {
                            path: path.clone(),
                            line,
                            found: record.len(),
                            expected: columns.len(),
                        }));
                    }
                    Err(source) => return Some(Err(unread(&path, source))),
                }
            }
            None
        })
    }
}

/// The error of a row that the CSV reader does not take.
fn unread(path: &Path, source: csv::Error) -> NamedCsvError {
    let path = path.to_owned();
    match source.kind() {
        csv::ErrorKind::Utf8 { pos, .. } => NamedCsvError::Encoding {
            path,
            line: pos.as_ref().map_or(1, csv::Position::line),
        },
        _ => NamedCsvError::Read { path, source },
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

    /// The rows of a table as the letters of its fields, or the first error.
    fn all(bytes: &'static [u8]) -> Result<Vec<Vec<String>>, String> {
        let table = NamedCsv::new(Path::new("t.csv"), bytes).map_err(|e| e.to_string())?;
        let rows = table.rows().map(|row| {
            let (_, record) = row.map_err(|e| e.to_string())?;
            Ok(record.iter().map(str::to_owned).collect())
        });
        rows.collect()
    }

    #[test]
    fn what_spreadsheets_save_is_read() {
        assert_eq!(all(b"a;b\n1;2,5\n").unwrap(), [["1", "2,5"]]);
        assert_eq!(all(b"a\tb\n1\t2\n").unwrap(), [["1", "2"]]);
        let utf16: Vec<u8> = "\u{feff}a,b\n1,\u{e9}\n"
            .encode_utf16()
            .flat_map(u16::to_le_bytes)
            .collect();
        assert_eq!(all(utf16.leak()).unwrap(), [["1", "\u{e9}"]]);
    }

    #[test]
    fn rows_of_separators_are_passed_over_and_so_are_those_behind_a_row() {
        let rows = all(b"a,b,,\n1,2,,\n,,,\n3,4,,,,\n,,\n").unwrap();
        assert_eq!(
            rows.iter().map(|row| &row[0]).collect::<Vec<_>>(),
            ["1", "3"]
        );
        let error = all(b"a,b\n1,2,3\n").unwrap_err();
        assert_eq!(error, "t.csv, line 2: 3 fields, but the first line names 2");
    }

    #[test]
    fn what_can_only_be_guessed_is_named() {
        let error = all(b"a,b\n1,2\n3,caf\xe9\n").unwrap_err();
        assert!(
            error.starts_with("t.csv, line 3: the text is not UTF-8"),
            "{error}"
        );
        let error = table("a|b\n1|2\n").column("a").unwrap_err();
        assert!(matches!(&error, NamedCsvError::Separator { found, .. } if found == "a|b"));
        assert!(error.hint().is_some());
    }

    #[test]
    fn a_whole_number_may_be_written_as_a_float() {
        for (text, number) in [("3", 3), ("3.0", 3), ("0.000", 0), ("007", 7)] {
            assert_eq!(whole_number(text), Some(number), "{text}");
        }
        for text in [
            "",
            "3.5",
            "-1",
            "+1",
            "3.",
            ".0",
            "1e1",
            "nan",
            "0,0",
            "4294967296",
            "3.0.0",
        ] {
            assert_eq!(whole_number(text), None, "{text}");
        }
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
        assert_eq!(
            uneven.to_string(),
            "t.csv, line 2: 1 fields, but the first line names 2"
        );
        let absent = NamedCsv::open(Path::new("/absent/t.csv")).unwrap_err();
        assert!(
            absent.to_string().starts_with("/absent/t.csv: "),
            "{absent}"
        );
    }
}
