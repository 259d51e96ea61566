//! Where bytes come from: a trait with its two everyday implementations, HTTP(S) and local folders.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::DownloadError;
use crate::hint::Hint;

/// What is known of a remote file before it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its size in bytes, where told.
    pub bytes: Option<u64>,
    /// Its entity tag, quotes and all, where told.
    pub tag: Option<String>,
}

/// Which bytes are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span<'a> {
    /// The first byte.
    pub from: u64,
    /// The byte behind the last; the file's end where none.
    pub to: Option<u64>,
    /// Only if the file still has this tag; the whole file otherwise.
    pub if_tag: Option<&'a str>,
}

/// An answer that is being read.
pub struct Opened {
    /// The bytes.
    pub body: Box<dyn Read + Send>,
    /// The position of the first byte of `body`: 0 where the source ignores ranges.
    pub start: u64,
    /// Size and tag of the whole file.
    pub facts: Facts,
}

/// A source of files, named by their path below its base.
pub trait Remote: Send + Sync {
    /// Size and tag of a file.
    ///
    /// # Errors
    /// When the file is not there or the source cannot be reached.
    fn facts(&self, path: &str) -> Result<Facts, RemoteError>;

    /// Starts to read a file.
    ///
    /// # Errors
    /// When the file is not there, the source cannot be reached or answers against the protocol.
    fn open(&self, path: &str, span: Span<'_>) -> Result<Opened, RemoteError>;

    /// The archives below the base, where the source can list itself and has no index; `None` where it cannot.
    ///
    /// # Errors
    /// When listing fails.
    fn list(&self) -> Result<Option<Vec<String>>, RemoteError> {
        Ok(None)
    }
}

/// Why a source failed.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {kind}")]
pub struct RemoteError {
    /// Which file.
    pub url: String,
    /// What happened.
    pub kind: Fault,
}

/// What can happen on the way.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The server refused.
    #[error("the server answers {code}")]
    Status {
        /// The HTTP status.
        code: u16,
        /// How long the server asks to wait.
        retry_after: Option<Duration>,
    },
    /// The connection failed.
    #[error("{0}")]
    Connection(String),
    /// Nothing, or next to nothing, came for too long.
    #[error("stalled: fewer than {least_bytes} bytes in {seconds} s")]
    Stalled {
        /// Bytes that would have been enough.
        least_bytes: u64,
        /// The time they had.
        seconds: u64,
    },
    /// The connection ended early.
    #[error("the connection ended at byte {at} of {total}")]
    Ended {
        /// Bytes received.
        at: u64,
        /// Bytes announced.
        total: u64,
    },
    /// The file is not what it was when the download began.
    #[error("the file changed at the source: {was} became {is}")]
    Changed {
        /// Its tag or size at first.
        was: String,
        /// Its tag or size now.
        is: String,
    },
    /// The answer contradicts the request.
    #[error("the answer makes no sense: {0}")]
    Protocol(String),
    /// A local file failed.
    #[error("{0}")]
    Local(io::Error),
}

impl Fault {
    /// Whether trying again can help.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Status { code, .. } => matches!(code, 408 | 425 | 429 | 500 | 502 | 503 | 504),
            Self::Connection(_) | Self::Stalled { .. } | Self::Ended { .. } | Self::Protocol(_) => {
                true
            }
            Self::Changed { .. } | Self::Local(_) => false,
        }
    }
}

impl Hint for RemoteError {
    fn hint(&self) -> Option<String> {
        Some(
            match &self.kind {
                Fault::Status {
                    code: 401 | 403, ..
                } => "the source does not let everyone read this; check --source",
                Fault::Status {
                    code: 404 | 410, ..
                } => "check --source and --dataset: the file is not there",
                Fault::Local(_) => "check --source: the folder must hold what the official base holds",
                Fault::Changed { .. } => "run the same command again",
                _ => "check the network and proxies, and run the same command again: it goes on where it stopped",
            }
            .to_owned(),
        )
    }
}

/// A folder with the layout of the official base, or with archives alone.
#[derive(Debug)]
pub struct LocalFolder {
    root: PathBuf,
}

impl LocalFolder {
    /// The folder at `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
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
            url: self.root.join(path).display().to_string(),
            kind,
        }
    }

    /// Size and a tag of size and time: enough to notice a file that was replaced.
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
            if entry.file_type().is_file() && (name.ends_with(".tar.gz") || name.ends_with(".tgz"))
                && let Ok(below) = entry.path().strip_prefix(&self.root)
                // A name that is not UTF-8 cannot be in the ledger; the archives are named by number.
                && let Some(below) = below.to_str()
            {
                found.push(below.to_owned());
            }
        }
        Ok(Some(found))
    }
}

/// Settings of the connection.
#[derive(Clone, Debug)]
pub struct HttpConfig {
    /// Time without a byte, after which a connection counts as stalled. Default 30 s.
    pub stall: Duration,
}

impl Default for HttpConfig {
    fn default() -> Self {
        Self {
            stall: Duration::from_secs(30),
        }
    }
}

/// Opens `source`: a URL with one of the known schemes, or a folder.
///
/// # Errors
/// When the scheme is unknown or not built in, or the folder is none.
pub fn open(source: &str, config: &HttpConfig) -> Result<Box<dyn Remote>, DownloadError> {
    let refuse = |reason: &str| DownloadError::Source {
        source_text: source.to_owned(),
        reason: reason.to_owned(),
    };
    let base = source.trim_end_matches('/');
    match base.split_once("://") {
        Some(("http" | "https", _)) => Ok(Box::new(super::http::Http::new(base, config))),
        Some(("file", path)) => local(Path::new(path)).ok_or_else(|| refuse("is no folder")),
        #[cfg(feature = "object-store")]
        Some(("s3" | "gs" | "az", _)) => super::object::open(base, config),
        #[cfg(not(feature = "object-store"))]
        Some(("s3" | "gs" | "az", _)) => Err(refuse(
            "object stores need a build with `--features object-store`",
        )),
        Some((scheme, _)) => Err(refuse(&format!("{scheme}:// is not known"))),
        None => local(Path::new(source)).ok_or_else(|| refuse("is no folder")),
    }
}

fn local(path: &Path) -> Option<Box<dyn Remote>> {
    path.is_dir()
        .then(|| Box::new(LocalFolder::new(path)) as Box<dyn Remote>)
}
