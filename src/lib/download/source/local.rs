//! A folder as a source: a copy of the official base, or archives alone, or unpacked clips.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};

use super::unpacked::{FolderTar, is_clip};
use crate::store::{Facts, Fault, Opened, Remote, RemoteError, Span, unescaped};

/// A folder with the layout of the official base, or with archives or clips alone.
#[derive(Debug)]
pub(crate) struct LocalFolder {
    root: PathBuf,
}

impl LocalFolder {
    /// The folder at `root`.
    pub(crate) fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    fn fault(&self, path: &str, error: io::Error) -> RemoteError {
        let kind = match error.kind() {
            io::ErrorKind::NotFound => Fault::Status {
                code: 404,
                retry_after: None,
            },
            _ => Fault::Local(error),
        };
        RemoteError {
            url: self.root.join(path).display().to_string().into(),
            kind,
        }
    }

    /// Where the file of a path lies. Paths of an index are those of URLs: what a URL cannot hold is
    /// escaped in them, and not in the names of a folder's files.
    fn locate(&self, path: &str) -> PathBuf {
        let literal = self.root.join(path);
        match unescaped(path) {
            Some(name) if !literal.exists() => {
                let leads_out = Path::new(&name)
                    .components()
                    .any(|part| !matches!(part, Component::Normal(_) | Component::CurDir));
                if leads_out {
                    literal
                } else {
                    self.root.join(name)
                }
            }
            _ => literal,
        }
    }

    /// The file and its size, or the folder of clips. No tag: times would make the ledger depend on
    /// the day of the copy.
    fn open_file(&self, path: &str) -> io::Result<(Found, Facts)> {
        let place = self.locate(path);
        let facts = |bytes| Facts {
            bytes: Some(bytes),
            ..Facts::default()
        };
        let metadata = place.metadata()?;
        if metadata.is_dir() {
            let class = place.file_name().and_then(|name| name.to_str());
            let tar = FolderTar::open(&place, class.filter(|_| place != self.root.join(".")))?;
            let facts = facts(tar.size_bytes());
            return Ok((Found::Folder(tar), facts));
        }
        Ok((Found::File(File::open(&place)?), facts(metadata.len())))
    }
}

/// What lies at a path.
enum Found {
    File(File),
    Folder(FolderTar),
}

impl Remote for LocalFolder {
    fn facts(&self, path: &str) -> Result<Facts, RemoteError> {
        self.open_file(path)
            .map(|(_, facts)| facts)
            .map_err(|e| self.fault(path, e))
    }

    fn open(&self, path: &str, span: Span<'_>) -> Result<Opened, RemoteError> {
        let fault = |e| self.fault(path, e);
        let (found, facts) = self.open_file(path).map_err(fault)?;
        let from_there: Box<dyn Read + Send> = match found {
            Found::File(mut file) => {
                file.seek(SeekFrom::Start(span.from)).map_err(fault)?;
                Box::new(file)
            }
            Found::Folder(mut tar) => {
                io::copy(&mut (&mut tar).take(span.from), &mut io::sink()).map_err(fault)?;
                Box::new(tar)
            }
        };
        let body: Box<dyn Read + Send> = match span.to {
            Some(to) => Box::new(from_there.take(to.saturating_sub(span.from))),
            None => from_there,
        };
        Ok(Opened {
            body,
            start: span.from,
            facts,
        })
    }

    fn content_hash(&self, path: &str) -> Option<String> {
        let mut hasher = blake3::Hasher::new();
        match self.open_file(path).ok()?.0 {
            Found::File(file) => hasher.update_reader(file),
            Found::Folder(tar) => hasher.update_reader(tar),
        }
        .ok()?;
        Some(hasher.finalize().to_hex().to_string())
    }

    fn list(&self, wanted: &dyn Fn(&str) -> bool) -> Result<Option<Vec<String>>, RemoteError> {
        let mut found = BTreeSet::new();
        // Many keep their data behind links. Hidden folders are some program's own: a download's
        // staging, a desktop's bin.
        let walk = walkdir::WalkDir::new(&self.root)
            .follow_links(true)
            .sort_by_file_name()
            .into_iter()
            .filter_entry(|entry| entry.depth() == 0 || !is_hidden(entry.file_name()));
        for entry in walk {
            let entry = match entry {
                Ok(entry) => entry,
                Err(e) if e.depth() == 0 => return Err(self.fault("", e.into())),
                Err(e) => {
                    tracing::warn!("passed over in the source: {e}");
                    continue;
                }
            };
            let name = entry.file_name().to_string_lossy();
            let below = entry.path().strip_prefix(&self.root);
            // A name that is not UTF-8 cannot be in the ledger; the archives are named by number.
            let Some(below) = below.ok().and_then(|below| below.to_str()) else {
                continue;
            };
            if !entry.file_type().is_file() {
                continue;
            }
            if wanted(&name) {
                found.insert(below.to_owned());
            } else if is_clip(&name) {
                let folder = below.rsplit_once('/').map_or(".", |(folder, _)| folder);
                found.insert(folder.to_owned());
            }
        }
        Ok(Some(found.into_iter().collect()))
    }
}

fn is_hidden(name: &OsStr) -> bool {
    name.as_encoded_bytes().starts_with(b".")
}
