//! What a file is that cannot be opened as a video, and what to do about it.

use std::ffi::CStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::ptr;

use ffmpeg_next::ffi;

/// Bytes at the beginning of a file that are looked at.
const HEAD_BYTES: usize = 64 << 10;
/// Zero bytes behind the head, which libav's probing asks for.
const PADDING_BYTES: usize = 64;
/// Most boxes of an MP4 file that are passed through.
const MAX_BOXES: usize = 10_000;

/// What the file is, with the remedy; none where nothing is known of it.
pub(super) fn describe(path: &Path, readable: &str) -> Option<String> {
    let mut file = File::open(path).ok()?;
    let mut head = Vec::new();
    Read::by_ref(&mut file)
        .take(HEAD_BYTES as u64)
        .read_to_end(&mut head)
        .ok()?;
    if head.is_empty() {
        return Some("the file is empty; fetch it again".into());
    }
    let text = std::str::from_utf8(&head).ok().map(str::trim_start);
    let known = text.and_then(known_text).or_else(|| known_bytes(&head));
    if let Some(known) = known {
        return Some(known.into());
    }
    if let Some(about) = about_mp4(&mut file, &head).ok().flatten() {
        return Some(about.into());
    }
    unread_container(head.clone(), readable).or_else(|| {
        let text = String::from_utf8_lossy(&head);
        let strange =
            |c: char| c == char::REPLACEMENT_CHARACTER || c.is_control() && !c.is_whitespace();
        let is_text = !text
            .trim_end_matches(char::REPLACEMENT_CHARACTER)
            .contains(strange);
        is_text.then(|| "it is a text, not a video; fetch the clip again".into())
    })
}

/// Texts that take the place of videos.
fn known_text(text: &str) -> Option<&'static str> {
    // As much as a page needs to say what it is.
    let start: String = text
        .chars()
        .take(1024)
        .collect::<String>()
        .to_ascii_lowercase();
    let is = |words: &[&str]| words.iter().any(|word| start.starts_with(word));
    if is(&["version https://git-lfs.github.com/spec/"]) {
        return Some("it is a Git LFS pointer, not the file itself; run `git lfs pull`");
    }
    if is(&["/annex/objects/", "../.git/annex/", ".git/annex/"]) {
        return Some("it is a git-annex pointer, not the file itself; run `git annex get`");
    }
    if is(&["<!doctype html", "<html", "<head", "<body"]) || start.contains("<html") {
        return Some("it is an HTML page, as servers send instead of a file; fetch the clip again");
    }
    if is(&["<?xml", "<error"]) {
        return Some("it is an XML text, as servers send for an error; fetch the clip again");
    }
    if is(&["#extm3u", "[playlist]", "ffconcat version"]) {
        return Some("it is a playlist, which only names videos; fetch the video itself");
    }
    if is(&["{", "["]) {
        return Some("it is a JSON text, not a video; fetch the clip again");
    }
    None
}

/// Other files that take the place of videos.
fn known_bytes(head: &[u8]) -> Option<&'static str> {
    const ARCHIVE: &str = "it is an archive, not a video; unpack it";
    const PICTURE: &str = "it is a single picture, not a video; fetch the video itself";
    const MAGICS: &[(&[u8], &str)] = &[
        (b"\xff\xd8\xff", PICTURE),
        (b"\x89PNG\r\n", PICTURE),
        (b"II*\0", PICTURE),
        (b"MM\0*", PICTURE),
        (b"PK\x03\x04", ARCHIVE),
        (b"\x1f\x8b", ARCHIVE),
        (b"Rar!\x1a\x07", ARCHIVE),
        (b"7z\xbc\xaf\x27\x1c", ARCHIVE),
        (b"\xfd7zXZ\0", ARCHIVE),
        (b"\x28\xb5\x2f\xfd", ARCHIVE),
        (
            b"%PDF-",
            "it is a PDF document, not a video; fetch the clip again",
        ),
    ];
    if head.iter().all(|&b| b == 0) {
        return Some(
            "it begins with nothing but zero bytes: a download or copy that was not finished; fetch it again",
        );
    }
    let known = MAGICS.iter().find(|(magic, _)| head.starts_with(magic));
    known.map(|(_, what)| *what)
}

