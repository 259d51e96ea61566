//! Where the labelled clips lie on disk, and reading them there.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use walkdir::{DirEntry, WalkDir};

use super::clip::{DecodedClip, decode_file};
use super::file_hash::hash_in_time;
use super::folder::{decode_folder, frame_files, hash_folder};
use super::near_miss::Strays;
use super::{ClipSettings, DecodeError};
use crate::clip::ClipId;
use crate::clip::path::{has_video_ending, without_ending};
use crate::foreign::{composed, printable};
use crate::media::limits::Limits;
use crate::panics::caught;

/// Deepest folder below the clips folder that is searched.
const MAX_DEPTH: usize = 8;
/// Most things that cannot be read in the folder of clips and are named; the others are counted.
const MAX_NAMED: usize = 20;

/// The endings of what download tools leave beside a video, in lower case.
const SIDE_ENDINGS: &[&str] = &[
    "aac",
    "ass",
    "bmp",
    "csv",
    "description",
    "flac",
    "jpeg",
    "jpg",
    "json",
    "m4a",
    "md5",
    "mp3",
    "npy",
    "npz",
    "opus",
    "part",
    "pkl",
    "png",
    "srt",
    "temp",
    "tmp",
    "txt",
    "vtt",
    "wav",
    "webp",
    "xml",
    "ytdl",
];

/// What a clip is decoded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A video file and its size in bytes.
    File { path: PathBuf, bytes: i64 },
    /// A folder of frames, each a picture.
    Frames { path: PathBuf, bytes: i64 },
}

impl Source {
    pub(super) fn path(&self) -> &Path {
        match self {
            Self::File { path, .. } | Self::Frames { path, .. } => path,
        }
    }

    /// The size in bytes, of all frames together where it is a folder.
    pub(super) fn bytes(&self) -> i64 {
        match self {
            Self::File { bytes, .. } | Self::Frames { bytes, .. } => *bytes,
        }
    }

    /// When the system last noticed a change of it: of content, name, owner or place. Programs
    /// cannot set this time, so a file that was put there later shows, whatever its own date.
    pub(super) fn changed(&self) -> Option<SystemTime> {
        match self {
            Self::File { path, .. } => changed(path),
            Self::Frames { path, .. } => frame_files(path)
                .iter()
                .map(|file| changed(file))
                .try_fold(changed(path)?, |latest, at| Some(latest.max(at?))),
        }
    }

    /// Decodes it in this process.
    pub(super) fn decode(&self, settings: &ClipSettings, limits: Limits) -> DecodedClip {
        let deadline = limits.deadline();
        match self {
            Self::File { path, .. } => decode_file(path, settings, deadline),
            Self::Frames { path, .. } => caught(|| decode_folder(path, settings, deadline))
                .unwrap_or_else(|message| DecodedClip::panicked(settings, &message)),
        }
    }

    /// The hash that decoding gives it, in hexadecimal; none where it cannot be read in time.
    pub(super) fn hash(&self, settings: &ClipSettings, limits: Limits) -> Option<String> {
        let deadline = limits.deadline();
        match self {
            Self::File { path, .. } => hash_in_time(path, deadline).ok(),
            Self::Frames { path, .. } => hash_folder(path, settings, deadline).ok(),
        }
    }
}

fn changed(path: &Path) -> Option<SystemTime> {
    let meta = path.metadata().ok()?;
    let seconds = Duration::from_secs(meta.ctime().try_into().ok()?);
    let nanoseconds = Duration::from_nanos(meta.ctime_nsec().try_into().ok()?);
    SystemTime::UNIX_EPOCH.checked_add(seconds + nanoseconds)
}

/// The files and frame folders by clip. Hidden files and folders are passed over: an interrupted
/// download keeps its pieces there, a desktop what was thrown away.
#[derive(Debug, Default)]
pub(super) struct ClipFiles {
    files: BTreeMap<String, Vec<PathBuf>>,
    /// By the path below the folder of clips without its ending, in Unicode's composed form: the
    /// files of clips that are called by their path.
    by_path: BTreeMap<String, Vec<PathBuf>>,
    frame_folders: Option<PathBuf>,
    strays: Strays,
}

