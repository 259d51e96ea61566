//! Why a download stopped.

use std::path::PathBuf;

use super::labels::first_clips::TablesError;
use super::source::{Link, RemoteError, fault_in, sentence};
use crate::artifact::ArtifactError;
use crate::clip::ClipIdError;
use crate::exit::Exit;
use crate::hint::Hint;
use crate::labels::LabelsError;
use crate::lock::LockError;
use crate::named_csv::NamedCsvError;
use crate::parquet_file::TableError;
use crate::part::PartsError;

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
    /// Another program works on the same ledger or clips.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A part cannot begin, or the parts cannot be merged.
    #[error(transparent)]
    Parts(#[from] PartsError),
    /// A published clip id is none.
    #[error(transparent)]
    Clip(#[from] ClipIdError),
    /// `sources.toml` is not what it should be.
    #[error("{path}, line {line}: {reason}")]
    Sources {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What the TOML reader said.
        reason: String,
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
    #[error("source {source_text}: {reason}")]
    Source {
        /// What was given.
        source_text: Link,
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
    #[error("{what}: {}", sentence(reason))]
    Text {
        /// Which text.
        what: String,
        /// Why not.
        reason: String,
    },
    /// A line of an archive index leads where no archive of the source can be.
    #[error("{index}, line {line}: {link} is refused: {reason}")]
    Index {
        /// The index, below the source.
        index: String,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        link: Link,
        /// Why it is refused.
        reason: &'static str,
    },
    /// A row of the ledger names a clip that could lie elsewhere than in its folder.
    #[error("{path}: a row names {name:?}, which is no clip in a folder of its subcategory")]
    LedgerRow {
        /// The ledger.
        path: PathBuf,
        /// Subcategory and clip.
        name: String,
    },
    /// Tables would be replaced that nobody published: somebody's own.
    #[error(
        "{} would be replaced, and what is there is nothing that was published",
        listed(paths)
    )]
    OwnTables {
        /// The tables.
        paths: Vec<PathBuf>,
    },
    /// Classes of the taxonomy would get no rows.
    #[error(transparent)]
    NoClips(TablesError),
    /// The folder that says which clips exist holds none.
    #[error(
        "{folder} holds no clips: no video is called <youtube id>_<start>_<end> there, six digits each"
    )]
    NothingExists {
        /// The folder.
        folder: PathBuf,
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
    /// Archives could not be fetched; what could is kept.
    #[error("{failed} of {archives} archives failed: {first}")]
    Archives {
        /// How many failed.
        failed: usize,
        /// How many were to be fetched.
        archives: usize,
        /// The first failure.
        first: String,
        /// What another try may come to.
        exit: Exit,
    },
    /// Clips that were on disk disappeared while this ran.
    #[error("{removed} clips were removed while this ran: {first} is gone")]
    Removed {
        /// How many.
        removed: usize,
        /// The first of them.
        first: PathBuf,
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

fn listed(paths: &[PathBuf]) -> String {
    let paths: Vec<_> = paths.iter().map(|p| p.display().to_string()).collect();
    paths.join(", ")
}

impl From<NamedCsvError> for DownloadError {
    /// Errors of a table that comes from the source: the network's own, or the text's.
    fn from(error: NamedCsvError) -> Self {
        let reason = error.to_string();
        if let NamedCsvError::Read { source, .. } = error
            && let csv::ErrorKind::Io(error) = source.into_kind()
            && let Ok(remote) = fault_in(error)
        {
            return remote.into();
        }
        Self::Text {
            what: "the annotations".into(),
            reason,
        }
    }
}

impl From<TablesError> for DownloadError {
    fn from(error: TablesError) -> Self {
        match error {
            TablesError::Csv(error) => error.into(),
            TablesError::NoClips { .. } => Self::NoClips(error),
        }
    }
}

impl Hint for DownloadError {
    fn hint(&self) -> Option<String> {
        let text = match self {
            Self::Artifact(e) => return e.hint(),
            Self::Labels(e) => return e.hint(),
            Self::Table(e @ (TableError::Artifact(_) | TableError::Version { .. })) => {
                return e.hint();
            }
            Self::Table(_) | Self::LedgerRow { .. } => {
                "bring back a copy of the ledger; or move it away and run the same command again: the clips that lie in --out are then hashed and kept, and none of them is fetched again"
            }
            Self::Lock(e) => return e.hint(),
            Self::Parts(e) => return e.hint(),
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
            Self::Index { .. } => {
                "nothing was fetched; ask whoever keeps the source, or correct the index in a copy of it and name that with --source"
            }
            Self::NoClips(_) => {
                "correct the names of these classes in the --taxonomy or take them out of it; with --existing, only clips of that folder count"
            }
            Self::NothingExists { .. } => "check --existing: it names the folder of the clips",
            Self::OwnTables { .. } => {
                "choose another folder with --out, or replace what is there with --force"
            }
            Self::Archives {
                exit: Exit::TryAgain,
                ..
            } => {
                "run the same command again: finished archives are kept, and downloads.parquet names the reasons"
            }
            Self::Archives {
                exit: Exit::Hopeless,
                ..
            } => {
                "downloads.parquet names the reasons; an archive that is absent or damaged at its source counts as missing clips, of which --max-missing allows a share"
            }
            Self::Archives { .. } => {
                "check --source, and --signed where the source is not public, then run the same command again: finished archives are kept, and downloads.parquet names the reasons"
            }
            Self::Removed { .. } => {
                "let nothing else change the folder meanwhile, and run the same command again: it fetches what is gone"
            }
            Self::Missing { .. } => {
                "downloads.parquet names each with its reason; name another --source that may have them, put them into --out yourself, or read the archives once more with --again; raise --max-missing to go on without them, or pass --frame-folders"
            }
            Self::Damaged { .. } => {
                "`incdec-download verify` without --dry-run fetches them again, as long as the label tables name them"
            }
        };
        Some(text.to_owned())
    }
    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(e) => e.exit(),
            Self::Labels(e) => e.exit(),
            Self::Table(e) => e.exit(),
            Self::Remote(e) => e.exit(),
            Self::Clip(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            Self::Parts(e) => e.exit(),
            Self::Archives { exit, .. } => *exit,
            Self::Text { .. } | Self::Index { .. } | Self::Missing { .. } => Exit::Hopeless,
            _ => Exit::Failed,
        }
    }
}
