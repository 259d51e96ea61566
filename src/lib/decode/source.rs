//! Where the labelled clips lie on disk, and reading them there.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::clip::{DecodedClip, decode_file};
use super::file_hash::hash_in_time;
use super::folder::{decode_folder, hash_folder};
use super::{ClipSettings, DecodeError};
use crate::clip::ClipId;
use crate::media::limits::Limits;
use crate::panics::caught;

/// Deepest folder below the clips folder that is searched.
const MAX_DEPTH: usize = 8;

/// What a clip is decoded from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// A video file and its size in bytes.
    File { path: PathBuf, bytes: i64 },
    /// A folder of JPEG frames.
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

/// The files and frame folders by clip. Where a clip has several files, one in a folder of its
/// subcategory's name is taken, then the first by name; a file goes before a folder of frames.
#[derive(Debug, Default)]
pub(super) struct Sources {
    files: BTreeMap<String, Vec<PathBuf>>,
    frame_folders: Option<PathBuf>,
}

impl Sources {
    pub(super) fn scan(clips: &Path, frame_folders: Option<&Path>) -> Result<Self, DecodeError> {
        if !clips.is_dir() {
            return Err(DecodeError::NoClips {
                path: clips.to_owned(),
            });
        }
        let mut files = BTreeMap::<String, Vec<PathBuf>>::new();
        for entry in WalkDir::new(clips)
            .follow_links(true)
            .max_depth(MAX_DEPTH)
            .sort_by_file_name()
        {
            let entry = entry.map_err(|source| DecodeError::Clips {
                path: clips.to_owned(),
                source,
            })?;
            let name = entry
                .path()
                .file_stem()
                .and_then(|s| s.to_str())
                .unwrap_or_default();
            if entry.file_type().is_file() && name.parse::<ClipId>().is_ok() {
                files
                    .entry(name.to_owned())
                    .or_default()
                    .push(entry.into_path());
            }
        }
        Ok(Self {
            files,
            frame_folders: frame_folders.map(Path::to_owned),
        })
    }

    pub(super) fn of(&self, clip: &ClipId, subcategory: &str) -> Option<Source> {
        let files = self
            .files
            .get(&clip.to_string())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let in_place = |p: &&PathBuf| {
            p.parent()
                .and_then(Path::file_name)
                .is_some_and(|n| n == subcategory)
        };
        if let Some(path) = files.iter().find(in_place).or(files.first()) {
            let bytes = path
                .metadata()
                .map_or(0, |m| i64::try_from(m.len()).unwrap_or(i64::MAX));
            return Some(Source::File {
                path: path.clone(),
                bytes,
            });
        }
        let path = self
            .frame_folders
            .as_ref()?
            .join(clip.frame_folder())
            .join("jpgs");
        let bytes = super::folder::frame_files(&path)
            .iter()
            .filter_map(|f| f.metadata().ok())
            .map(|m| i64::try_from(m.len()).unwrap_or(i64::MAX))
            .fold(0, i64::saturating_add);
        (bytes > 0).then_some(Source::Frames { path, bytes })
    }
}
