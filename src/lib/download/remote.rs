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
        Some((scheme @ ("s3" | "gs" | "az"), rest)) => match public_url(scheme, rest) {
            Some(url) => Ok(Box::new(super::http::Http::new(&url, config))),
            None => Err(refuse(
                "needs a bucket, and az:// an account and a container",
            )),
        },
        Some((scheme, _)) => Err(refuse(&format!("{scheme}:// is not known"))),
        None => local(Path::new(source)).ok_or_else(|| refuse("is no folder")),
    }
}

/// Where an object store offers a public bucket to everyone over HTTPS, unsigned, with ranges and entity tags.
///
/// `s3://bucket/prefix`, `gs://bucket/prefix`, `az://account/container/prefix`.
fn public_url(scheme: &str, rest: &str) -> Option<String> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    let slash = if prefix.is_empty() { "" } else { "/" };
    if bucket.is_empty() {
        return None;
    }
    match scheme {
        // A dot in the bucket's name would not fit the certificate, so such buckets are named in the path.
        "s3" if bucket.contains('.') => {
            Some(format!("https://s3.amazonaws.com/{bucket}{slash}{prefix}"))
        }
        "s3" => Some(format!("https://{bucket}.s3.amazonaws.com{slash}{prefix}")),
        "gs" => Some(format!(
            "https://storage.googleapis.com/{bucket}{slash}{prefix}"
        )),
        "az" if !prefix.is_empty() => {
            Some(format!("https://{bucket}.blob.core.windows.net/{prefix}"))
        }
        _ => None,
    }
}

fn local(path: &Path) -> Option<Box<dyn Remote>> {
    path.is_dir()
        .then(|| Box::new(LocalFolder::new(path)) as Box<dyn Remote>)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn public_buckets_are_read_over_https() {
        let url = |source: &str| {
            let (scheme, rest) = source.split_once("://").unwrap();
            public_url(scheme, rest)
        };
        for (source, expected) in [
            (
                "s3://kinetics/700_2020",
                "https://kinetics.s3.amazonaws.com/700_2020",
            ),
            ("s3://a.b/c", "https://s3.amazonaws.com/a.b/c"),
            ("gs://bucket", "https://storage.googleapis.com/bucket"),
            (
                "az://account/box/x",
                "https://account.blob.core.windows.net/box/x",
            ),
        ] {
            assert_eq!(url(source).as_deref(), Some(expected));
        }
        assert_eq!(url("az://account"), None);
        assert_eq!(url("s3://"), None);
    }

    #[test]
    fn only_what_may_pass_is_worth_another_try() {
        let status = |code| Fault::Status {
            code,
            retry_after: None,
        };
        assert!(
            [408, 429, 500, 502, 503, 504]
                .map(status)
                .iter()
                .all(Fault::is_transient)
        );
        assert!(
            ![400, 401, 403, 404, 410]
                .map(status)
                .iter()
                .any(Fault::is_transient)
        );
        let error = RemoteError {
            url: "http://x/a".into(),
            kind: status(404),
        };
        assert!(error.hint().unwrap().contains("--source"));
    }
}
