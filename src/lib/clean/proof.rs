//! What proves that a file is as this program wrote it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::artifact::{ArtifactError, hash_file};
use crate::card;
use crate::parquet_file::{self, Format, TableError};
use crate::report::is_sealed;
use crate::run_record::{is_sealed_checkpoint, is_sealed_document};
use crate::shard::{Shard, ShardError};

/// Largest page, log and event file that are read; a larger one is not proven, and stays.
const MAX_BYTES_READ: u64 = 1 << 30;
/// The first event of every file says this, within its first bytes.
const EVENT_VERSION: &[u8] = b"brain.Event:2";
const FIRST_EVENT_BYTES: usize = 64;
/// Bytes of a checksum within a file of events.
const CHECKSUM_BYTES: usize = 4;

/// A file that the stage makes, if its content proves it.
#[derive(Clone, Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) proof: Proof,
}

/// What proves that a file is as this program wrote it.
#[derive(Clone, Debug)]
pub(super) enum Proof {
    /// Its BLAKE3, which a record holds.
    Hash(String),
    /// It is a table of this format, and has the hashes that it carries.
    Table(Format),
    /// It is a shard, and every row has the hash that it carries.
    Shard,
    /// It is a page that carries its own hash.
    Page,
    /// It is a card that carries its own hash.
    Card,
    /// Every line is an entry of a log.
    Log,
    /// It is a document of a run that carries its own hash.
    Document,
    /// It is a checkpoint inside a task that carries its own hash.
    Checkpoint,
    /// It is a file of TensorBoard's events, whole.
    Events,
}

impl Proof {
    /// Whether the file is proven to be ours. What cannot be understood is not.
    ///
    /// # Errors
    /// When the file cannot be read at all.
    pub(super) fn holds(&self, path: &Path) -> Result<bool, ArtifactError> {
        match self {
            Self::Hash(hash) => Ok(hash_file(path)? == *hash),
            Self::Table(format) => match parquet_file::verify(path, format) {
                Ok(hashed) => Ok(hashed),
                Err(TableError::Artifact(error)) => Err(error),
                Err(_) => Ok(false),
            },
            Self::Shard => match every_row_is_intact(path) {
                Err(ShardError::Artifact(error)) => Err(error),
                intact => Ok(intact.unwrap_or(false)),
            },
            Self::Page => Ok(text(path)?.is_some_and(|page| is_sealed(&page))),
            Self::Card => Ok(text(path)?.is_some_and(|text| card::is_sealed(&text))),
            Self::Log => Ok(text(path)?.is_some_and(|log| log.lines().all(is_log_entry))),
            Self::Document => is_sealed_document(path),
            Self::Checkpoint => Ok(bytes(path)?.is_some_and(|bytes| is_sealed_checkpoint(&bytes))),
            Self::Events => Ok(bytes(path)?.is_some_and(|events| are_events(&events))),
        }
    }
}

fn every_row_is_intact(path: &Path) -> Result<bool, ShardError> {
    let shard = Shard::open(path)?;
    for row in 0..i64::try_from(shard.len()).unwrap_or(i64::MAX) {
        if !shard.clip(row)?.intact() {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The file's text; `None` where it is none, or too long to be one of ours.
fn text(path: &Path) -> Result<Option<String>, ArtifactError> {
    Ok(bytes(path)?.and_then(|bytes| String::from_utf8(bytes).ok()))
}

/// The file's bytes; `None` where they are too many.
fn bytes(path: &Path) -> Result<Option<Vec<u8>>, ArtifactError> {
    let metadata = fs::metadata(path).map_err(ArtifactError::at("read", path))?;
    if metadata.len() > MAX_BYTES_READ {
        return Ok(None);
    }
    fs::read(path)
        .map(Some)
        .map_err(ArtifactError::at("read", path))
}

/// Whether the bytes are TensorBoard's events from the first to the last: a record is its length in
/// 8 bytes, a checksum in 4, the event, a checksum in 4, and the first event names the version.
fn are_events(mut bytes: &[u8]) -> bool {
    let first = &bytes[..bytes.len().min(FIRST_EVENT_BYTES)];
    if !first
        .windows(EVENT_VERSION.len())
        .any(|w| w == EVENT_VERSION)
    {
        return false;
    }
    while let Some((length, rest)) = bytes.split_first_chunk::<8>() {
        let after = usize::try_from(u64::from_le_bytes(*length))
            .ok()
            .and_then(|length| length.checked_add(CHECKSUM_BYTES * 2))
            .and_then(|record| rest.get(record..));
        let Some(after) = after else {
            return false;
        };
        bytes = after;
    }
    bytes.is_empty()
}

/// Whether a line is what the binaries write into their logs.
fn is_log_entry(line: &str) -> bool {
    let entry: Value = serde_json::from_str(line).unwrap_or_default();
    ["timestamp", "level", "target"]
        .iter()
        .all(|key| entry[*key].is_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_with_a_line_of_somebody_elses_is_not_ours() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("download.jsonl");
        let entry = r#"{"timestamp":"2026-01-01T00:00:00Z","level":"INFO","target":"incdec::download","fields":{}}"#;
        fs::write(&path, format!("{entry}\n{entry}\n")).unwrap();
        assert!(Proof::Log.holds(&path).unwrap());
        fs::write(&path, format!("{entry}\nnote to myself\n")).unwrap();
        assert!(!Proof::Log.holds(&path).unwrap());
    }

    #[test]
    fn events_are_whole_records_behind_the_version() {
        let record = |event: &[u8]| {
            let mut bytes = (event.len() as u64).to_le_bytes().to_vec();
            bytes.extend([0; 4]);
            bytes.extend(event);
            bytes.extend([0; 4]);
            bytes
        };
        let mut events = record(b"\x1a\x0dbrain.Event:2");
        events.extend(record(b"loss"));
        assert!(are_events(&events));
        assert!(!are_events(&events[..events.len() - 1]));
        assert!(!are_events(&record(b"loss")));
        assert!(!are_events(b""));
    }
}
