//! An event file that is appended to, record by record.
//!
//! An event file is a sequence of records (length, masked CRC-32C of the length, bytes, masked
//! CRC-32C of the bytes), each a protobuf `Event`. We write four message types with a handful of
//! fields, so the encoding stands here rather than behind a protobuf compiler. (Formats:
//! `tensorflow/core/lib/io/record_writer.cc`, `tensorflow/core/util/event.proto`,
//! `tensorflow/core/framework/summary.proto`.)

use std::fs::{self, File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use super::image::Image;
use super::message::{Event, Value};
use crate::artifact::ArtifactError;
use crate::train::TrainError;

/// Folder of the event file within the run directory.
pub const FOLDER: &str = "tensorboard";
/// The event file; readers look for `tfevents` in the name.
pub const FILE: &str = "events.out.tfevents.0.incdec";
/// What the first record of every event file says.
const FILE_VERSION: &str = "brain.Event:2";
/// Added to a rotated CRC so that a CRC of CRCs differs from them (TFRecord).
const CRC_MASK: u32 = 0xa282_ead8;
/// Bytes of a record beside its content: its length and two checksums.
const RECORD_FRAME_BYTES: usize = 16;

/// An event file that is being written.
#[derive(Debug)]
pub(in crate::train::record) struct EventLog {
    path: PathBuf,
    file: File,
}

impl EventLog {
    /// Opens the event file in `folder` and goes on after its first `keep_bytes` bytes; what a
    /// killed run wrote behind them is cut off. With nothing to keep, a new file begins.
    ///
    /// # Errors
    /// When the file cannot be made or cut.
    pub(in crate::train::record) fn open(
        folder: &Path,
        keep_bytes: u64,
    ) -> Result<Self, ArtifactError> {
        fs::create_dir_all(folder).map_err(ArtifactError::at("create folder", folder))?;
        let path = folder.join(FILE);
        let mut file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .read(true)
            .write(true)
            .open(&path)
            .map_err(ArtifactError::at("open", &path))?;
        let present = file
            .metadata()
            .map_err(ArtifactError::at("read", &path))?
            .len();
        let keep = if keep_bytes <= present { keep_bytes } else { 0 };
        file.set_len(keep)
            .and_then(|()| file.seek(SeekFrom::End(0)))
            .map_err(ArtifactError::at("cut", &path))?;
        let mut log = Self { path, file };
        if keep == 0 {
            log.append(&Event::version(now_s(), FILE_VERSION))?;
        }
        Ok(log)
    }

    /// Bytes written so far: what [`EventLog::open`] is asked to keep.
    ///
    /// # Errors
    /// When the system does not say.
    pub(in crate::train::record) fn bytes(&self) -> Result<u64, ArtifactError> {
        let metadata = self
            .file
            .metadata()
            .map_err(ArtifactError::at("read", &self.path))?;
        Ok(metadata.len())
    }

    /// Bytes of the event file in `folder` before the first record with `text` in it; all where
    /// there is none.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub(super) fn bytes_before(folder: &Path, text: &str) -> Result<u64, ArtifactError> {
        let path = folder.join(FILE);
        if !path.exists() {
            return Ok(0);
        }
        let bytes = fs::read(&path).map_err(ArtifactError::at("read", &path))?;
        let mut at = 0;
        while let Some(length) = bytes[at..].first_chunk().copied().map(u64::from_le_bytes) {
            let record = usize::try_from(length).ok().and_then(|length| {
                let end = at.checked_add(length)?.checked_add(RECORD_FRAME_BYTES)?;
                Some((end, bytes.get(at..end)?))
            });
            match record {
                Some((end, record)) if find(record, text.as_bytes()).is_none() => at = end,
                _ => break,
            }
        }
        Ok(at as u64)
    }

    /// Has the disk hold what was written so far.
    ///
    /// # Errors
    /// When it refuses.
    pub(in crate::train::record) fn sync(&self) -> Result<(), ArtifactError> {
        self.file
            .sync_data()
            .map_err(ArtifactError::at("sync", &self.path))
    }

    /// Appends a number. A value that is undefined is left out.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(in crate::train::record) fn scalar(
        &mut self,
        tag: &str,
        step: u32,
        value: Option<f64>,
    ) -> Result<(), ArtifactError> {
        let Some(value) = value else {
            return Ok(());
        };
        self.append(&Event::summary(now_s(), step, tag, &Value::Scalar(value)))
    }

    /// Appends an image.
    ///
    /// # Errors
    /// When it cannot be encoded, or the disk refuses.
    pub(in crate::train::record) fn image(
        &mut self,
        tag: &str,
        step: u32,
        image: &Image,
    ) -> Result<(), TrainError> {
        let png = image.png().map_err(|source| TrainError::Image {
            path: self.path.clone(),
            source,
        })?;
        let value = Value::Image {
            height: image.height(),
            width: image.width(),
            png: &png,
        };
        Ok(self.append(&Event::summary(now_s(), step, tag, &value))?)
    }

    fn append(&mut self, event: &Event) -> Result<(), ArtifactError> {
        let record = record(event.bytes());
        self.file
            .write_all(&record)
            .map_err(ArtifactError::at("write", &self.path))
    }
}

