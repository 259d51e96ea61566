//! What a checkpoint's header says of itself, read without its tensors and without libtorch.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

/// Longest header of a checkpoint that is read: what the format's own reader allows.
const MAX_BYTES: u64 = 100_000_000;
/// Bytes before the header: its length.
pub(super) const LENGTH_BYTES: usize = 8;
/// Where the header keeps what it says of the file.
const METADATA: &str = "__metadata__";

/// The header's text under `key`; none where it has none, or the file is no checkpoint.
///
/// # Errors
/// When the file cannot be read.
pub fn header_entry(path: &Path, key: &str) -> io::Result<Option<String>> {
    let header = read(path)?;
    let text = header.and_then(|header| header[METADATA][key].as_str().map(str::to_owned));
    Ok(text)
}

/// The header; none where the file is no checkpoint.
///
/// # Errors
/// When the file cannot be read.
pub(super) fn read(path: &Path) -> io::Result<Option<Value>> {
    let file = File::open(path)?;
    let mut start = Vec::new();
    let mut file = file.take(LENGTH_BYTES as u64);
    file.read_to_end(&mut start)?;
    let Some(length) = length(&start).filter(|length| *length <= MAX_BYTES) else {
        return Ok(None);
    };
    file.set_limit(length);
    let mut header = Vec::new();
    file.read_to_end(&mut header)?;
    Ok(serde_json::from_slice(&header).ok())
}

/// The header's length, as the first bytes of a file say it.
pub(super) fn length(bytes: &[u8]) -> Option<u64> {
    bytes.first_chunk().copied().map(u64::from_le_bytes)
}
