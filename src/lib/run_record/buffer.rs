//! The buffers of replay approaches as files hold them: which clips they keep, and taking some out.
//!
//! Clips are named by hashes of their ids, so that no text of a file names one.

use std::fs;
use std::io;
use std::path::Path;

use serde_json::{Value, json};

use super::checkpoint_header;

/// The tensor of the clips that a buffer keeps, `[n]`: the [`buffer_key`] of each.
pub const BUFFER_CLIPS: &str = "buffer.clips";
/// The tensor of what the model said of them, `[n, C]`.
pub const BUFFER_LOGITS: &str = "buffer.logits";

/// Bytes of a key.
const KEY_BYTES: usize = 8;
/// The type of keys, as headers call it.
const KEY_TYPE: &str = "I64";
/// Headers are as long as a multiple of this, in bytes.
const ALIGNMENT: usize = 8;

/// The first 64 bits of the hash of a clip's id.
#[must_use]
pub fn buffer_key(clip_id: &str) -> i64 {
    let hash = blake3::hash(clip_id.as_bytes());
    let first: [u8; KEY_BYTES] = std::array::from_fn(|i| hash.as_bytes()[i]);
    i64::from_le_bytes(first)
}

/// The keys of the clips that the checkpoint or state at `path` keeps in a buffer; none where it has no buffer, or
/// is neither.
///
/// # Errors
/// When the file cannot be read.
pub fn buffered(path: &Path) -> io::Result<Vec<i64>> {
    // A network has hundreds of tensors and no buffer: it need not be read for that.
    let header = checkpoint_header::read(path)?;
    if header.is_none_or(|header| clips_of(&header).is_none()) {
        return Ok(Vec::new());
    }
    let bytes = fs::read(path)?;
    Ok(File::of(&bytes).map_or_else(Vec::new, |file| file.keys()))
}

/// The bytes of the state at `path` without the rows of the clips whose keys are `gone`, as they would have been written;
/// none where it keeps no such clip.
///
/// # Errors
/// When the file cannot be read.
pub fn without_buffered(path: &Path, gone: impl Fn(i64) -> bool) -> io::Result<Option<Vec<u8>>> {
    if !buffered(path)?.into_iter().any(&gone) {
        return Ok(None);
    }
    let bytes = fs::read(path)?;
    Ok(File::of(&bytes).map(|file| file.without(gone)))
}

/// The name of the tensor of a buffer's clips in a file with this header: inside a task it stands behind a prefix.
fn clips_of(header: &Value) -> Option<&String> {
    let mut names = header.as_object()?.keys();
    names.find(|name| name.ends_with(BUFFER_CLIPS))
}

/// A file with a buffer.
struct File<'a> {
    header: Value,
    /// The bytes of all tensors.
    body: &'a [u8],
    /// The bytes of the keys.
    keys: &'a [u8],
}

impl<'a> File<'a> {
    fn of(bytes: &'a [u8]) -> Option<Self> {
        let length = usize::try_from(checkpoint_header::length(bytes)?).ok()?;
        let (header, body) = bytes[checkpoint_header::LENGTH_BYTES..].split_at_checked(length)?;
        let header: Value = serde_json::from_slice(header).ok()?;
        let tensor = &header[clips_of(&header)?];
        let keys = span(tensor, body).filter(|_| tensor["dtype"] == KEY_TYPE)?;
        Some(Self { header, body, keys })
    }

    fn keys(&self) -> Vec<i64> {
        let (keys, _) = self.keys.as_chunks();
        keys.iter().map(|key| i64::from_le_bytes(*key)).collect()
    }

