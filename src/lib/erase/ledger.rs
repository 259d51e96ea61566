//! The ledger of withdrawals: what was asked for, what was done, and a chain that shows whether the
//! ledger is whole.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::EraseError;
use crate::parquet_file::{self, Provenance};
use crate::tables::ErasureRow;

/// The column that rows of versions before lack.
const ARCHIVES: &str = "archives";

/// The hashes of one file that held something.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileHashes {
    /// Before the work began; null where the file was not there.
    pub before: Option<String>,
    /// When it was finished; null where the file is gone.
    pub after: Option<String>,
}

/// What was held in one place when a request was begun.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeldAt {
    /// Bytes of all things.
    pub bytes: i64,
    /// Things: files, rows, lines, members.
    pub things: usize,
}

/// What a run knew of the clips of one request.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownByRun {
    /// How many of the clips it was judged with.
    pub judged: usize,
    /// The checkpoints that saw one, each with `trained` or `selected`.
    pub checkpoints: BTreeMap<String, String>,
}

/// The ledger in memory as the file has it.
#[derive(Clone, Debug)]
pub struct Ledger {
    path: PathBuf,
    rows: Vec<ErasureRow>,
}

impl Ledger {
    /// Reads the ledger in the data folder; an empty one where there is none.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn read(data: &Path) -> Result<Self, EraseError> {
        let path = data.join(ErasureRow::FILE);
        if path.exists() {
            return Self::open(&path);
        }
        let rows = Vec::new();
        Ok(Self { path, rows })
    }

    /// Reads the ledger at `path`.
    ///
    /// # Errors
    /// When it is absent or cannot be read.
    pub fn open(path: &Path) -> Result<Self, EraseError> {
        Ok(Self {
            path: path.to_owned(),
            rows: parquet_file::read(path)?,
        })
    }

    /// The rows by number.
    #[must_use]
    pub fn rows(&self) -> &[ErasureRow] {
        &self.rows
    }

    /// The newest value of the chain.
    #[must_use]
    pub fn chain(&self) -> Option<&str> {
        self.rows.iter().rev().find_map(|row| row.chain.as_deref())
    }

    /// The values of the chain, oldest first.
    pub(super) fn chains(&self) -> impl Iterator<Item = &str> {
        self.rows.iter().filter_map(|row| row.chain.as_deref())
    }

    /// The row whose work was begun and not finished.
    #[must_use]
    pub fn unfinished(&self) -> Option<&ErasureRow> {
        self.rows.last().filter(|row| row.finished.is_none())
    }

    /// What is wrong with the chain, where something is: a row that was changed, left out or put
    /// in.
    #[must_use]
    pub fn broken(&self) -> Option<String> {
        let mut previous: Option<&String> = None;
        for (row, number) in self.rows.iter().zip(1..) {
            let is_last = number == self.rows.len();
            if i64::try_from(number) != Ok(row.number) {
                return Some(format!("row {number} has the number {}", row.number));
            }
            if row.previous.as_ref() != previous {
                return Some(format!("row {number} does not follow row {}", number - 1));
            }
            match &row.chain {
                Some(chain) if *chain == chain_of(row) => previous = Some(chain),
                None if is_last && row.finished.is_none() => {}
                _ => return Some(format!("row {number} is not as it was written")),
            }
        }
        None
    }

    /// Every clip of a row.
    ///
    /// # Errors
    /// When a row's list is no JSON.
    pub fn clips(&self) -> Result<BTreeSet<String>, EraseError> {
        let mut clips = BTreeSet::new();
        for row in &self.rows {
            clips.extend(self.json::<Vec<String>>(row, &row.clips)?);
        }
        Ok(clips)
    }

    /// The hashes of everything that was erased, each with its clip.
    ///
    /// # Errors
    /// When a row's hashes are no JSON.
    pub fn erased(&self) -> Result<BTreeMap<String, String>, EraseError> {
        let mut erased = BTreeMap::new();
        for row in &self.rows {
            let hashes: BTreeMap<String, Vec<String>> = self.json(row, &row.erased)?;
            for (clip, hashes) in hashes {
                erased.extend(hashes.into_iter().map(|hash| (hash, clip.clone())));
            }
        }
        Ok(erased)
    }

    /// Reads a column of JSON.
    pub(crate) fn json<T: serde::de::DeserializeOwned>(
        &self,
        row: &ErasureRow,
        text: &str,
    ) -> Result<T, EraseError> {
        serde_json::from_str(text).map_err(|source| EraseError::Json {
            path: self.path.clone(),
            number: row.number,
            source,
        })
    }

    /// Publishes a new last row, with its number and the chain that it follows.
    pub(super) fn begin(&mut self, mut row: ErasureRow) -> Result<ErasureRow, EraseError> {
        row.number = i64::try_from(self.rows.len()).unwrap_or(i64::MAX) + 1;
        row.previous = self.chain().map(str::to_owned);
        self.rows.push(row.clone());
        self.write()?;
        Ok(row)
    }

    /// Publishes that the last row is finished; gives the new value of the chain.
    pub(super) fn finish(&mut self, mut row: ErasureRow) -> Result<String, EraseError> {
        row.finished = Some(super::now());
        let chain = chain_of(&row);
        row.chain = Some(chain.clone());
        self.rows.pop();
        self.rows.push(row);
        self.write()?;
        Ok(chain)
    }

    fn write(&self) -> Result<(), EraseError> {
        Ok(parquet_file::write(
            &self.path,
            &self.rows,
            &Provenance::default(),
        )?)
    }
}

