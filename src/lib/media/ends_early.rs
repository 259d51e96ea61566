//! Whether a file is shorter than its own outermost elements say: libav reads such a file to its
//! end and says nothing.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

/// Most elements of a file without a stated length that are passed through.
const MAX_ELEMENTS: usize = 1 << 22;

const EBML_HEADER: u32 = 0x1A45_DFA3;
const SEGMENT: u32 = 0x1853_8067;
const CLUSTER: u32 = 0x1F43_B675;

/// Bytes that a Matroska or WebM file lacks by its own account; none where it is whole, of another
/// kind or cannot be read.
pub(super) fn missing_in_matroska(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let end = matroska_end(&mut file, length).ok()?;
    end.checked_sub(length).filter(|&missing| missing > 0)
}

/// Bytes that an AVI file lacks by the length of its first RIFF list.
pub(super) fn missing_in_riff(path: &Path) -> Option<u64> {
    let mut file = File::open(path).ok()?;
    let length = file.metadata().ok()?.len();
    let mut head = [0; 8];
    file.read_exact(&mut head).ok()?;
    let [r, i, f, kind, size @ ..] = head;
    if [r, i, f, kind] != *b"RIFF" {
        return None;
    }
    let end = 8 + u64::from(u32::from_le_bytes(size));
    end.checked_sub(length).filter(|&missing| missing > 0)
}

/// Where the last element ends that begins in the file.
fn matroska_end(file: &mut File, length: u64) -> io::Result<u64> {
    let mut at = 0;
    for _ in 0..MAX_ELEMENTS {
        if at >= length {
            break;
        }
        let Some((id, size, begin)) = element(file, at, length)? else {
            // Its own head is cut off.
            return Ok(length + 1);
        };
        match (id, size) {
            (EBML_HEADER, Some(size)) => at = begin.saturating_add(size),
            (SEGMENT, Some(size)) => return Ok(begin.saturating_add(size)),
            // What is written while it is recorded has no lengths; its elements follow.
            (SEGMENT | CLUSTER, None) => at = begin,
            (_, Some(size)) if at > 0 => at = begin.saturating_add(size),
            _ => return Err(io::ErrorKind::InvalidData.into()),
        }
    }
    Ok(at)
}

/// An element's id, the size of its content where it is stated, and where that begins; none where
/// the file ends before.
fn element(file: &mut File, at: u64, length: u64) -> io::Result<Option<(u32, Option<u64>, u64)>> {
    file.seek(SeekFrom::Start(at))?;
    let mut head = [0; 12];
    let there = usize::try_from(length - at)
        .unwrap_or(head.len())
        .min(head.len());
    file.read_exact(&mut head[..there])?;
    let id_bytes = head[0].leading_zeros() as usize + 1;
    if id_bytes > 4 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let id = head[..id_bytes]
        .iter()
        .fold(0, |id, &b| id << 8 | u32::from(b));
    let first = head[id_bytes];
    let size_bytes = first.leading_zeros() as usize + 1;
    if there < id_bytes + 1 || there < id_bytes + size_bytes {
        return Ok(None);
    }
    if size_bytes > 8 {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let marked = head[id_bytes..id_bytes + size_bytes]
        .iter()
        .fold(0u64, |size, &b| size << 8 | u64::from(b));
    let bits = 7 * size_bytes;
    let unknown = (1u64 << bits) - 1;
    let size = marked & unknown;
    let begin = at + (id_bytes + size_bytes) as u64;
    Ok(Some((id, (size != unknown).then_some(size), begin)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn missing(bytes: &[u8]) -> Option<u64> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, bytes).unwrap();
        missing_in_matroska(&path)
    }

    const HEADER: [u8; 6] = [0x1a, 0x45, 0xdf, 0xa3, 0x81, 0];

    #[test]
    fn a_segment_with_a_length_tells_how_much_is_missing() {
        let file = [
            &HEADER[..],
            &[0x18, 0x53, 0x80, 0x67, 0x84, 0xec, 0x82, 0, 0],
        ]
        .concat();
        assert_eq!(missing(&file), None);
        assert_eq!(missing(&file[..file.len() - 3]), Some(3));
    }

    #[test]
    fn a_recording_without_lengths_is_passed_through_to_its_last_block() {
        let segment = [0x18, 0x53, 0x80, 0x67, 0xff];
        let cluster = [0x1f, 0x43, 0xb6, 0x75, 0xff];
        let block = [0xa3, 0x84, 1, 2, 3, 4];
        let file = [&HEADER[..], &segment, &cluster, &block, &block].concat();
        assert_eq!(missing(&file), None);
        assert_eq!(missing(&file[..file.len() - 2]), Some(2));
        // Only the id of the last block is there.
        assert_eq!(missing(&file[..file.len() - 5]), Some(1));
    }

    #[test]
    fn what_is_no_matroska_lacks_nothing() {
        assert_eq!(missing(b""), None);
        assert_eq!(missing(b"RIFF1234AVI "), None);
        assert_eq!(missing(&[0; 64]), None);
    }
}
