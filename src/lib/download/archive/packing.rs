//! How an archive is packed, told by its first bytes and never by its name, and its unpacked bytes.

use std::io::{self, BufReader, Read};

use super::gunzip::{Gunzip, Hashed};

/// Bytes of an archive's beginning that tell how it is packed: a tar's first header.
pub(crate) const BEGIN_BYTES: usize = 512;
/// Where the word `ustar` stands in a tar's header.
const USTAR_AT: usize = 257;
/// Where the checksum stands in a tar's header, eight bytes.
const CHECKSUM_AT: usize = 148;

/// What archives that are read are packed as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Packing {
    /// A tar in gzip.
    Gzip,
    /// A tar in Zstandard.
    Zstd,
    /// A tar as it is.
    Plain,
    /// A ZIP file, whose list of members stands at its end.
    Zip,
}

/// How the archive is packed that begins with these bytes.
///
/// # Errors
/// What the file is, where it is nothing that is read.
pub(crate) fn packing(begin: &[u8]) -> Result<Packing, &'static str> {
    let text = begin.trim_ascii_start();
    let is = |word: &[u8]| {
        let head = text.get(..word.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(word))
    };
    if begin.starts_with(&[0x1f, 0x8b]) {
        Ok(Packing::Gzip)
    } else if begin.starts_with(&[0x28, 0xb5, 0x2f, 0xfd]) {
        Ok(Packing::Zstd)
    } else if begin.starts_with(b"PK\x03\x04") || begin.starts_with(b"PK\x05\x06") {
        Ok(Packing::Zip)
    } else if begin.get(USTAR_AT..USTAR_AT + 5) == Some(b"ustar") || is_old_tar(begin) {
        Ok(Packing::Plain)
    } else if begin.is_empty() {
        Err("an empty file")
    } else if begin.iter().all(|b| *b == 0) {
        // A tar of nothing but padding; its reader finds out.
        Ok(Packing::Plain)
    } else if begin.starts_with(b"\xfd7zXZ\0") {
        Err("an xz archive, which is not read: unpack it with `xz -d`, the tar in it is read")
    } else if begin.starts_with(b"BZh") {
        Err("a bzip2 archive, which is not read: unpack it with `bunzip2`, the tar in it is read")
    } else if begin.starts_with(b"7z\xbc\xaf\x27\x1c") || begin.starts_with(b"Rar!") {
        Err(
            "a 7z or RAR archive, which is not read: unpack it, and name the folder of its clips with --source",
        )
    } else if is(b"version https://git-lfs") {
        Err("a pointer of Git LFS and not the archive: fetch it with `git lfs pull`")
    } else if is(b"<!doctype html") || is(b"<html") {
        Err("a web page (HTML) and not an archive: its address leads to a page about it")
    } else if is(b"<?xml") || is(b"<error") {
        Err("a message in XML and not an archive, such as an object store's refusal")
    } else {
        Err("no archive that is read: neither gzip, zstd, tar nor zip by its first bytes")
    }
}

/// Whether this is the first header of a tar from before the word `ustar`: its checksum fits.
fn is_old_tar(begin: &[u8]) -> bool {
    let Some(header) = begin.get(..BEGIN_BYTES) else {
        return false;
    };
    let field = &header[CHECKSUM_AT..CHECKSUM_AT + 8];
    let digits = field.iter().filter(|b| (b'0'..=b'7').contains(*b));
    let stated = digits.fold(0_u64, |n, b| n << 3 | u64::from(b - b'0'));
    let bytes = header.iter().enumerate().map(|(at, byte)| {
        let within = (CHECKSUM_AT..CHECKSUM_AT + 8).contains(&at);
        u64::from(if within { b' ' } else { *byte })
    });
    stated > 0 && bytes.sum::<u64>() == stated
}

