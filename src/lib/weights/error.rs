//! Why weights could not be fetched.

use std::path::PathBuf;

use super::published::PUBLISHED;
use crate::artifact::ArtifactError;
use crate::choice::did_you_mean;
use crate::download::DownloadError;
use crate::download::source::RemoteError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::lock::LockError;

/// Why weights could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// No weights have this name.
    #[error("no published weights are called {name:?}: expected one of {}{}", PUBLISHED.map(|p| p.name).join(", "), did_you_mean(name, PUBLISHED.map(|p| p.name)))]
    Name {
        /// What was asked for.
        name: String,
    },
    /// Another program fetches into the folder.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The source makes no sense.
    #[error(transparent)]
    Source(#[from] DownloadError),
    /// The source cannot be reached, or breaks off.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// The disk refuses.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// What came is not what was published.
    #[error(
        "{url} gives a file of git's id {found}, but {expected} was published; nothing of it was kept"
    )]
    Content {
        /// Where it came from.
        url: String,
        /// The id of what came.
        found: String,
        /// The id of what was published.
        expected: &'static str,
    },
    /// Something else lies where the weights are to go.
    #[error("{path} is another file than the published one: its git id is {found}, not {expected}")]
    Occupied {
        /// The file.
        path: PathBuf,
        /// Its id.
        found: String,
        /// The id of what was published.
        expected: &'static str,
    },
}

impl Hint for WeightsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Name { .. } => Some("`incdec-weights list` says what each is".into()),
            Self::Lock(e) => e.hint(),
            Self::Source(e) => e.hint(),
            Self::Remote(e) => e.hint(),
            Self::Artifact(e) => e.hint(),
            Self::Content { .. } => {
                Some("check --source; a proxy that answers with a page of its own gives other bytes, too".into())
            }
            Self::Occupied { .. } => Some("name another place with --out, or move that file away".into()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Name { .. } => Exit::Usage,
            Self::Lock(e) => e.exit(),
            Self::Source(e) => e.exit(),
            Self::Remote(e) => e.exit(),
            Self::Artifact(e) => e.exit(),
            Self::Content { .. } | Self::Occupied { .. } => Exit::Failed,
        }
    }
}
