//! Why a download stopped.

use std::path::PathBuf;

use super::remote::RemoteError;
use crate::artifact::ArtifactError;
use crate::clip::ClipIdError;
use crate::hint::Hint;
use crate::labels::LabelsError;
use crate::table::TableError;

/// Why the download stage stopped.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DownloadError {
    /// A file could not be written or read.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The label tables are unusable.
    #[error(transparent)]
    Labels(#[from] LabelsError),
    /// The ledger is unusable.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The source refused or could not be reached.
    #[error(transparent)]
    Remote(#[from] RemoteError),
    /// A published clip id is none.
    #[error(transparent)]
    Clip(#[from] ClipIdError),
    /// `sources.toml` is not what it should be.
    #[error("{path}: {source}")]
    Sources {
        /// The file.
        path: PathBuf,
        /// What the TOML reader said.
        source: Box<toml::de::Error>,
    },
    /// No such dataset.
    #[error("dataset {name:?} is not in sources.toml; it has {known}")]
    Dataset {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The source's scheme is not known or not built in.
    #[error("source {source_text:?}: {reason}")]
    Source {
        /// What was given.
        source_text: String,
        /// Why it cannot be used.
        reason: String,
    },
    /// Requests were to be signed, and nothing to sign them with was given.
    #[error("--signed needs credentials for {scheme}://, and {variables} are not set")]
    Credentials {
        /// The object store's scheme.
        scheme: &'static str,
        /// The environment variables that hold them.
        variables: &'static str,
    },
    /// The proxy that the environment names is of no use.
    #[error("the proxy cannot be used: {reason}")]
    Proxy {
        /// Why not; without the proxy's URL, which may hold a password.
        reason: String,
    },
    /// A class was asked for that no label table has.
    #[error("class {class:?} is not in the label tables; they have {known}")]
    Class {
        /// The class.
        class: String,
        /// The classes there are, or the first of them.
        known: String,
    },
    /// A text from the source cannot be read.
    #[error("{what}: {reason}")]
    Text {
        /// Which text.
        what: String,
        /// Why not.
        reason: String,
    },
    /// A published file is not the pinned one.
    #[error("{url}: sha256 is {found}, expected {expected}")]
    Pinned {
        /// Where it came from.
        url: String,
        /// What it has.
        found: String,
        /// What sources.toml pins.
        expected: String,
    },
    /// Another process works on the same clips.
    #[error("{path} is in use by another incdec-download")]
    Busy {
        /// The folder of the clips.
        path: PathBuf,
    },
    /// Archives could not be fetched; what could is kept.
    #[error("{failed} of {archives} archives failed: {first}")]
    Archives {
        /// How many failed.
        failed: usize,
        /// How many were to be fetched.
        archives: usize,
        /// The first failure.
        first: String,
    },
    /// Too many clips are nowhere to be found.
    #[error("{missing} of {labelled} clips are missing, more than the share of {limit}")]
    Missing {
        /// Clips without a file.
        missing: usize,
        /// Clips asked for.
        labelled: usize,
        /// The allowed share.
        limit: f64,
    },
    /// Clips on disk are not what the ledger says.
    #[error("{damaged} clips are damaged or gone: {first}")]
    Damaged {
        /// How many.
        damaged: usize,
        /// The first of them.
        first: String,
    },
}

impl Hint for DownloadError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Artifact(e) => return e.hint(),
            Self::Labels(e) => return e.hint(),
            Self::Table(e) => return e.hint(),
            Self::Remote(e) => return e.hint(),
            Self::Clip(e) => return e.hint(),
            Self::Sources { .. } => "compare with kinetics_download/sources.toml in the repository",
            Self::Dataset { .. } => {
                "choose one of them with --dataset, or add yours to a copy of sources.toml and pass it with --sources"
            }
            Self::Source { .. } => {
                "give --source a folder, or a URL that begins with https://, http://, file://, s3://, gs:// or az://"
            }
            Self::Credentials { .. } => {
                "export them, or leave --signed out where the bucket is public"
            }
            Self::Proxy { .. } => {
                "HTTPS_PROXY and HTTP_PROXY take http:// and https:// URLs; NO_PROXY lists hosts that are reached directly"
            }
            Self::Class { .. } => {
                "write classes as the label tables do, in quotes where they have spaces"
            }
            Self::Text { .. } => {
                "check --source: does it point at the folder that holds train/ and annotations/?"
            }
            Self::Pinned { .. } => {
                "the file has changed at its origin; check it and pin it anew in sources.toml"
            }
            Self::Busy { .. } => "wait for the other one, or end it",
            Self::Archives { .. } => {
                "run the same command again: finished archives are kept, and downloads.parquet names the reasons; an archive that is damaged at its source counts as missing clips, which --max-missing allows"
            }
            Self::Missing { .. } => {
                "downloads.parquet names each with its reason; raise --max-missing to go on without them, or pass --frame-folders"
            }
            Self::Damaged { .. } => {
                "`incdec-download verify` without --dry-run fetches them again, as long as the label tables name them"
            }
        };
        Some(text.to_owned())
    }
}