impl ClipFiles {
    /// Searches the folder. What cannot be read below it (a link that leads nowhere or in a circle,
    /// a folder without permission) is warned of and costs only itself.
    pub(super) fn scan(clips: &Path, frame_folders: Option<&Path>) -> Result<Self, DecodeError> {
        if !clips.is_dir() {
            return Err(DecodeError::NoClips {
                path: clips.to_owned(),
            });
        }
        let mut sources = Self {
            frame_folders: frame_folders.map(Path::to_owned),
            ..Self::default()
        };
        let mut unread = 0;
        let entries = WalkDir::new(clips)
            .follow_links(true)
            .max_depth(MAX_DEPTH)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| !is_hidden(entry));
        for entry in entries {
            match entry {
                Ok(entry) if entry.file_type().is_file() => sources.add(clips, entry.into_path()),
                Ok(_) => {}
                Err(source) if source.depth() == 0 => {
                    return Err(DecodeError::Clips {
                        path: clips.to_owned(),
                        source,
                    });
                }
                Err(e) => {
                    unread += 1;
                    if unread <= MAX_NAMED {
                        tracing::warn!("passed over: {}", printable(&e.to_string()));
                    }
                }
            }
        }
        if unread > MAX_NAMED {
            tracing::warn!(
                "{} more files and folders cannot be read and were passed over",
                unread - MAX_NAMED
            );
        }
        Ok(sources)
    }

    fn add(&mut self, clips: &Path, path: PathBuf) {
        let relative = path.strip_prefix(clips).ok().and_then(without_ending);
        if let Some(relative) = relative {
            let files = self.by_path.entry(composed(&relative).into_owned());
            files.or_default().push(path.clone());
        }
        let stem = path.file_stem().and_then(|stem| stem.to_str());
        match stem.filter(|stem| stem.parse::<ClipId>().is_ok()) {
            Some(stem) => self.files.entry(stem.to_owned()).or_default().push(path),
            None => self.strays.add(&path),
        }
    }

    /// What the clip may be decoded from, the likeliest first: files with the ending of a video,
    /// then those with any other, last those that lie beside videos (pictures, sound, texts), and
    /// among each of these the ones in a folder of the subcategory's name before others, by name.
    /// Empty files count only where there is nothing else, a folder of frames only without a file.
    pub(super) fn of(&self, clip: &ClipId, subcategory: &str) -> Vec<Source> {
        let files = match clip.path() {
            Some(path) => self.by_path.get(&*composed(path)),
            None => self.files.get(&clip.to_string()),
        };
        let mut files: Vec<Source> = files
            .into_iter()
            .flatten()
            .map(|path| file_source(path))
            .collect();
        files.sort_by_cached_key(|file| {
            let folder = file.path().parent().and_then(Path::file_name);
            let elsewhere = folder.is_none_or(|name| name != subcategory);
            (rank(file.path()), elsewhere, file.path().to_owned())
        });
        if files.iter().any(|file| file.bytes() > 0) {
            files.retain(|file| file.bytes() > 0);
        }
        if files.is_empty() {
            files.extend(self.frames_of(clip, subcategory));
        }
        files
    }

    /// What is there of a clip that has no file, in words, where something nearly has its name.
    pub(super) fn near_miss(&self, clip: &ClipId) -> Option<String> {
        self.strays.nearest(&clip.to_string())
    }

    /// The folder of the clip's frames: named as the seed does or by the clip alone, at the top or
    /// in a folder of the subcategory's name, the frames in it or in its folder `jpgs`.
    fn frames_of(&self, clip: &ClipId, subcategory: &str) -> Option<Source> {
        let top = self.frame_folders.as_ref()?;
        let places = [top.clone(), top.join(subcategory)];
        let names = [clip.frame_folder(), clip.to_string()];
        places
            .iter()
            .flat_map(|place| names.iter().map(|name| place.join(name)))
            .flat_map(|folder| [folder.join("jpgs"), folder])
            .find_map(|path| {
                let bytes = frame_files(&path)
                    .iter()
                    .map(|file| size(file))
                    .fold(0, i64::saturating_add);
                (bytes > 0).then_some(Source::Frames { path, bytes })
            })
    }
}

fn is_hidden(entry: &DirEntry) -> bool {
    entry.depth() > 0 && entry.file_name().as_encoded_bytes().starts_with(b".")
}

fn file_source(path: &Path) -> Source {
    Source::File {
        path: path.to_owned(),
        bytes: size(path),
    }
}

fn size(path: &Path) -> i64 {
    fs::metadata(path).map_or(0, |m| i64::try_from(m.len()).unwrap_or(i64::MAX))
}

/// How early a file is tried, by its ending.
fn rank(path: &Path) -> usize {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let ending = ending.unwrap_or_default().to_ascii_lowercase();
    match () {
        () if has_video_ending(path) => 0,
        () if SIDE_ENDINGS.contains(&ending.as_str()) => 2,
        () => 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clip() -> ClipId {
        "abc_000000_000002".parse().unwrap()
    }

    fn folder_with(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, content) in files {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
        folder
    }

    fn names(folder: &Path) -> Vec<String> {
        let sources = ClipFiles::scan(folder, None).unwrap().of(&clip(), "x");
        let name = |s: &Source| s.path().strip_prefix(folder).unwrap().display().to_string();
        sources.iter().map(name).collect()
    }

    #[test]
    fn videos_are_tried_before_what_lies_beside_them() {
        let folder = folder_with(&[
            ("x/abc_000000_000002.json", "{}"),
            ("x/abc_000000_000002.bin", "?"),
            ("a/abc_000000_000002.MP4", "?"),
            ("x/abc_000000_000002.webm", "?"),
            ("x/abc_000000_000002.avi", ""),
            ("x/abc_000000_000002.mp4.part", "?"),
        ]);
        assert_eq!(
            names(folder.path()),
            [
                "x/abc_000000_000002.webm",
                "a/abc_000000_000002.MP4",
                "x/abc_000000_000002.bin",
                "x/abc_000000_000002.json"
            ]
        );
    }

    #[test]
    fn an_empty_file_is_better_than_none_and_hidden_ones_are_none() {
        let folder = folder_with(&[
            ("abc_000000_000002.mp4", ""),
            (".Trash-1000/files/abc_000000_000002.mp4", "thrown away"),
            (".abc_000000_000002.mp4", "a piece"),
        ]);
        assert_eq!(names(folder.path()), ["abc_000000_000002.mp4"]);
    }

    #[test]
    fn a_dot_in_the_folders_own_name_hides_nothing() {
        let folder = folder_with(&[(".data/abc_000000_000002.mp4", "?")]);
        assert_eq!(names(&folder.path().join(".data")).len(), 1);
    }
}
