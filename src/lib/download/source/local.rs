//! A folder as a source: a copy of the official base, or archives alone.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::remote::{Facts, Fault, Opened, Remote, RemoteError, Span, is_archive};

/// A folder with the layout of the official base, or with archives alone.
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

    /// The file and its size. No tag: times would make the ledger depend on the day of the copy.
    fn open_file(&self, path: &str) -> io::Result<(File, Facts)> {
        let file = File::open(self.root.join(path))?;
        let metadata = file.metadata()?;
        Ok((
            file,
            Facts {
                bytes: Some(metadata.len()),
                tag: None,
            },
        ))
    }
}

impl Remote for LocalFolder {
    fn facts(&self, path: &str) -> Result<Facts, RemoteError> {
        self.open_file(path)
            .map(|(_, facts)| facts)
            .map_err(|e| self.fault(path, e))
    }

    fn open(&self, path: &str, span: Span<'_>) -> Result<Opened, RemoteError> {
        let (mut file, facts) = self.open_file(path).map_err(|e| self.fault(path, e))?;
        file.seek(SeekFrom::Start(span.from))
            .map_err(|e| self.fault(path, e))?;
        let body: Box<dyn Read + Send> = match span.to {
            Some(to) => Box::new(file.take(to.saturating_sub(span.from))),
            None => Box::new(file),
        };
        Ok(Opened {
            body,
            start: span.from,
            facts,
        })
    }

    fn list(&self) -> Result<Option<Vec<String>>, RemoteError> {
        let mut found = Vec::new();
        for entry in walkdir::WalkDir::new(&self.root).sort_by_file_name() {
            let entry = entry.map_err(|e| self.fault("", e.into()))?;
            let name = entry.file_name().to_string_lossy();
            if entry.file_type().is_file() && is_archive(&name)
                && let Ok(below) = entry.path().strip_prefix(&self.root)
                // A name that is not UTF-8 cannot be in the ledger; the archives are named by
                // number.
                && let Some(below) = below.to_str()
            {
                found.push(below.to_owned());
            }
        }
        Ok(Some(found))
    }
}
