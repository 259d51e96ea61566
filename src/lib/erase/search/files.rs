//! Files by their kind: shards, tables, archives, videos, pages and texts.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use walkdir::WalkDir;

use super::{Depth, Search};
use crate::artifact::{ArtifactError, hash_file};
use crate::clip::path::has_video_ending;
use crate::erase::held::{Action, Place, What};
use crate::erase::ids::{Ids, clip_of_name};
use crate::run_record::{PROGRESS_FILE, RUN_FILE, SETTINGS_FILE};

/// Bytes that are searched at a time.
const PIECE_BYTES: usize = 1 << 20;
/// The endings of archives; what is packed in a way that is not read cannot be searched.
const ARCHIVES: &[&str] = &[
    "7z", "bz2", "gz", "rar", "tar", "tbz2", "tgz", "txz", "tzst", "xz", "zip", "zst",
];
/// What stands for a character in the text of a page, and the most bytes of one.
const ENTITIES: [(&[u8], u8); 4] = [
    (b"&amp;", b'&'),
    (b"&gt;", b'>'),
    (b"&lt;", b'<'),
    (b"&quot;", b'"'),
];
const MAX_ENTITY_BYTES: usize = 6;
/// Folder below the clips where a download keeps what is not finished.
const WORK_FOLDER: &str = ".incdec-download";
/// Folder in a clip's folder of frames where the seed has them.
const FRAMES: &str = "jpgs";

impl Search<'_> {
    /// Looks into one file below the folder `root` of a place. Label tables and the list may name any
    /// clip.
    pub(super) fn file(&mut self, place: Place, root: &Path, path: &Path) {
        if self.tables.iter().any(|table| table == path) {
            return;
        }
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
            (Place::Archives, ending) if ARCHIVES.contains(&ending) => {
                self.archive(path).map_err(|e| e.to_string())
            }
            (Place::Raw | Place::Staging | Place::FrameFolders, _) => {
                self.video(place, root, path).map_err(|e| e.to_string())
            }
            (_, "safetensors") => self.weights(place, path).map_err(|e| e.to_string()),
            _ if has_video_ending(path) => self.video(place, root, path).map_err(|e| e.to_string()),
            _ => self.text(place, path).map_err(|e| e.to_string()),
        };
        if let Err(reason) = looked {
            self.unsearched(path, &reason);
        }
    }

    /// A file among the clips: a video by its name or, where content counts, by its bytes; else a
    /// text.
    fn video(&mut self, place: Place, root: &Path, path: &Path) -> Result<(), ArtifactError> {
        let bytes = fs::metadata(path)
            .map_err(ArtifactError::at("look at", path))?
            .len();
        let relative = path.strip_prefix(root).unwrap_or(path);
        if let Some(id) = self.ids.of_file(relative) {
            self.hold(place, path, &id, What::Video, bytes, Action::Erase, None);
            return Ok(());
        }
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if clip_of_name(&name).is_none() && !has_video_ending(path) {
            return self.text(place, path);
        }
        if self.depth == Depth::Content {
            self.found.bytes_read += bytes;
            self.copy(place, path, bytes, &hash_file(path)?, None);
        }
        Ok(())
    }

    /// The folder of frames below `root` that a file lies in, where it lies in one: it has the name of a clip, the frames lie in
    /// its folder `jpgs`, or it has the path of a clip that is looked for.
    pub(super) fn frame_folder(&self, place: Place, root: &Path, path: &Path) -> Option<PathBuf> {
        let mut folders = path
            .ancestors()
            .skip(1)
            .take_while(|folder| *folder != root);
        let are_frames = place == Place::FrameFolders;
        let is_named = |folder: &&Path| {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            (are_frames || name.starts_with("id_")) && clip_of_name(&name).is_some()
        };
        let named = folders.find(is_named).map(Path::to_owned);
        let of_path = || {
            let folder = path.parent()?;
            if folder.ends_with(FRAMES) {
                return folder.parent().filter(|folder| *folder != root);
            }
            let relative = folder.strip_prefix(root).ok()?;
            let id = self.ids.of_folder(relative).filter(|_| are_frames);
            id.map(|_| folder)
        };
        named.or_else(|| of_path().map(Path::to_owned))
    }

    /// A folder of frames.
    pub(super) fn frames(&mut self, place: Place, root: &Path, folder: &Path) {
        let id = self
            .ids
            .of_folder(folder.strip_prefix(root).unwrap_or(folder));
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
            Ok(hash) => self.copy(place, folder, bytes, &hash, None),
            Err(e) => self.unsearched(folder, &e.to_string()),
        }
        for file in files {
            self.copied_file(place, &file);
        }
    }

    /// The id of a member of an archive: a clip's path may stand behind any folders.
    pub(super) fn of_member(&self, path: &Path) -> Option<String> {
        let mut parts = path.components();
        loop {
            let id = self.ids.of_file(parts.as_path());
            if id.is_some() || parts.next().is_none() {
                return id;
            }
        }
    }

    /// Any other file: the names that stand in it and, where content counts, all of its bytes.
    pub(super) fn text(&mut self, place: Place, path: &Path) -> Result<(), ArtifactError> {
        let hasher = (self.depth == Depth::Content).then(blake3::Hasher::new);
        let read = read_through(path, self.ids, hasher).map_err(ArtifactError::at("read", path))?;
        self.found.bytes_read += read.bytes;
        if let Some(hash) = read.hash {
            self.copy(place, path, read.bytes, &hash, None);
        }
        if read.ids.is_empty() {
            return Ok(());
        }
        let (what, action) = match path.extension().and_then(|e| e.to_str()) {
            Some("html") => (What::Page, Action::Rebuild),
            // A record of what a download has finished; without it the archive is read again.
            Some("json") if place == Place::Staging => (What::Bytes, Action::Erase),
            Some("json") if is_record(path) => (What::Lines, Action::Rewrite),
            // What lies beside the data and the labels is a person's, but for logs.
            Some("csv" | "txt") if matches!(place, Place::Data | Place::Labels) => {
                (What::Lines, Action::ByHand)
            }
            _ if has_text(path) => (What::Lines, Action::Rewrite),
            _ => (What::Bytes, Action::ByHand),
        };
        for id in read.ids {
            self.hold(place, path, &id, what, 0, action, None);
        }
        Ok(())
    }
}

