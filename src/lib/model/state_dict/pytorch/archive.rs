//! ZIP files of stored entries.

use std::collections::BTreeMap;
use std::io::{self, Cursor};

use zip::result::ZipError;
use zip::write::FileOptions;
use zip::{CompressionMethod, DateTime, ZipArchive, ZipWriter};

/// The most entries of an archive: two a tensor.
const MAX_ENTRIES: u64 = 1 << 20;
/// Entries begin at multiples of this many bytes, as those of PyTorch do.
const ALIGNMENT: u16 = 64;
/// Bytes of the end record without its comment, and of the 64-bit record's locator before it.
const END_BYTES: usize = 22;
const LOCATOR_BYTES: usize = 20;

/// Whether a file begins as a ZIP file does.
pub(in super::super) fn is_archive(bytes: &[u8]) -> bool {
    bytes.starts_with(b"PK\x03\x04")
}

/// The bytes of every entry, by name, where they lie in `bytes`.
pub(super) fn entries(bytes: &[u8]) -> Result<BTreeMap<String, &[u8]>, String> {
    let stated = stated_entries(bytes).ok_or("the archive has no end: it was not written whole")?;
    if stated > MAX_ENTRIES {
        return Err(format!("the archive states {stated} entries"));
    }
    let says = |e: ZipError| e.to_string();
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(says)?;
    let mut entries = BTreeMap::new();
    for index in 0..archive.len() {
        let entry = archive.by_index_raw(index).map_err(says)?;
        let name = entry.name().to_owned();
        let (start, size) = (entry.data_start(), entry.size());
        if entry.compression() != CompressionMethod::Stored || entry.compressed_size() != size {
            return Err(format!(
                "entry {name:?} is compressed, which torch.save never does"
            ));
        }
        let from = usize::try_from(start).ok();
        let to = start.checked_add(size).and_then(|to| to.try_into().ok());
        let held = from.zip(to).and_then(|(from, to)| bytes.get(from..to));
        entries.insert(name, held.ok_or("the archive is cut short")?);
    }
    Ok(entries)
}

/// How many entries the end of an archive states. The reader makes room for as many before it has
/// seen one, so this looks where the reader does.
fn stated_entries(bytes: &[u8]) -> Option<u64> {
    let number = |at: usize, width: usize| {
        let field = bytes.get(at..at.checked_add(width)?)?;
        Some(field.iter().rev().fold(0, |n, &b| n << 8 | u64::from(b)))
    };
    let from = bytes.len().checked_sub(END_BYTES)?;
    let ends = from.saturating_sub(usize::from(u16::MAX))..=from;
    let end = ends
        .rev()
        .find(|&at| bytes[at..].starts_with(b"PK\x05\x06"))?;
    let comment = usize::try_from(number(end + 20, 2)?).ok()?;
    let locator = from.checked_sub(LOCATOR_BYTES + comment);
    let locator = locator.filter(|&at| bytes[at..].starts_with(b"PK\x06\x07"));
    let Some(locator) = locator else {
        return number(end + 8, 2);
    };
    // The 64-bit record lies at or after the place that is stated.
    let stated = usize::try_from(number(locator + 8, 8)?).ok()?;
    let mut places = bytes.get(stated..)?.windows(4);
    let wide = stated + places.position(|window| window == b"PK\x06\x06")?;
    number(wide.checked_add(32)?, 8)
}

/// An archive of stored entries. Dates are fixed, so equal contents give equal bytes.
pub(super) struct Archive(ZipWriter<Cursor<Vec<u8>>>);

impl Archive {
    pub(super) fn new() -> Self {
        Self(ZipWriter::new(Cursor::default()))
    }

    /// Begins an entry; what is written next is its content.
    pub(super) fn entry(&mut self, name: String) -> io::Result<&mut dyn io::Write> {
        let options = FileOptions::default()
            .compression_method(CompressionMethod::Stored)
            .last_modified_time(DateTime::default());
        self.0.start_file_aligned(name, options, ALIGNMENT)?;
        Ok(&mut self.0)
    }

    /// The whole file.
    pub(super) fn finish(mut self) -> io::Result<Vec<u8>> {
        Ok(self.0.finish()?.into_inner())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written() -> Vec<u8> {
        let mut archive = Archive::new();
        for (name, content) in [("r/a", [1_u8; 3].as_slice()), ("r/b", &[2; 100])] {
            let out = archive.entry(name.to_owned()).unwrap();
            out.write_all(content).unwrap();
        }
        archive.finish().unwrap()
    }

    #[test]
    fn entries_are_aligned_and_the_same_bytes_each_time() {
        let bytes = written();
        assert_eq!(bytes, written());
        let entries = entries(&bytes).unwrap();
        assert_eq!(entries["r/a"], [1; 3]);
        assert_eq!(entries["r/b"], [2; 100]);
        for content in entries.values() {
            let start = content.as_ptr().addr() - bytes.as_ptr().addr();
            assert_eq!(start % usize::from(ALIGNMENT), 0);
        }
    }

    #[test]
    fn a_compressed_entry_is_refused() {
        let mut bytes = written();
        let listed = bytes.windows(4).position(|w| w == b"PK\x01\x02").unwrap();
        bytes[listed + 10] = 8;
        let said = entries(&bytes).unwrap_err();
        assert!(said.contains("\"r/a\" is compressed"), "{said}");
    }

    #[test]
    fn no_room_is_made_for_entries_that_are_only_stated() {
        // A 64-bit end that states a number of entries, its locator, and the end record.
        let stating = |count: u64| {
            let mut bytes = b"PK\x03\x04".to_vec();
            let place = bytes.len() as u64;
            bytes.extend(b"PK\x06\x06");
            bytes.extend([0; 20]);
            bytes.extend([count.to_le_bytes(), count.to_le_bytes()].concat());
            bytes.extend([0; 16]);
            bytes.extend(b"PK\x06\x07\0\0\0\0");
            bytes.extend(place.to_le_bytes());
            bytes.extend(b"\x01\0\0\0PK\x05\x06");
            bytes.extend([0; 18]);
            bytes
        };
        for count in [MAX_ENTRIES + 1, 1 << 40, u64::MAX] {
            assert_eq!(
                entries(&stating(count)).unwrap_err(),
                format!("the archive states {count} entries")
            );
        }
        assert!(entries(&stating(1)).is_err());
    }
}