/// The tar in an archive, with the hash of the archive's own bytes.
pub(crate) enum Unpacked<R: Read> {
    Gzip(Gunzip<R>),
    Zstd(zstd::stream::read::Decoder<'static, BufReader<Hashed<R>>>),
    Plain(Hashed<R>),
}

impl<R: Read> Unpacked<R> {
    /// Unpacks `inner`, all of the archive, which is packed so; a ZIP file is none of these.
    ///
    /// # Errors
    /// When the decoder finds no memory.
    pub(crate) fn new(inner: R, packing: Packing) -> io::Result<Self> {
        Ok(match packing {
            Packing::Gzip => Self::Gzip(Gunzip::new(inner)),
            Packing::Zstd => {
                let buffered = BufReader::new(Hashed::new(inner));
                Self::Zstd(zstd::stream::read::Decoder::with_buffer(buffered)?)
            }
            Packing::Plain | Packing::Zip => Self::Plain(Hashed::new(inner)),
        })
    }

    /// The BLAKE3 hash of the archive in hexadecimal, and the reader below. `None` after an error.
    pub(crate) fn finish(self) -> Option<(String, R)> {
        match self {
            Self::Gzip(gunzip) => gunzip.finish(),
            Self::Zstd(decoder) => Some(decoder.finish().into_inner().finish()),
            Self::Plain(hashed) => Some(hashed.finish()),
        }
    }
}

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Gzip(gunzip) => gunzip.read(buffer),
            Self::Zstd(decoder) => {
                let n = decoder.read(buffer)?;
                if n > 0 {
                    decoder.get_mut().get_mut().unpacked_some();
                }
                Ok(n)
            }
            Self::Plain(hashed) => {
                let n = hashed.read(buffer)?;
                hashed.unpacked_some();
                Ok(n)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_bytes_tell_what_it_is_and_what_is_not_read_has_its_name() {
        let mut old = [0; BEGIN_BYTES];
        old[..5].copy_from_slice(b"a.mp4");
        old[CHECKSUM_AT..][..8].fill(b' ');
        let sum: u32 = old.iter().map(|b| u32::from(*b)).sum();
        old[CHECKSUM_AT..][..7].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        let mut new = [0; BEGIN_BYTES];
        new[USTAR_AT..][..5].copy_from_slice(b"ustar");
        for (begin, expected) in [
            (&[0x1f, 0x8b, 8][..], Packing::Gzip),
            (&[0x28, 0xb5, 0x2f, 0xfd], Packing::Zstd),
            (b"PK\x03\x04", Packing::Zip),
            (&old, Packing::Plain),
            (&new, Packing::Plain),
        ] {
            assert_eq!(packing(begin), Ok(expected));
        }
        for (begin, word) in [
            (&b"\xfd7zXZ\0\0"[..], "xz"),
            (b"BZh9", "bzip2"),
            (b"7z\xbc\xaf\x27\x1c", "7z"),
            (b"version https://git-lfs.github.com/spec/v1\n", "git lfs"),
            (b"\n<!DOCTYPE HTML>", "HTML"),
            (b"<?xml version='1.0'?><Error>", "XML"),
            (b"", "empty"),
            (b"some text", "neither"),
        ] {
            let reason = packing(begin).unwrap_err();
            assert!(reason.contains(word), "{reason}");
        }
    }

    #[test]
    fn zstd_frames_follow_each_other_and_damage_is_noticed() {
        let frame = |bytes: &[u8]| zstd::stream::encode_all(bytes, 3).unwrap();
        let file = [frame(b"one "), frame(b"two")].concat();
        let unpack = |file: &[u8]| {
            let mut unpacked = Unpacked::new(file, Packing::Zstd).unwrap();
            let mut out = Vec::new();
            unpacked.read_to_end(&mut out)?;
            Ok::<_, io::Error>((out, unpacked.finish().unwrap().0))
        };
        let (out, hash) = unpack(&file).unwrap();
        assert_eq!(out, b"one two");
        assert_eq!(hash, blake3::hash(&file).to_hex().to_string());
        assert!(unpack(&file[..file.len() - 1]).is_err());
        assert!(unpack(&[&file[..], b"garbage"].concat()).is_err());
    }
}
