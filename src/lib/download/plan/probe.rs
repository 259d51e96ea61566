//! A look at an archive's first header, by a small range request: which class does it hold?

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::GzDecoder;
use tar::EntryType;

use super::planned::PlannedArchive;
use crate::download::archive::{Packing, class_of, packing};
use crate::download::ledger::ArchiveRecord;
use crate::download::source::{Client, Span};
use crate::parallel;

/// Bytes of an archive's beginning that usually hold its first header; more are asked for where
/// they do not.
const PROBE_BYTES: [u64; 3] = [1024, 16 * 1024, 256 * 1024];

/// The archives with the class that each one's first header names, as known from before or read
/// now.
pub(crate) fn probe_all(
    client: &Client,
    mut archives: Vec<PlannedArchive>,
    known: &BTreeMap<String, ArchiveRecord>,
    parallel: usize,
) -> Vec<PlannedArchive> {
    let classes = parallel::each(&archives, parallel, |archive| {
        match known.get(&archive.path).and_then(|r| r.first_class.clone()) {
            Some(class) => Some(class),
            None => probe(client, archive.link.reveal()),
        }
    });
    for (archive, class) in archives.iter_mut().zip(classes) {
        archive.first_class = class;
    }
    archives
}

/// The class that an archive's first header names; none where it names none or cannot be read now.
fn probe(client: &Client, path: &str) -> Option<String> {
    for bytes in PROBE_BYTES {
        let span = Span {
            from: 0,
            to: Some(bytes),
            if_tag: None,
        };
        let begin = client.patiently(|| {
            let opened = client.remote.open(path, span)?;
            let mut begin = Vec::new();
            // A connection that breaks here still leaves what came; too little is asked for again.
            let _ = opened.body.take(bytes).read_to_end(&mut begin);
            client.meter.pass(begin.len() as u64);
            Ok(begin)
        });
        match begin {
            Ok(begin) => {
                if let FirstHeader::Read(class) = first_header(&begin) {
                    return class;
                }
                if (begin.len() as u64) < bytes {
                    return None;
                }
            }
            Err(error) => {
                tracing::debug!(%error, "first header unknown");
                return None;
            }
        }
    }
    None
}

/// What the beginning of an archive says.
enum FirstHeader {
    /// More bytes are needed.
    Incomplete,
    /// The class that the first member's name gives, if it does.
    Read(Option<String>),
}

/// Reads the first header in an archive's beginning.
fn first_header(begin: &[u8]) -> FirstHeader {
    let unpacked = match packing(begin) {
        Ok(Packing::Gzip) => beginning(GzDecoder::new(begin)),
        Ok(Packing::Zstd) => match zstd::stream::read::Decoder::with_buffer(begin) {
            Ok(decoder) => beginning(decoder),
            Err(_) => Vec::new(),
        },
        Ok(Packing::Plain) => begin.to_vec(),
        Ok(Packing::Zip) => {
            return FirstHeader::Read(first_zip_name(begin).and_then(|name| {
                let folder = name.ends_with(b"/");
                class_of(
                    name,
                    if folder {
                        EntryType::Directory
                    } else {
                        EntryType::Regular
                    },
                )
            }));
        }
        // The reader will say what it is.
        Err(_) => return FirstHeader::Read(None),
    };
    let mut tar = tar::Archive::new(unpacked.as_slice());
    let Ok(entries) = tar.entries() else {
        return FirstHeader::Incomplete;
    };
    for entry in entries.raw(true) {
        let Ok(entry) = entry else { break };
        let kind = entry.header().entry_type();
        let describes = matches!(
            kind,
            EntryType::GNULongName
                | EntryType::GNULongLink
                | EntryType::XHeader
                | EntryType::XGlobalHeader
        );
        if !describes {
            return FirstHeader::Read(class_of(&entry.header().path_bytes(), kind));
        }
    }
    FirstHeader::Incomplete
}

/// What the beginning of a compressed archive unpacks to. It ends in the middle of the data, which is
/// an error and expected.
fn beginning(unpacked: impl Read) -> Vec<u8> {
    let mut bytes = Vec::new();
    let _ = unpacked.take(PROBE_BYTES[2]).read_to_end(&mut bytes);
    bytes
}

/// The name in the first header of a ZIP file; of a folder, with a slash at its end.
fn first_zip_name(begin: &[u8]) -> Option<&[u8]> {
    let length = u16::from_le_bytes([*begin.get(26)?, *begin.get(27)?]);
    begin.get(30..30 + usize::from(length))
}
