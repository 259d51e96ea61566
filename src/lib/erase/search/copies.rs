//! The very bytes of what was erased under another name: as files, and as members of archives.

use std::io;
use std::path::Path;

use super::{Depth, Search};
use crate::artifact::hash_file;
use crate::download::archive::{member_contents, member_names};
use crate::erase::held::{Action, Place, What};
use crate::foreign::printable;

/// A member of an archive that is a clip's.
struct Member {
    clip_id: String,
    bytes: u64,
    name: String,
    /// Whether it is known by its bytes alone.
    is_copy: bool,
}

impl Search<'_> {
    /// Notes a file or folder with the hash of something that was erased. What is empty is a copy of
    /// nothing.
    pub(super) fn copy(
        &mut self,
        place: Place,
        path: &Path,
        bytes: u64,
        hash: &str,
        note: Option<String>,
    ) {
        if let Some(clip) = self.erased.get(hash).filter(|_| bytes > 0).cloned() {
            let (what, action) = (What::Copy, Action::ByHand);
            self.hold(place, path, &clip, what, bytes, action, note);
        }
    }

    /// Notes a file that is read for its bytes alone.
    pub(super) fn copied_file(&mut self, place: Place, path: &Path) {
        let read = hash_file(path).and_then(|hash| {
            let metadata = path.metadata();
            let bytes = metadata.map_err(crate::artifact::ArtifactError::at("look at", path))?;
            Ok((hash, bytes.len()))
        });
        match read {
            Ok((hash, bytes)) => self.copy(place, path, bytes, &hash, None),
            Err(e) => self.unsearched(path, &e.to_string()),
        }
    }

    /// An archive of clips by the names of its members and, where content counts, their bytes.
    pub(super) fn archive(&mut self, path: &Path) -> io::Result<()> {
        let mut found = Vec::new();
        let mut note = |name: &Path, bytes: u64, hash: Option<String>| {
            let by_name = self.of_member(name);
            let is_copy = by_name.is_none();
            let by_hash = || self.erased.get(&hash?).filter(|_| bytes > 0).cloned();
            if let Some(clip_id) = by_name.or_else(by_hash) {
                let name = printable(&name.to_string_lossy()).into_owned();
                found.push(Member {
                    clip_id,
                    bytes,
                    name,
                    is_copy,
                });
            }
        };
        let mut read = 0;
        if self.depth == Depth::Names {
            member_names(path, |name, bytes| note(name, bytes, None))?;
        } else {
            member_contents(path, |name, content| {
                let mut hasher = blake3::Hasher::new();
                hasher.update_reader(content)?;
                read += hasher.count();
                let hash = hasher.finalize().to_hex().to_string();
                note(name, hasher.count(), Some(hash));
                Ok(())
            })?;
        }
        self.found.bytes_read += read;
        for member in found {
            let (what, action) = if member.is_copy {
                (What::Copy, Action::ByHand)
            } else {
                (What::Member, Action::Erase)
            };
            let (id, bytes, name) = (member.clip_id, member.bytes, Some(member.name));
            self.hold(Place::Archives, path, &id, what, bytes, action, name);
        }
        Ok(())
    }
}
