//! The files of a folder that are meant as clips.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::OwnDataError;
use crate::clip::ClipId;
use crate::clip::path::{has_video_ending, without_ending};
use crate::foreign::{composed, printable};

/// Deepest folder below the folder of clips that is searched; as deep as decoding looks.
const MAX_DEPTH: usize = 8;

/// A file that is meant as a clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Its path below the folder of clips.
    pub(super) path: PathBuf,
    /// That path without its ending, which is the clip's id.
    pub(super) id: String,
}

/// What is in the folder.
#[derive(Debug, Default)]
pub(super) struct Scan {
    /// The clips, by id.
    pub(super) clips: Vec<Found>,
    /// Files that are no videos by their endings: how many of each ending.
    pub(super) passed_over: BTreeMap<String, usize>,
    /// Videos whose path cannot be a clip's id.
    pub(super) unusable: Vec<String>,
}

/// Looks for clips in `folder` and below. Hidden files and folders are passed over; what cannot be read is a warning.
pub(super) fn scan(folder: &Path) -> Result<Scan, OwnDataError> {
    if !folder.is_dir() {
        return Err(OwnDataError::NoFolder {
            path: folder.to_owned(),
        });
    }
    let mut scan = Scan::default();
    let is_hidden = |name: &std::ffi::OsStr| name.as_encoded_bytes().starts_with(b".");
    let entries = WalkDir::new(folder)
        .follow_links(true)
        .max_depth(MAX_DEPTH)
        .sort_by_file_name()
        .into_iter()
        .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()));
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                tracing::warn!("passed over: {}", printable(&e.to_string()));
                continue;
            }
        };
        if !entry.file_type().is_file() {
            continue;
        }
        let path = entry.path().strip_prefix(folder).unwrap_or(entry.path());
        if !has_video_ending(path) {
            let ending = path
                .extension()
                .map_or_else(String::new, |e| e.to_string_lossy().to_lowercase());
            *scan.passed_over.entry(ending).or_default() += 1;
            continue;
        }
        match without_ending(path).filter(|id| ClipId::at_path(id).is_ok()) {
            Some(id) => scan.clips.push(Found {
                path: path.to_owned(),
                id,
            }),
            None => scan.unusable.push(path.to_string_lossy().into_owned()),
        }
    }
    scan.clips
        .sort_by(|a, b| a.id.cmp(&b.id).then(a.path.cmp(&b.path)));
    one_file_each(&scan.clips)?;
    Ok(scan)
}

/// Refuses files that would be clips of one id: those that differ in their endings alone, or in the Unicode form of a letter.
fn one_file_each(clips: &[Found]) -> Result<(), OwnDataError> {
    let mut by_id: BTreeMap<_, &Found> = BTreeMap::new();
    let mut pairs = Vec::new();
    for clip in clips {
        if let Some(first) = by_id.insert(composed(&clip.id), clip) {
            pairs.push((first, clip));
        }
    }
    let text = |clip: &Found| clip.path.to_string_lossy().into_owned();
    match pairs[..] {
        [] => Ok(()),
        [(first, second), ..] => Err(OwnDataError::OneId {
            both: (text(first), text(second)),
            count: pairs.len(),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(files: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for file in files {
            let path = folder.path().join(file);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn videos_are_clips_and_everything_else_is_counted() {
        let folder = folder(&[
            "a/b/y.avi",
            "a/b/x.MP4",
            "a/b/x.jpg",
            "a/note.txt",
            ".git/z.mp4",
            "a/.part.mp4",
            "a/ c.mp4/d.mp4",
        ]);
        std::os::unix::fs::symlink("missing", folder.path().join("a/link.mp4")).unwrap();
        std::os::unix::fs::symlink(".", folder.path().join("a/loop")).unwrap();
        let scan = scan(folder.path()).unwrap();
        let ids: Vec<_> = scan.clips.iter().map(|clip| clip.id.as_str()).collect();
        assert_eq!(ids, ["a/ c.mp4/d", "a/b/x", "a/b/y"]);
        let passed: Vec<_> = scan
            .passed_over
            .iter()
            .map(|(e, n)| (e.as_str(), *n))
            .collect();
        assert_eq!(passed, [("jpg", 1), ("txt", 1)]);
    }

    #[test]
    fn names_that_no_table_can_hold_are_told_apart() {
        let folder = folder(&["a/b\n.mp4", "a/c .mp4", "a/d\\e.mp4", "a/f.mp4"]);
        let scan = scan(folder.path()).unwrap();
        assert_eq!(scan.clips.len(), 1);
        assert_eq!(scan.unusable, ["a/b\n.mp4", "a/c .mp4", "a/d\\e.mp4"]);
    }

    #[test]
    fn two_files_of_one_id_are_both_named() {
        let folder = folder(&["a/x.avi", "a/x.mp4"]);
        let error = scan(folder.path()).unwrap_err();
        assert_eq!(error.to_string(), "a/x.avi and a/x.mp4 would be one clip");
        assert!(matches!(
            scan(&folder.path().join("none")),
            Err(OwnDataError::NoFolder { .. })
        ));
    }
}
