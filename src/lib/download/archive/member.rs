//! What a member of an archive is: a clip, something to pass over, or something to refuse. Pure.

use std::path::{Component, Path};

use tar::EntryType;

use crate::clip::ClipId;
use crate::download::ledger::CLIP_ENDINGS;
use crate::foreign;

/// Largest clip, in bytes. Real ones have a few megabytes.
pub(crate) const MAX_CLIP_BYTES: u64 = 512 << 20;
/// Longest member name, in bytes.
pub(crate) const MAX_NAME_BYTES: u64 = 4096;

/// What is done with a member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It is named like a clip, with this ending; whether it is wanted is another question.
    Clip(ClipId, &'static str),
    /// A folder, or a file that is no clip: passed over in silence.
    Other,
    /// It is never let in; the text says why.
    Refused(&'static str),
}

/// Judges a member by its name as the archive has it, its type and the size that its header claims.
#[must_use]
pub(crate) fn judge(name: &[u8], kind: EntryType, bytes: u64) -> Verdict {
    if name.len() as u64 > MAX_NAME_BYTES {
        return Verdict::Refused("the name is too long");
    }
    if name.contains(&0) {
        return Verdict::Refused("the name holds a zero byte");
    }
    let Ok(text) = std::str::from_utf8(name) else {
        return Verdict::Refused("the name is not UTF-8");
    };
    let path = Path::new(text);
    if path.is_absolute() || text.starts_with('\\') || has_drive(text) {
        return Verdict::Refused("the name is absolute");
    }
    let mut components = path.components();
    if components.any(|c| c == Component::ParentDir) || text.split('\\').any(|part| part == "..") {
        return Verdict::Refused("the name leads out of the folder");
    }
    match kind {
        EntryType::Regular | EntryType::Continuous => {}
        EntryType::Directory => return Verdict::Other,
        EntryType::Symlink | EntryType::Link => return Verdict::Refused("a link"),
        EntryType::Char | EntryType::Block | EntryType::Fifo => {
            return Verdict::Refused("a device or pipe");
        }
        EntryType::GNUSparse => return Verdict::Refused("a sparse file"),
        _ => return Verdict::Refused("a member of an unknown type"),
    }
    let file_name = text.rsplit('/').next().unwrap_or_default();
    if file_name.starts_with("._") {
        return Verdict::Refused("AppleDouble data, no clip");
    }
    let Some((stem, ending)) = video_name(file_name) else {
        return Verdict::Other;
    };
    let Ok(id) = stem.parse::<ClipId>() else {
        return Verdict::Refused(
            "a video whose name is no clip id: <youtube id>_<start>_<end>, six digits each",
        );
    };
    match bytes {
        0 => Verdict::Refused("the clip is empty"),
        n if n > MAX_CLIP_BYTES => Verdict::Refused("the clip is too large"),
        _ => Verdict::Clip(id, ending),
    }
}

/// The stem and the ending of a video's file name, whatever the case of its letters.
#[must_use]
pub(crate) fn video_name(file_name: &str) -> Option<(&str, &'static str)> {
    let (stem, ending) = file_name.rsplit_once('.')?;
    let known = CLIP_ENDINGS
        .iter()
        .find(|known| known.eq_ignore_ascii_case(ending))?;
    Some((stem, known))
}

/// `C:` and the like.
pub(crate) fn has_drive(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':'
}

/// The class that a member's folder names: the folder right above the file, or the folder that the
/// member is. A name that no terminal may show is that of no class.
#[must_use]
pub(crate) fn class_of(name: &[u8], kind: EntryType) -> Option<String> {
    let text = std::str::from_utf8(name).ok()?;
    let mut folders: Vec<&str> = text
        .split('/')
        .filter(|part| !matches!(*part, "" | "." | ".."))
        .collect();
    if kind != EntryType::Directory {
        folders.pop();
    }
    let class = folders.pop()?;
    (foreign::printable(class) == class).then(|| class.to_owned())
}

/// A name as the ledger and the terminal may show it.
#[must_use]
pub(crate) fn printable(name: &[u8]) -> String {
    foreign::printable(&String::from_utf8_lossy(name)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: EntryType = EntryType::Regular;

    #[test]
    fn clips_are_recognised_in_any_layout() {
        for name in [
            "abc_000001_000011.mp4",
            "./abc_000001_000011.mp4",
            "eating burger/abc_000001_000011.mp4",
            "k700/train/eating burger/abc_000001_000011.mp4",
        ] {
            let id = "abc_000001_000011".parse().unwrap();
            let clip = Verdict::Clip(id, "mp4");
            assert_eq!(judge(name.as_bytes(), FILE, 9), clip, "{name}");
        }
        for (ending, kept) in [("MP4", "mp4"), ("mkv", "mkv"), ("WebM", "webm")] {
            let name = format!("a_b/abc_000001_000011.{ending}");
            let id = "abc_000001_000011".parse().unwrap();
            assert_eq!(judge(name.as_bytes(), FILE, 9), Verdict::Clip(id, kept));
        }
        let dash = judge(b"-rf_000001_000011.mp4", FILE, 9);
        assert!(matches!(dash, Verdict::Clip(..)));
        assert_eq!(judge(b"readme.txt", FILE, 9), Verdict::Other);
        assert_eq!(judge(b"yawning/", EntryType::Directory, 0), Verdict::Other);
    }

    #[test]
    fn what_could_do_harm_is_refused_with_its_reason() {
        let long = vec![b'a'; 5000];
        let clip = b"x/abc_000001_000011.mp4".as_slice();
        for (name, kind, bytes, word) in [
            (b"../abc_000001_000011.mp4".as_slice(), FILE, 9, "leads out"),
            (b"a/../../abc_000001_000011.mp4", FILE, 9, "leads out"),
            (b"..\\abc_000001_000011.mp4", FILE, 9, "leads out"),
            (b"/etc/abc_000001_000011.mp4", FILE, 9, "absolute"),
            (b"C:\\abc_000001_000011.mp4", FILE, 9, "absolute"),
            (clip, EntryType::Symlink, 0, "link"),
            (clip, EntryType::Link, 0, "link"),
            (clip, EntryType::Block, 0, "device"),
            (clip, EntryType::Fifo, 0, "device"),
            (clip, EntryType::GNUSparse, 9, "sparse"),
            (clip, EntryType::new(b'Z'), 9, "unknown"),
            (clip, FILE, 0, "empty"),
            (clip, FILE, u64::MAX, "too large"),
            (b"x/._abc_000001_000011.mp4", FILE, 9, "AppleDouble"),
            (b"\xff\xfe_000001_000011.mp4", FILE, 9, "UTF-8"),
            (b"abc\0_000001_000011.mp4", FILE, 9, "zero"),
            (&long, FILE, 9, "too long"),
            (b"x/abc_1_11.mp4", FILE, 9, "no clip id"),
            (b"x/abc.webm", FILE, 9, "no clip id"),
        ] {
            let verdict = judge(name, kind, bytes);
            let Verdict::Refused(reason) = verdict else {
                panic!("{verdict:?} for {}", printable(name));
            };
            assert!(reason.contains(word), "{reason}: {word}");
        }
    }

    #[test]
    fn the_class_is_the_nearest_folder_and_names_print_safely() {
        let class = |name: &str, kind| class_of(name.as_bytes(), kind);
        assert_eq!(class("yawning/a.mp4", FILE).as_deref(), Some("yawning"));
        assert_eq!(
            class("k/yawning/", EntryType::Directory).as_deref(),
            Some("yawning")
        );
        assert_eq!(class("./a.mp4", FILE), None);
        assert_eq!(class("\x1b[2Jyawning/a.mp4", FILE), None);
        assert_eq!(printable(b"a\x1b[31m\n"), "a\\u{1b}[31m\\n");
    }
}
