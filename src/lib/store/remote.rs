//! Where bytes come from: a trait, for HTTP and for folders, and what can go wrong on the way.

use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use super::secret::{Link, sentence};
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;

/// What is known of a remote file before it is read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Its size in bytes, where known.
    pub bytes: Option<u64>,
    /// Its entity tag, with its quotes, where known.
    pub tag: Option<String>,
    /// Whether the source says that it keeps what is replaced or removed as older versions.
    pub keeps_versions: bool,
}

/// Which bytes are wanted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span<'a> {
    /// The first byte.
    pub from: u64,
    /// The byte after the last; the file's end where none.
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

    /// Makes a file of the bytes of the local file `from`, where there is none at `path`; says whether
    /// it did.
    ///
    /// # Errors
    /// When the source refuses or cannot be reached, or cannot be written to at all.
    fn create(&self, path: &str, _from: &Path) -> Result<bool, RemoteError> {
        Err(read_only(path))
    }

    /// Makes a file of the bytes of the local file `from`, in place of one that may be at `path`.
    ///
    /// # Errors
    /// As [`Remote::create`].
    fn replace(&self, path: &str, _from: &Path) -> Result<(), RemoteError> {
        Err(read_only(path))
    }

    /// Removes a file; one that is not there is removed already.
    ///
    /// # Errors
    /// As [`Remote::create`].
    fn remove(&self, path: &str) -> Result<(), RemoteError> {
        Err(read_only(path))
    }

    /// The BLAKE3 hash of a file's content, where the source can tell without sending it and has no
    /// entity tags.
    fn content_hash(&self, _path: &str) -> Option<String> {
        None
    }

    /// The files below the base whose path is `wanted`, sorted, where the source can list itself;
    /// `None` where it cannot.
    ///
    /// # Errors
    /// When listing fails.
    fn list(&self, _wanted: &dyn Fn(&str) -> bool) -> Result<Option<Vec<String>>, RemoteError> {
        Ok(None)
    }
}

/// Of a source that is only read.
fn read_only(path: &str) -> RemoteError {
    RemoteError {
        url: path.into(),
        kind: Fault::Local(io::ErrorKind::Unsupported.into()),
    }
}

/// Why a source failed.
#[derive(Debug, thiserror::Error)]
#[error("{url}: {kind}")]
pub struct RemoteError {
    /// Which file.
    pub url: Link,
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
    #[error("{}", sentence(.0))]
    Connection(String),
    /// The server is not who it claims to be, as far as this system can tell.
    #[error("the server's certificate is not to be trusted: {}", sentence(.0))]
    Certificate(String),
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
    #[error("the file changed at the source: {} became {}", printable(.was), printable(.is))]
    Changed {
        /// Its tag or size at first.
        was: String,
        /// Its tag or size now.
        is: String,
    },
    /// The answer contradicts the request.
    #[error("the answer makes no sense: {}", sentence(.0))]
    Protocol(String),
    /// The file is larger than such a file may be.
    #[error("larger than the {limit_bytes} bytes that such a file may have")]
    TooLarge {
        /// The limit.
        limit_bytes: u64,
    },
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
            Self::Certificate(_)
            | Self::Changed { .. }
            | Self::TooLarge { .. }
            | Self::Local(_) => false,
        }
    }

    /// Whether the source says that it does not have the file.
    #[must_use]
    pub fn is_absence(&self) -> bool {
        matches!(
            self,
            Self::Status {
                code: 404 | 410,
                ..
            }
        )
    }
}

impl Hint for RemoteError {
    fn hint(&self) -> Option<String> {
        Some(
            match &self.kind {
                Fault::Status {
                    code: 401 | 403, ..
                } => "the source does not let everyone read this; check --source, or ask with credentials of yours: --signed",
                Fault::Status {
                    code: 301 | 307 | 400, ..
                } => "where this is a bucket, name its region with --region",
                Fault::Certificate(_) => {
                    "add the certificate of the server's authority to the system's, or name a file that holds it in SSL_CERT_FILE"
                }
                Fault::Status {
                    code: 404 | 410, ..
                } => "check --source and --dataset: the file is not there",
                Fault::Local(_) => "check --source: the folder must hold what the official base holds",
                Fault::Changed { .. } => "run the same command again",
                Fault::TooLarge { .. } => {
                    "check --source and --dataset: does it point at the folder that holds train/ and annotations/?"
                }
                _ => "check the network and proxies, and run the same command again: it goes on where it stopped",
            }
            .to_owned(),
        )
    }

    fn exit(&self) -> Exit {
        match &self.kind {
            Fault::Changed { .. } => Exit::TryAgain,
            kind if kind.is_transient() => Exit::TryAgain,
            _ => Exit::Failed,
        }
    }
}

/// The network's part in an I/O error that came out of a stream; anything else is handed back.
///
/// # Errors
/// The error itself where the stream did not cause it.
pub(crate) fn fault_in(error: io::Error) -> Result<RemoteError, io::Error> {
    error.downcast::<RemoteError>()
}

#[cfg(test)]
mod tests {
    use super::*;

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