/// The BLAKE3 over the chain before a row and the row itself.
fn chain_of(row: &ErasureRow) -> String {
    let previous = row.previous.as_deref().unwrap_or_default();
    let open = ErasureRow {
        chain: None,
        previous: None,
        ..row.clone()
    };
    // A struct of texts and numbers always serialises.
    let mut value = serde_json::to_value(&open).unwrap_or(Value::Null);
    if let Some(columns) = value.as_object_mut().filter(|_| row.archives.is_none()) {
        // Rows of versions before were chained without this column.
        columns.remove(ARCHIVES);
    }
    value.sort_all_objects();
    let mut hasher = blake3::Hasher::new_derive_key("incdec ledger of withdrawals 1");
    hasher.update(&(previous.len() as u64).to_le_bytes());
    hasher.update(previous.as_bytes());
    hasher.update(value.to_string().as_bytes());
    hasher.finalize().to_hex().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parquet_file::{BatchWriter, Table as _};

    /// The chain of the first row as a version without the column `archives` has computed it.
    const CHAIN_BEFORE: &str = "dbc69d49387e6ccd917c5cfffa10024886a4619db25ac89ea36b1d7edd83f77a";

    fn row(request: &str) -> ErasureRow {
        ErasureRow {
            number: 0,
            request: request.into(),
            selector: "--clips list".into(),
            clips: "[\"a_000000_000010\"]".into(),
            begun: "2026-03-31T10:00:00Z".into(),
            finished: None,
            places: "{}".into(),
            files: "{}".into(),
            erased: "{\"a_000000_000010\":[\"ab\"]}".into(),
            runs: "{}".into(),
            left: "[]".into(),
            archives: None,
            crate_version: "0".into(),
            previous: None,
            chain: None,
        }
    }

    fn ledger(folder: &Path, requests: &[&str]) -> Ledger {
        let mut ledger = Ledger::read(folder).unwrap();
        for request in requests {
            let begun = ledger.begin(row(request)).unwrap();
            assert!(ledger.unfinished().is_some());
            assert!(ledger.broken().is_none());
            ledger.finish(begun).unwrap();
        }
        Ledger::read(folder).unwrap()
    }

    #[test]
    fn every_row_follows_the_one_before_and_any_change_is_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let whole = ledger(folder.path(), &["R-1", "R-2", "R-3"]);
        assert!(whole.broken().is_none() && whole.unfinished().is_none());
        assert_eq!(whole.erased().unwrap()["ab"], "a_000000_000010");
        let broken = |change: &dyn Fn(&mut Vec<ErasureRow>)| {
            let mut other = whole.clone();
            change(&mut other.rows);
            other.broken()
        };
        assert!(broken(&|rows| rows[1].clips = "[]".into()).is_some());
        assert!(broken(&|rows| rows[1].finished = Some("1970".into())).is_some());
        assert!(broken(&|rows| drop(rows.remove(0))).is_some());
        assert!(broken(&|rows| drop(rows.remove(1))).is_some());
        assert!(broken(&|rows| rows.swap(0, 1)).is_some());
        assert!(broken(&|rows| rows[0].chain = None).is_some());
        // A shortened ledger is whole in itself; its newest value is another one.
        let mut short = whole.clone();
        short.rows.pop();
        assert!(short.broken().is_none());
        assert_ne!(short.chain(), whole.chain());
    }

    #[test]
    fn a_ledger_of_a_version_before_is_whole_without_the_columns_that_came_later() {
        let folder = tempfile::tempdir().unwrap();
        let now = ledger(folder.path(), &["R-1"]);
        let mut rows = now.rows.clone();
        rows[0].finished = Some("2026-03-31T10:00:01Z".into());
        rows[0].chain = Some(CHAIN_BEFORE.into());
        parquet_file::write(&now.path, &rows, &Provenance::default()).unwrap();
        let batches = parquet_file::read_batches(&now.path, &ErasureRow::FORMAT, None).unwrap();
        let fields = batches[0].schema();
        let kept = (0..fields.fields().len()).filter(|&at| fields.field(at).name() != ARCHIVES);
        let before = batches[0].project(&kept.collect::<Vec<_>>()).unwrap();
        let schema = before.schema();
        let none = Provenance::default();
        let mut writer =
            BatchWriter::create(&now.path, schema, &ErasureRow::FORMAT, &none).unwrap();
        writer.write(&before).unwrap();
        writer.finish().unwrap();
        let read = Ledger::open(&now.path).unwrap();
        assert!(read.broken().is_none(), "{:?}", chain_of(&read.rows[0]));
        // With the column every change of it is noticed.
        let mut other = read.clone();
        other.rows[0].archives = Some("delete".into());
        assert!(other.broken().is_some());
    }
}
