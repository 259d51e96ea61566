//! Why a table could not be written or read.

use std::path::PathBuf;

use arrow::error::ArrowError;
use parquet::errors::ParquetError;

use super::Format;
use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::hint::Hint;

/// Why a table could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The file could not be published or opened.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The file is not Parquet, or is damaged.
    #[error("{path}: {source}")]
    Parquet {
        /// The table's file.
        path: PathBuf,
        /// What the Parquet library said.
        source: ParquetError,
    },
    /// The file's columns cannot be read.
    #[error("{path}: {source}")]
    Arrow {
        /// The table's file.
        path: PathBuf,
        /// What the Arrow library said.
        source: ArrowError,
    },
    /// Rows and columns do not fit each other.
    #[error("{path}: {source}")]
    Rows {
        /// The table's file.
        path: PathBuf,
        /// What the conversion said.
        source: Box<serde_arrow::Error>,
    },
    /// The file is something else.
    #[error("{path} is not a {} file{}", expected.name, if found.is_empty() { String::new() } else { format!(" but a {found} file") })]
    Format {
        /// The table's file.
        path: PathBuf,
        /// What was asked for.
        expected: Format,
        /// What the file says it is; empty where it says nothing.
        found: String,
    },
    /// The file was written by a version of this program that lays it out otherwise.
    #[error("{path}: format {} version {found}, this program reads version {}", expected.name, expected.version)]
    Version {
        /// The table's file.
        path: PathBuf,
        /// What this program reads.
        expected: Format,
        /// What the file has.
        found: u32,
    },
    /// The metadata that this program wrote are no longer JSON.
    #[error("{path}: metadata: {source}")]
    Metadata {
        /// The table's file.
        path: PathBuf,
        /// What the JSON reader said.
        source: serde_json::Error,
    },
    /// The content is not what was written: its hash is another one.
    #[error(
        "{path}: its {what} are not those that were written (another hash): the file was damaged or edited"
    )]
    Changed {
        /// The table's file.
        path: PathBuf,
        /// What has changed: `rows` or `metadata`.
        what: &'static str,
        /// What the file is.
        expected: Format,
    },
    /// Another program has written the file, and a column holds what it cannot hold.
    #[error("{path}: column {column}: {what}")]
    Foreign {
        /// The table's file.
        path: PathBuf,
        /// The column.
        column: String,
        /// What it holds.
        what: String,
    },
    /// A column that the reader needs is absent.
    #[error("{path}: column {column} is missing")]
    Column {
        /// The table's file.
        path: PathBuf,
        /// The missing column.
        column: String,
    },
}

impl Hint for TableError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(e) => e.hint(),
            Self::Version { expected, .. } | Self::Format { expected, .. } => {
                Some(format!("write it anew with `{}`", expected.rebuild))
            }
            Self::Changed { expected, .. } => Some(format!(
                "remove it and write it anew with `{}`, or bring back a copy of it",
                expected.rebuild
            )),
            Self::Parquet { .. } | Self::Arrow { .. } | Self::Metadata { .. } => Some(
                "bring back a copy of it, or remove it and run the stage again that writes it"
                    .into(),
            ),
            _ => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(e) => e.exit(),
            _ => Exit::Failed,
        }
    }
}