/// What reading a file has shown.
struct ReadThrough {
    /// The ids that stand in it.
    ids: BTreeSet<String>,
    /// Its size.
    bytes: u64,
    /// The BLAKE3 of all its bytes, where that was asked for.
    hash: Option<String>,
}

/// Reads a file piece by piece; a page holds ids as pages hold text.
fn read_through(
    path: &Path,
    ids: &Ids,
    mut hasher: Option<blake3::Hasher>,
) -> io::Result<ReadThrough> {
    let mut file = File::open(path)?;
    let is_page = path.extension().is_some_and(|ending| ending == "html");
    let overlap = ids.overlap_bytes() * if is_page { MAX_ENTITY_BYTES } else { 1 };
    let mut piece = Vec::with_capacity(PIECE_BYTES + overlap);
    let (mut found, mut bytes) = (BTreeSet::new(), 0);
    loop {
        // What an id at the end of the piece before may begin with.
        let kept = piece.len().min(overlap);
        piece.drain(..piece.len() - kept);
        let read = file
            .by_ref()
            .take(PIECE_BYTES as u64)
            .read_to_end(&mut piece)?;
        if let Some(hasher) = &mut hasher {
            hasher.update(&piece[kept..]);
        }
        let (is_first, is_last) = (bytes == 0, read < PIECE_BYTES);
        bytes += read as u64;
        found.extend(ids.within_piece(&piece, is_first, is_last));
        if is_page {
            found.extend(ids.within_piece(&without_entities(&piece), is_first, is_last));
        }
        if is_last {
            return Ok(ReadThrough {
                ids: found,
                bytes,
                hash: hasher.map(|hasher| hasher.finalize().to_hex().to_string()),
            });
        }
    }
}

/// The text of a piece of a page, each entity as the character that it stands for.
fn without_entities(piece: &[u8]) -> Vec<u8> {
    let mut text = Vec::with_capacity(piece.len());
    let mut rest = piece;
    while let Some(&byte) = rest.first() {
        let entity = ENTITIES
            .iter()
            .find(|(entity, _)| byte == b'&' && rest.starts_with(entity));
        let (byte, length) = entity.map_or((byte, 1), |&(entity, of)| (of, entity.len()));
        text.push(byte);
        rest = &rest[length..];
    }
    text
}

/// Whether a file is one of the documents of a run that name the clips that could not be read.
fn is_record(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_of_run = path.with_file_name(SETTINGS_FILE).exists();
    is_of_run && (name == PROGRESS_FILE || name == RUN_FILE)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_found_in_a_page_as_pages_hold_text_also_where_two_pieces_meet() {
        let id = "R&D <3/\"a\" &amp; b";
        let ids = Ids::new([id.to_owned()].into());
        let escaped = "R&amp;D &lt;3/&quot;a&quot; &amp;amp; b";
        let folder = tempfile::tempdir().unwrap();
        for before in [0, PIECE_BYTES - 1, PIECE_BYTES - 20, PIECE_BYTES - 70] {
            let text = format!("{}\"{escaped}\">", "x".repeat(before));
            let [page, other] = ["a.html", "a.svg"].map(|name| folder.path().join(name));
            fs::write(&page, &text).unwrap();
            fs::write(&other, &text).unwrap();
            let found = read_through(&page, &ids, None).unwrap();
            assert_eq!(found.ids, [id.to_owned()].into());
            assert_eq!(found.bytes, text.len() as u64);
            assert!(read_through(&other, &ids, None).unwrap().ids.is_empty());
        }
    }
}
