//! Whether a video file is whole, as far as its frame tells: the boxes of an MP4, the length that a
//! Matroska, WebM or AVI file states. Its pictures are not looked at.

use std::io::{self, Read, Seek, SeekFrom};

/// Boxes at the top level that are looked at; a real file has fewer than ten, a fragmented one some
/// hundreds.
const MAX_BOXES: usize = 100_000;

/// What the header of a Matroska or WebM file begins with, and its one segment behind that.
const EBML: [u8; 4] = [0x1a, 0x45, 0xdf, 0xa3];
const SEGMENT: [u8; 4] = [0x18, 0x53, 0x80, 0x67];
/// Bytes of an element's kind and its size at most.
const HEAD_BYTES: usize = 12;

/// `ok` where the file is whole, else what is wrong, in a few words.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn check(file: &mut (impl Read + Seek), bytes: u64) -> io::Result<String> {
    let mut head = [0; HEAD_BYTES];
    file.seek(SeekFrom::Start(0))?;
    if bytes >= head.len() as u64 {
        file.read_exact(&mut head)?;
    }
    if head[..4] == EBML {
        check_matroska(file, bytes)
    } else if &head[..4] == b"RIFF" && &head[8..] == b"AVI " {
        let [_, _, _, _, s0, s1, s2, s3, ..] = head;
        Ok(whole(
            8 + u64::from(u32::from_le_bytes([s0, s1, s2, s3])),
            bytes,
        ))
    } else {
        check_mp4(file, bytes)
    }
}

/// The verdict on a file of `bytes` bytes that says that it has `stated`.
fn whole(stated: u64, bytes: u64) -> String {
    if stated > bytes {
        format!("cut: it states {stated} bytes, {bytes} are there")
    } else {
        "ok".to_owned()
    }
}

fn check_matroska(file: &mut (impl Read + Seek), bytes: u64) -> io::Result<String> {
    let mut at = 0;
    for kind in [EBML, SEGMENT] {
        let mut head = Vec::new();
        file.seek(SeekFrom::Start(at))?;
        file.by_ref()
            .take(HEAD_BYTES as u64)
            .read_to_end(&mut head)?;
        if head.len() < kind.len() + 1 {
            return Ok("cut: it ends in its header".to_owned());
        }
        head.resize(HEAD_BYTES, 0);
        if head[..4] != kind {
            return Ok("its segment does not follow its header".to_owned());
        }
        // A size of 1 to 8 bytes: as many zeros before the first one as bytes follow the first.
        let width = head[4].leading_zeros() as usize + 1;
        let Some(field) = head.get(4..4 + width) else {
            return Ok("a size of no width".to_owned());
        };
        let size = field.iter().fold(0, |n: u64, b| n << 8 | u64::from(*b));
        let size = size & ((1 << (7 * width)) - 1);
        if size == (1 << (7 * width)) - 1 {
            // Not known: written as it was recorded.
            return Ok("ok".to_owned());
        }
        at = size.saturating_add(at + 4 + width as u64);
        if at > bytes {
            return Ok(whole(at, bytes));
        }
    }
    Ok("ok".to_owned())
}

/// `ok` where boxes fill the file exactly and `ftyp` (or an old file's lack of it), `moov` and
/// `mdat` are there; else what is wrong, in a few words.
fn check_mp4(file: &mut (impl Read + Seek), bytes: u64) -> io::Result<String> {
    let mut at = 0;
    let (mut index, mut data) = (false, false);
    for _ in 0..MAX_BOXES {
        if at == bytes {
            return Ok(match (index, data) {
                (true, true) => "ok".to_owned(),
                (false, _) => "no moov box".to_owned(),
                (true, false) => "no mdat box".to_owned(),
            });
        }
        if bytes - at < 8 {
            return Ok(format!("{} bytes behind the last box", bytes - at));
        }
        let mut head = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut head)?;
        let [s0, s1, s2, s3, kind @ ..] = head;
        if at == 0
            && !matches!(
                &kind,
                b"ftyp" | b"moov" | b"mdat" | b"free" | b"skip" | b"wide"
            )
        {
            return Ok("not an MP4 file".to_owned());
        }
        let size = match u32::from_be_bytes([s0, s1, s2, s3]) {
            // To the end of the file.
            0 => bytes - at,
            1 => {
                let mut long = [0; 8];
                if bytes - at < 16 {
                    return Ok("the last box is cut".to_owned());
                }
                file.read_exact(&mut long)?;
                u64::from_be_bytes(long)
            }
            size => u64::from(size),
        };
        if size < 8 {
            return Ok(format!("a box of {size} bytes at {at}"));
        }
        if size > bytes - at {
            return Ok(format!(
                "cut: box {} at {at} has {size} bytes, {} are there",
                String::from_utf8_lossy(&kind).escape_default(),
                bytes - at
            ));
        }
        index |= matches!(&kind, b"moov" | b"moof");
        data |= &kind == b"mdat";
        at += size;
    }
    Ok(format!("more than {MAX_BOXES} boxes"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    fn mp4(kinds: &[&[u8; 4]]) -> Vec<u8> {
        let mut file = Vec::new();
        for kind in kinds {
            file.extend(20_u32.to_be_bytes());
            file.extend(*kind);
            file.extend([7; 12]);
        }
        file
    }

    fn verdict(bytes: &[u8]) -> String {
        check(&mut Cursor::new(bytes), bytes.len() as u64).unwrap()
    }

    #[test]
    fn a_whole_file_passes_and_each_kind_of_damage_is_named() {
        let whole = mp4(&[b"ftyp", b"moov", b"mdat"]);
        assert_eq!(verdict(&whole), "ok");
        assert!(verdict(&whole[..50]).starts_with("cut: box mdat"));
        assert!(verdict(&whole[..43]).contains("3 bytes behind"));
        assert_eq!(verdict(&mp4(&[b"ftyp", b"mdat"])), "no moov box");
        assert_eq!(verdict(&mp4(&[b"ftyp", b"moov"])), "no mdat box");
        assert_eq!(verdict(b"RIFF____WAVELIST"), "not an MP4 file");
        let mut tiny = whole.clone();
        tiny[23] = 3;
        assert_eq!(verdict(&tiny), "a box of 3 bytes at 20");
    }

    #[test]
    fn matroska_and_avi_state_their_length() {
        let mut mkv = [&EBML[..], &[0x81, 0x42], &SEGMENT, &[0x40, 20], &[0; 20]].concat();
        assert_eq!(verdict(&mkv), "ok");
        assert!(verdict(&mkv[..mkv.len() - 1]).starts_with("cut: it states 32 bytes, 31"));
        assert!(verdict(&mkv[..14]).starts_with("cut"));
        mkv[10..12].copy_from_slice(&[0x7f, 0xff]);
        assert_eq!(verdict(&mkv[..20]), "ok");
        let avi = [b"RIFF\x10\0\0\0AVI ", &[0; 12][..]].concat();
        assert_eq!(verdict(&avi), "ok");
        assert!(verdict(&avi[..20]).starts_with("cut"));
    }

    #[test]
    fn long_and_open_sizes_are_understood() {
        let mut long = mp4(&[b"ftyp", b"moov"]);
        long.extend(1_u32.to_be_bytes());
        long.extend(b"mdat");
        long.extend(24_u64.to_be_bytes());
        long.extend([0; 8]);
        assert_eq!(verdict(&long), "ok");
        let mut open = mp4(&[b"ftyp", b"moov"]);
        open.extend(0_u32.to_be_bytes());
        open.extend(b"mdat");
        open.extend([0; 99]);
        assert_eq!(verdict(&open), "ok");
    }
}
