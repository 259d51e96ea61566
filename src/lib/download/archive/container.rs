//! Whether an MP4's top-level boxes are complete: a look at the frame of the file, not at its
//! pictures.

use std::io::{self, Read, Seek, SeekFrom};

/// Boxes at the top level that are looked at; a real file has fewer than ten, a fragmented one some
/// hundreds.
const MAX_BOXES: usize = 100_000;

/// `ok` where boxes fill the file exactly and `ftyp` (or an old file's lack of it), `moov` and
/// `mdat` are there; else what is wrong, in a few words.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn check(file: &mut (impl Read + Seek), bytes: u64) -> io::Result<String> {
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
        assert_eq!(verdict(b"RIFF____AVI LIST"), "not an MP4 file");
        let mut tiny = whole.clone();
        tiny[23] = 3;
        assert_eq!(verdict(&tiny), "a box of 3 bytes at 20");
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