/// What is wrong with an MP4 file: all that is needed to read it stands in its box `moov`, which
/// recorders write last.
fn about_mp4(file: &mut File, head: &[u8]) -> io::Result<Option<&'static str>> {
    const FIRST: [&[u8]; 6] = [b"ftyp", b"mdat", b"moov", b"free", b"wide", b"skip"];
    let is_mp4 = head.get(4..8).is_some_and(|kind| FIRST.contains(&kind));
    if !is_mp4 {
        return Ok(None);
    }
    let length = file.metadata()?.len();
    let mut at = 0u64;
    for _ in 0..MAX_BOXES {
        let mut bytes = [0; 16];
        let there = usize::try_from(length.saturating_sub(at))
            .unwrap_or(16)
            .min(16);
        if there < 8 {
            break;
        }
        file.seek(SeekFrom::Start(at))?;
        file.read_exact(&mut bytes[..there])?;
        let number = |bytes: &[u8]| bytes.iter().fold(0, |n, byte| n << 8 | u64::from(*byte));
        let (size, kind, long_size) = (number(&bytes[..4]), &bytes[4..8], number(&bytes[8..]));
        let size = match size {
            0 => length - at,
            1 => long_size,
            size => size,
        };
        let end = at.saturating_add(size.max(8));
        if kind == b"moov" {
            return Ok(Some(if end > length {
                "its moov box, the table of contents, is cut off; fetch it again"
            } else {
                "its moov box, the table of contents, is damaged; fetch it again"
            }));
        }
        at = end;
    }
    Ok(Some(
        "it has no moov box, the table of contents that is written last: the recording or the download was cut off; fetch it again, or mend it with a tool such as untrunc",
    ))
}

/// The container that libav would take the file for, where it is none of those that are read.
fn unread_container(mut head: Vec<u8>, readable: &str) -> Option<String> {
    let length = i32::try_from(head.len()).ok()?;
    head.resize(head.len() + PADDING_BYTES, 0);
    let (name, title) = {
        let data = ffi::AVProbeData {
            filename: c"".as_ptr(),
            buf: head.as_mut_ptr(),
            buf_size: length,
            mime_type: ptr::null(),
        };
        let mut score = 0;
        // SAFETY: the buffer is ours and padded; formats are libav's own constants, whose texts
        // live as long as the program.
        unsafe {
            let format = ffi::av_probe_input_format3(&raw const data, 1, &raw mut score);
            if format.is_null() || score <= ffi::AVPROBE_SCORE_MAX / 4 {
                return None;
            }
            let text = |text: *const std::ffi::c_char| {
                (!text.is_null()).then(|| CStr::from_ptr(text).to_string_lossy().into_owned())
            };
            (
                text((*format).name)?,
                text((*format).long_name).unwrap_or_default(),
            )
        }
    };
    let is_read = name
        .split(',')
        .any(|name| readable.split(',').any(|read| read == name));
    (!is_read).then(|| {
        format!(
            "its container, {name} ({title}), is not read; convert it: ffmpeg -i FILE -c copy FILE.mkv"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &[u8]) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.mp4");
        std::fs::write(&path, content).unwrap();
        describe(&path, "mov,mp4").unwrap_or_default()
    }

    #[test]
    fn what_is_no_video_is_called_by_its_name_and_has_a_remedy() {
        let lfs = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n";
        let ftyp = b"\0\0\0\x10ftypisom\0\0\0\0";
        let cut = [&ftyp[..], b"\0\x10\0\0mdat", &[1; 50]].concat();
        let cut_moov = [&ftyp[..], b"\0\x10\0\0moov", &[1; 50]].concat();
        for (content, kind, remedy) in [
            (&b""[..], "empty", "fetch"),
            (lfs, "Git LFS", "git lfs pull"),
            (b"\n<!DOCTYPE html>\n<title>404</title>", "HTML", "fetch"),
            (b"<?xml version='1.0'?><Error/>", "XML", "fetch"),
            (b"{\"error\": 404}", "JSON", "fetch"),
            (b"#EXTM3U\n#EXTINF:1,\na.ts\n", "playlist", "video itself"),
            (b"Not found, try later.\n", "a text", "fetch"),
            (&[0; 100], "zero bytes", "fetch"),
            (b"PK\x03\x04", "archive", "unpack"),
            (&cut, "no moov box", "untrunc"),
            (
                &cut_moov,
                "moov box, the table of contents, is cut off",
                "fetch",
            ),
        ] {
            let said = of(content);
            assert!(
                said.contains(kind) && said.contains(remedy),
                "{kind}: {said}"
            );
        }
        assert_eq!(of(b"\x01\x02\x03\xfe"), "");
    }
}