    fn without(mut self, gone: impl Fn(i64) -> bool) -> Vec<u8> {
        let stays: Vec<bool> = self.keys().into_iter().map(|key| !gone(key)).collect();
        let kept = stays.iter().filter(|stays| **stays).count();
        let mut tensors: Vec<(&String, &mut Value)> = self
            .header
            .as_object_mut()
            .into_iter()
            .flatten()
            .filter(|(_, tensor)| tensor.get("data_offsets").is_some())
            .collect();
        tensors.sort_by_key(|(_, tensor)| tensor["data_offsets"][0].as_u64());
        let mut body = Vec::new();
        for (name, tensor) in tensors {
            let bytes = span(tensor, self.body).unwrap_or_default();
            let begin = body.len();
            if [BUFFER_CLIPS, BUFFER_LOGITS]
                .iter()
                .any(|end| name.ends_with(end))
            {
                let row_bytes = bytes.len() / stays.len().max(1);
                let rows = bytes.chunks(row_bytes.max(1)).zip(&stays);
                body.extend(rows.filter(|(_, stays)| **stays).flat_map(|(row, _)| row));
                if let Some(rows) = tensor["shape"].get_mut(0) {
                    *rows = json!(kept);
                }
            } else {
                body.extend_from_slice(bytes);
            }
            tensor["data_offsets"] = json!([begin, body.len()]);
        }
        let mut header = self.header.to_string();
        let padding = header.len().next_multiple_of(ALIGNMENT) - header.len();
        header.extend(std::iter::repeat_n(' ', padding));
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), &body].concat()
    }
}

/// The bytes of a tensor among those of all.
fn span<'a>(tensor: &Value, body: &'a [u8]) -> Option<&'a [u8]> {
    let at = |place: usize| usize::try_from(tensor["data_offsets"][place].as_u64()?).ok();
    body.get(at(0)?..at(1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A state of these clips, each with two logits, and another tensor, under the names that a prefix begins.
    fn state(prefix: &str, clips: &[&str]) -> Vec<u8> {
        let keys: Vec<u8> = clips
            .iter()
            .flat_map(|clip| buffer_key(clip).to_le_bytes())
            .collect();
        let logits: Vec<u8> = clips
            .iter()
            .flat_map(|clip| [clip.len() as f32, -0.5])
            .flat_map(f32::to_le_bytes)
            .collect();
        let (a, b) = (keys.len(), keys.len() + logits.len());
        let header = json!({
            "__metadata__": {"incdec.task": "1"},
            format!("{prefix}{BUFFER_CLIPS}"): {"dtype": "I64", "shape": [clips.len()], "data_offsets": [0, a]},
            format!("{prefix}{BUFFER_LOGITS}"): {"dtype": "F32", "shape": [clips.len(), 2], "data_offsets": [a, b]},
            "other": {"dtype": "U8", "shape": [3], "data_offsets": [b, b + 3]},
        });
        let mut header = header.to_string();
        while !header.len().is_multiple_of(ALIGNMENT) {
            header.push(' ');
        }
        let length = (header.len() as u64).to_le_bytes();
        [&length[..], header.as_bytes(), &keys, &logits, &[7, 8, 9]].concat()
    }

    #[test]
    fn rows_of_a_buffer_are_taken_out_as_if_they_had_never_been_there() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state");
        let gone = |key| key == buffer_key("bb");
        for prefix in ["", "approach."] {
            fs::write(&path, state(prefix, &["a", "bb", "ccc"])).unwrap();
            let keys = ["a", "bb", "ccc"].map(buffer_key);
            assert_eq!(buffered(&path).unwrap(), keys);
            let without = without_buffered(&path, gone).unwrap().unwrap();
            assert!(without == state(prefix, &["a", "ccc"]));
            fs::write(&path, without).unwrap();
            assert_eq!(without_buffered(&path, gone).unwrap(), None);
        }
        fs::write(&path, state("", &["bb"])).unwrap();
        assert!(without_buffered(&path, gone).unwrap().unwrap() == state("", &[]));
    }

    #[test]
    fn what_is_no_checkpoint_keeps_no_clip() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for bytes in [&b""[..], b"short", b"no checkpoint at all", &[255; 40]] {
            fs::write(&path, bytes).unwrap();
            assert!(buffered(&path).unwrap().is_empty());
            assert_eq!(without_buffered(&path, |_| true).unwrap(), None);
        }
        let whole = state("", &["a"]);
        fs::write(&path, &whole[..whole.len() - 14]).unwrap();
        assert_eq!(without_buffered(&path, |_| true).unwrap(), None);
        assert!(buffered(&folder.path().join("absent")).is_err());
    }
}