/// Where `wanted` begins in `bytes`.
fn find(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes
        .windows(wanted.len())
        .position(|window| window == wanted)
}

/// Seconds since 1970.
fn now_s() -> f64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0.0, |d| d.as_secs_f64())
}

/// A record as `TFRecord` files have it.
fn record(bytes: &[u8]) -> Vec<u8> {
    let length = (bytes.len() as u64).to_le_bytes();
    let mut out = Vec::with_capacity(bytes.len() + RECORD_FRAME_BYTES);
    out.extend(length);
    out.extend(masked_crc(&length).to_le_bytes());
    out.extend(bytes);
    out.extend(masked_crc(bytes).to_le_bytes());
    out
}

fn masked_crc(bytes: &[u8]) -> u32 {
    crc32c::crc32c(bytes)
        .rotate_right(15)
        .wrapping_add(CRC_MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_masked_crc_is_the_formats() {
        // CRC-32C of "123456789" is e3069283; masked as TFRecord masks it.
        let masked = 0xe306_9283_u32.rotate_right(15).wrapping_add(0xa282_ead8);
        assert_eq!(masked_crc(b"123456789"), masked);
        assert_eq!(record(b"ab").len(), 8 + 4 + 2 + 4);
    }

    #[test]
    fn records_are_found_by_their_tag() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(EventLog::bytes_before(folder.path(), "a").unwrap(), 0);
        let mut log = EventLog::open(folder.path(), 0).unwrap();
        let mut begun = Vec::new();
        for task in 0..12 {
            begun.push(log.bytes().unwrap());
            log.scalar(&format!("task_{task}/loss"), 0, Some(0.5))
                .unwrap();
        }
        begun.push(log.bytes().unwrap());
        for (task, bytes) in begun.into_iter().enumerate() {
            let found = EventLog::bytes_before(folder.path(), &format!("task_{task}/"));
            assert_eq!(found.unwrap(), bytes, "{task}");
        }
    }

    #[test]
    fn reopening_cuts_what_came_after() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE);
        let mut log = EventLog::open(folder.path(), 0).unwrap();
        log.scalar("a/b", 3, Some(0.5)).unwrap();
        let kept = log.bytes().unwrap();
        log.scalar("undefined", 3, None).unwrap();
        assert_eq!(log.bytes().unwrap(), kept, "what is undefined is left out");
        let before = fs::read(&path).unwrap();
        log.scalar("too late", 7, Some(1.0)).unwrap();
        drop(log);
        let mut log = EventLog::open(folder.path(), kept).unwrap();
        assert_eq!(fs::read(&path).unwrap(), before);
        log.scalar("c", 4, Some(-1.0)).unwrap();
        assert!(fs::read(&path).unwrap().starts_with(&before));
        assert!(log.bytes().unwrap() > kept);
    }
}
