//! Files by their kind: shards, tables, archives, videos, pages and texts.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use flate2::read::MultiGzDecoder;
use walkdir::WalkDir;

use super::{Depth, Search};
use crate::artifact::{ArtifactError, hash_file};
use crate::erase::held::{Action, Place, What};
use crate::erase::ids::{Ids, MAX_ID_BYTES, clip_of_name};
use crate::foreign::printable;
use crate::run_record::{PROGRESS_FILE, RUN_FILE};

/// Bytes that are searched at a time.
const PIECE_BYTES: usize = 1 << 20;
/// Folder below the clips where a download keeps what is not finished.
const WORK_FOLDER: &str = ".incdec-download";

impl Search<'_> {
    /// Looks into one file.
    pub(super) fn file(&mut self, place: Place, path: &Path) {
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let extension = path
            .extension()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let place = if path.iter().any(|part| part == WORK_FOLDER) {
            Place::Staging
        } else {
            place
        };
        let looked = match (place, extension.as_str()) {
            (_, "arrow") => self.shard(place, path).map_err(|e| e.to_string()),
            (_, "parquet") => self.table(place, path).map_err(|e| e.to_string()),
            (Place::Archives, "tar" | "gz" | "tgz") => {
                self.archive(path).map_err(|e| e.to_string())
            }
            (Place::Raw | Place::Staging | Place::FrameFolders, _) => {
                self.video(place, path, &name).map_err(|e| e.to_string())
            }
            _ => self.text(place, path).map_err(|e| e.to_string()),
        };
        if let Err(reason) = looked {
            self.unsearched(path, &reason);
        }
    }

    /// A file among the clips: a video by its name or, where content counts, by its bytes; else a
    /// text.
    fn video(&mut self, place: Place, path: &Path, name: &str) -> Result<(), ArtifactError> {
        let bytes = fs::metadata(path)
            .map_err(ArtifactError::at("look at", path))?
            .len();
        if let Some(id) = self.ids.of_name(name) {
            self.hold(place, path, &id, What::Video, bytes, Action::Erase, None);
            return Ok(());
        }
        if self.depth == Depth::Content {
            self.found.bytes_read += bytes;
            if let Some(clip) = self.erased.get(&hash_file(path)?).cloned() {
                self.hold(place, path, &clip, What::Copy, bytes, Action::ByHand, None);
                return Ok(());
            }
        }
        if clip_of_name(name).is_some() {
            return Ok(());
        }
        self.text(place, path)
    }

    /// The folder of frames that a file lies in, `id_<clip>` below `root`, where it lies in one.
    pub(super) fn frame_folder(&self, root: &Path, path: &Path) -> Option<PathBuf> {
        let mut folders = path
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != root);
        let is_one = |folder: &&Path| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("id_") && clip_of_name(&name).is_some()
        };
        folders.find(is_one).map(Path::to_owned)
    }

    /// A folder of frames.
    pub(super) fn frames(&mut self, place: Place, folder: &Path) {
        let name = folder
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let id = self.ids.of_name(&name);
        if id.is_none() && self.depth == Depth::Names {
            return;
        }
        let files = files_below(folder);
        let bytes: u64 = files
            .iter()
            .filter_map(|file| Some(file.metadata().ok()?.len()))
            .sum();
        if let Some(id) = id {
            let note = format!("{} files", files.len());
            self.hold(
                place,
                folder,
                &id,
                What::Frames,
                bytes,
                Action::Erase,
                Some(note),
            );
            return;
        }
        self.found.bytes_read += bytes;
        match folder_hash(folder) {
            Ok(hash) => {
                if let Some(clip) = self.erased.get(&hash).cloned() {
                    self.hold(
                        place,
                        folder,
                        &clip,
                        What::Copy,
                        bytes,
                        Action::ByHand,
                        None,
                    );
                }
            }
            Err(e) => self.unsearched(folder, &e.to_string()),
        }
    }

    /// An archive of clips, compressed or not, by the names of its members.
    fn archive(&mut self, path: &Path) -> Result<(), ArtifactError> {
        let read = ArtifactError::at("read", path);
        let mut found: Vec<(String, u64, String)> = Vec::new();
        let mut scan = || -> io::Result<()> {
            let mut head = [0; 2];
            let gzip = File::open(path)?.read_exact(&mut head).is_ok() && head == [0x1f, 0x8b];
            let bytes: Box<dyn Read> = if gzip {
                Box::new(MultiGzDecoder::new(File::open(path)?))
            } else {
                Box::new(File::open(path)?)
            };
            for entry in tar::Archive::new(bytes).entries()? {
                let entry = entry?;
                let name = entry.path()?.to_string_lossy().into_owned();
                let last = name.rsplit('/').next().unwrap_or_default();
                if let Some(id) = self.ids.of_name(last) {
                    found.push((id, entry.size(), printable(&name).into_owned()));
                }
            }
            Ok(())
        };
        scan().map_err(read)?;
        for (id, bytes, member) in found {
            self.hold(
                Place::Archives,
                path,
                &id,
                What::Member,
                bytes,
                Action::Erase,
                Some(member),
            );
        }
        Ok(())
    }

    /// Any other file: the names that stand in it.
    fn text(&mut self, place: Place, path: &Path) -> Result<(), ArtifactError> {
        let (ids, bytes) = names_within(path, self.ids).map_err(ArtifactError::at("read", path))?;
        self.found.bytes_read += bytes;
        if ids.is_empty() {
            return Ok(());
        }
        let (what, action) = match path.extension().and_then(|e| e.to_str()) {
            Some("html") => (What::Page, Action::Rebuild),
            // A record of what a download has finished; without it the archive is read again.
            Some("json") if place == Place::Staging => (What::Bytes, Action::Erase),
            Some("json") if is_record(path) => (What::Lines, Action::Rewrite),
            _ if has_text(path) => (What::Lines, Action::Rewrite),
            _ => (What::Bytes, Action::ByHand),
        };
        for id in ids {
            self.hold(place, path, &id, what, 0, action, None);
        }
        Ok(())
    }
}

