//! Ids of clips that are no YouTube's: relative paths without their ending, and the rules that keep them in their folder.

use std::path::{Component, Path};

use crate::foreign::steers;

/// Longest path that is accepted as a clip's id, in bytes.
pub const MAX_CLIP_PATH_BYTES: usize = 1024;
/// Longest part between two slashes, in bytes: file systems take 255, and an ending has to fit, too.
const MAX_PART_BYTES: usize = 240;

/// The endings that video files have, in lower case. What a file is shows when it is decoded; endings only say which files
/// are meant as clips.
const VIDEO_ENDINGS: &[&str] = &[
    "264", "265", "3g2", "3gp", "asf", "avi", "dav", "divx", "dv", "f4v", "flv", "gif", "h264",
    "h265", "hevc", "ivf", "m2t", "m2ts", "m2v", "m4v", "mjpeg", "mjpg", "mkv", "mod", "mov",
    "mp4", "mpe", "mpeg", "mpg", "mts", "mxf", "mxg", "nut", "ogg", "ogv", "rm", "rmvb", "tod",
    "ts", "vob", "webm", "wmv", "wtv", "y4m",
];

/// Why a text is no path of a clip.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PathFault {
    /// There is nothing.
    #[error("it is empty")]
    Empty,
    /// It is longer than any path of a clip.
    #[error(
        "it has more than {MAX_CLIP_PATH_BYTES} bytes, or {MAX_PART_BYTES} between two slashes"
    )]
    Long,
    /// It begins at the root of a disk.
    #[error("it begins at the root, and a clip's path begins in the folder of clips")]
    Absolute,
    /// It leads out of the folder of clips, or names a hidden file or folder.
    #[error("no part of it may begin with a dot")]
    Dot,
    /// A part between two slashes is empty.
    #[error("there is nothing between two slashes, or behind the last")]
    EmptyPart,
    /// It holds a backslash.
    #[error("it holds a backslash; folders are told apart by slashes")]
    Backslash,
    /// It holds a character that does something to the place that shows it.
    #[error("it holds a control character")]
    Control,
    /// A table would lose the white space.
    #[error("white space stands at its beginning or its end")]
    WhiteSpace,
}

/// Whether `text` can be a clip's id: a relative path that stays below the folder that it is joined to.
///
/// # Errors
/// With what it breaks first.
pub(super) fn check(text: &str) -> Result<(), PathFault> {
    if text.is_empty() {
        return Err(PathFault::Empty);
    }
    if text.len() > MAX_CLIP_PATH_BYTES || text.split('/').any(|part| part.len() > MAX_PART_BYTES) {
        return Err(PathFault::Long);
    }
    if text.starts_with('/') {
        return Err(PathFault::Absolute);
    }
    if text.contains('\\') {
        return Err(PathFault::Backslash);
    }
    if text.contains(steers) {
        return Err(PathFault::Control);
    }
    if text.trim() != text {
        return Err(PathFault::WhiteSpace);
    }
    for part in text.split('/') {
        match part.chars().next() {
            None => return Err(PathFault::EmptyPart),
            Some('.') => return Err(PathFault::Dot),
            Some(_) => {}
        }
    }
    Ok(())
}

/// A file's path without its ending, folders told apart by slashes: what a clip's id would be. None where that is no text.
#[must_use]
pub fn without_ending(relative: &Path) -> Option<String> {
    let mut parts = Vec::new();
    for component in relative.with_extension("").components() {
        let Component::Normal(part) = component else {
            return None;
        };
        parts.push(part.to_str()?.to_owned());
    }
    Some(parts.join("/"))
}

/// Whether a file's name ends as those of videos do.
#[must_use]
pub fn has_video_ending(path: &Path) -> bool {
    let ending = path.extension().and_then(|ending| ending.to_str());
    ending.is_some_and(|ending| VIDEO_ENDINGS.contains(&ending.to_ascii_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_path_stays_in_its_folder_or_is_refused_by_its_fault() {
        for good in [
            "v_X_g01_c01",
            "a/b c/d.e",
            "Grüße/x",
            "-dash",
            "a:b/%20\"q\"",
            "S001C001",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
        for (bad, fault) in [
            ("", PathFault::Empty),
            ("/etc/passwd", PathFault::Absolute),
            ("..", PathFault::Dot),
            ("a/../../b", PathFault::Dot),
            ("a/./b", PathFault::Dot),
            (".git/x", PathFault::Dot),
            ("a//b", PathFault::EmptyPart),
            ("a/", PathFault::EmptyPart),
            ("a\\..\\b", PathFault::Backslash),
            ("a\nb", PathFault::Control),
            ("a\0b", PathFault::Control),
            ("\u{1b}[2J", PathFault::Control),
            ("a\u{202e}b", PathFault::Control),
            (" a", PathFault::WhiteSpace),
            ("a ", PathFault::WhiteSpace),
        ] {
            assert_eq!(check(bad), Err(fault), "{bad:?}");
        }
        assert_eq!(check(&"x".repeat(MAX_PART_BYTES + 1)), Err(PathFault::Long));
        assert_eq!(
            check(&"x/".repeat(MAX_CLIP_PATH_BYTES)),
            Err(PathFault::Long)
        );
    }

    #[test]
    fn only_the_last_ending_goes_and_the_letters_case_of_a_videos_does_not_matter() {
        let id = |path: &str| without_ending(Path::new(path));
        assert_eq!(id("a/v.g01.avi").as_deref(), Some("a/v.g01"));
        assert_eq!(id("./a/b").as_deref(), None);
        assert_eq!(id("a/../b.avi"), None);
        assert!(has_video_ending(Path::new("a/B.AVI")));
        assert!(!has_video_ending(Path::new("a/b.jpg")));
        assert!(!has_video_ending(Path::new("mp4")));
    }
}
