//! Why the toy source could not be made or served.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::lock::LockError;
use crate::media::encode::EncodeError;
use crate::taxonomy::TaxonomyError;

/// Why the toy source could not be made or served.
#[derive(Debug, thiserror::Error)]
pub enum ToyError {
    /// A file could not be written or read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The folder cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A clip could not be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The taxonomy within this program is unusable.
    #[error(transparent)]
    Taxonomy(#[from] TaxonomyError),
    /// A setting is out of its range.
    #[error("{name} is {value}; it must be {expected}")]
    Setting {
        /// The setting's flag.
        name: &'static str,
        /// What was given.
        value: String,
        /// What is possible.
        expected: &'static str,
    },
    /// The folder holds something else already.
    #[error("{path} is not empty and holds no toy source")]
    Occupied {
        /// The folder.
        path: PathBuf,
    },
    /// A file was removed while the others were written.
    #[error("{path} was written and is gone")]
    Gone {
        /// The file.
        path: PathBuf,
    },
    /// The server could not start.
    #[error("serve on port {port}: {message}")]
    Serve {
        /// The port.
        port: u16,
        /// What the system said.
        message: String,
    },
    /// A server does not answer at its address, or another one does.
    #[error("{url}: {message}: this is not the server that was started")]
    Stranger {
        /// The address.
        url: String,
        /// What is wrong.
        message: String,
    },
    /// There is nothing to serve.
    #[error("{path} is no folder")]
    NoFolder {
        /// The path.
        path: PathBuf,
    },
}

impl Hint for ToyError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Encode(e) => e.hint(),
            Self::Taxonomy(e) => e.hint(),
            Self::Setting { name, .. } => Some(format!("choose another {name}")),
            Self::Gone { .. } => Some("run it again, and leave its folder alone meanwhile".into()),
            Self::Occupied { .. } => Some("choose an empty or a new folder with --out".into()),
            Self::Serve { .. } => Some("choose another --port, or 0 for any free one".into()),
            Self::Stranger { .. } => Some("start the server on another --port".into()),
            Self::NoFolder { .. } => Some("write one first: `incdec-toy write --out DIR`".into()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Encode(e) => e.exit(),
            Self::Taxonomy(e) => e.exit(),
            _ => Exit::Failed,
        }
    }
}
