//! What a checkpoint's header says of itself, read without its tensors.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use serde_json::Value;

/// Longest header of a checkpoint that is read: what the format's own reader allows.
const MAX_BYTES: u64 = 100_000_000;

/// The header's text under `key`; none where it has none, or is longer than a header can be.
///
/// # Errors
/// When the file cannot be read or its header is no JSON.
pub(super) fn entry(path: &Path, key: &str) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let mut bytes = [0; 8];
    file.read_exact(&mut bytes)?;
    let length = u64::from_le_bytes(bytes);
    if length > MAX_BYTES {
        return Ok(None);
    }
    let mut header = Vec::new();
    file.take(length).read_to_end(&mut header)?;
    let header: Value = serde_json::from_slice(&header)?;
    Ok(header["__metadata__"][key].as_str().map(str::to_owned))
}
