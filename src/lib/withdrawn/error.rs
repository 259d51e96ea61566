//! Why a list of withdrawn clips was refused.

use std::path::PathBuf;

use super::COLUMNS;
use crate::artifact::ArtifactError;
use crate::clip::ClipIdError;
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;
use crate::named_csv::NamedCsvError;

/// Why a list was refused, or not written.
#[derive(Debug, thiserror::Error)]
pub enum WithdrawnError {
    /// The list cannot be read as CSV, or a needed column is missing.
    #[error(transparent)]
    Csv(#[from] NamedCsvError),
    /// The list cannot be read or published.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// There is a column that no list has.
    #[error("{path}: column {} is none of {}", printable(column), COLUMNS.join(", "))]
    UnknownColumn {
        /// The list.
        path: PathBuf,
        /// The column.
        column: String,
    },
    /// A line names no clip.
    #[error("{path}, line {line}: {source}")]
    Clip {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why not.
        source: ClipIdError,
    },
    /// A line's day is none.
    #[error(
        "{path}, line {line}: withdrawn_on is \"{}\", not a day as in 2026-03-31",
        printable(value)
    )]
    Day {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        value: String,
    },
    /// A line names no request.
    #[error("{path}, line {line}: clip {clip} has no request")]
    NoRequest {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The clip.
        clip: String,
    },
    /// A clip stands in the list twice.
    #[error("{path}, line {line}: clip {clip} is already in line {first_line}")]
    Duplicate {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The line of its first occurrence, from 1.
        first_line: usize,
        /// The clip.
        clip: String,
    },
    /// A line cannot be written as CSV.
    #[error("{path}: {source}")]
    Write {
        /// The list.
        path: PathBuf,
        /// What the CSV writer said.
        source: csv::Error,
    },
}

impl Hint for WithdrawnError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(e) => e.hint(),
            Self::Duplicate { .. } => {
                Some("a clip is withdrawn once; drop one of the two lines".into())
            }
            _ => Some(
                "a list of withdrawn clips is a CSV with the columns clip_id, withdrawn_on, request and (optional) reason"
                    .into(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(e) => e.exit(),
            _ => Exit::Failed,
        }
    }
}