/// The ids that stand in a file, and its size. It is read piece by piece.
fn names_within(path: &Path, ids: &Ids) -> io::Result<(BTreeSet<String>, u64)> {
    let mut file = File::open(path)?;
    let mut piece = Vec::with_capacity(PIECE_BYTES + MAX_ID_BYTES);
    let (mut found, mut total) = (BTreeSet::new(), 0);
    loop {
        // What an id at the end of the piece before may begin with.
        let kept = piece.len().min(MAX_ID_BYTES);
        piece.drain(..piece.len() - kept);
        let read = file
            .by_ref()
            .take(PIECE_BYTES as u64)
            .read_to_end(&mut piece)?;
        if read == 0 {
            return Ok((found, total));
        }
        total += read as u64;
        found.extend(ids.within(&piece));
    }
}

/// Whether a file is one of the documents of a run that name the clips that could not be read.
fn is_record(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    name == PROGRESS_FILE || name == RUN_FILE
}

/// Whether a file is one of lines of text that mean something each by itself.
pub(in crate::erase) fn has_text(path: &Path) -> bool {
    let extension = path.extension().and_then(|e| e.to_str());
    matches!(extension, Some("csv" | "jsonl" | "log" | "txt"))
}

/// The file without the lines that name one of the clips.
///
/// # Errors
/// When it cannot be read.
pub(in crate::erase) fn without_lines(path: &Path, ids: &Ids) -> Result<Vec<u8>, ArtifactError> {
    let bytes = fs::read(path).map_err(ArtifactError::at("read", path))?;
    let lines = bytes.split_inclusive(|&b| b == b'\n');
    let kept = lines.filter(|line| ids.within(line).is_empty());
    Ok(kept.flatten().copied().collect())
}

/// The files below a folder, sorted.
pub(in crate::erase) fn files_below(folder: &Path) -> Vec<PathBuf> {
    WalkDir::new(folder)
        .sort_by_file_name()
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .collect()
}

/// The BLAKE3 over the files of a folder in the order of their names.
///
/// # Errors
/// When one cannot be read.
pub(in crate::erase) fn folder_hash(folder: &Path) -> Result<String, ArtifactError> {
    let mut hasher = blake3::Hasher::new();
    for path in files_below(folder) {
        File::open(&path)
            .and_then(|file| hasher.update_reader(file).map(drop))
            .map_err(ArtifactError::at("read", &path))?;
    }
    Ok(hasher.finalize().to_hex().to_string())
}
