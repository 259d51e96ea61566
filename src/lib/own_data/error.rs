//! Why there are no tables.

use std::path::PathBuf;

use crate::artifact::ArtifactError;
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;
use crate::lock::LockError;
use crate::named_csv::NamedCsvError;

/// Why no label tables were made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OwnDataError {
    /// A file cannot be read or written.
    #[error(transparent)]
    Artifact(#[from] ArtifactError),
    /// The folder of the tables cannot be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// A table cannot be read as CSV, or lacks a column.
    #[error(transparent)]
    Csv(#[from] NamedCsvError),
    /// The folder of clips is none.
    #[error("{path} is no folder")]
    NoFolder {
        /// Where it was looked for.
        path: PathBuf,
    },
    /// There are no clips.
    #[error("{path}: there are no clips: no file has a video's ending")]
    NoClips {
        /// The folder or the list.
        path: PathBuf,
    },
    /// A clip lies where its folders do not say what it shows.
    #[error(
        "{count} clips do not lie in {expected}, the first is {}",
        printable(first)
    )]
    Place {
        /// Such clips.
        count: usize,
        /// The layout.
        expected: &'static str,
        /// The first of them.
        first: String,
    },
    /// Two files would be clips of one id.
    #[error("{} and {} would be one clip{}", printable(&both.0), printable(&both.1), more(*.count))]
    OneId {
        /// The two files.
        both: (String, String),
        /// Such pairs.
        count: usize,
    },
    /// A line of the list makes no sense.
    #[error("{path}, line {line}: {what}")]
    Line {
        /// The list.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: String,
    },
    /// A label is not in the taxonomy.
    #[error("{path} has no subcategory {}", named(labels))]
    Label {
        /// The taxonomy.
        path: PathBuf,
        /// The labels.
        labels: Vec<String>,
    },
    /// Two names become one.
    #[error("\"{}\" and \"{}\" would both be called \"{name}\"", printable(&both.0), printable(&both.1))]
    OneName {
        /// The two names.
        both: (String, String),
        /// What they would be called.
        name: String,
    },
    /// Clips have no group.
    #[error(
        "{count} clips have no group by {by}, the first is {}",
        printable(first)
    )]
    NoGroup {
        /// Such clips.
        count: usize,
        /// What tells groups.
        by: String,
        /// The first of them.
        first: String,
    },
    /// Tables are there already.
    #[error("{} is there already and says something else", path.display())]
    Exists {
        /// The first such table.
        path: PathBuf,
    },
}

fn more(count: usize) -> String {
    if count == 1 {
        String::new()
    } else {
        format!(" ({count} such pairs)")
    }
}

/// The first few of the names.
fn named(names: &[String]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(5)
        .map(|n| format!("\"{}\"", printable(n)))
        .collect();
    match names.len().saturating_sub(5) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

impl Hint for OwnDataError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Artifact(e) => e.hint(),
            Self::Lock(e) => e.hint(),
            Self::Csv(e) => e.hint(),
            Self::NoFolder { .. } => Some("--clips names the folder in which the videos lie".into()),
            Self::NoClips { .. } => Some("videos end in .mp4, .avi, .mkv, .mov, .webm and the like".into()),
            Self::Place { .. } => Some(
                "--taxonomy CSV (Category,Subcategory) takes <label>/<files>, and --list FILE says of each path what it shows"
                    .into(),
            ),
            Self::OneId { .. } => Some("a clip is called by its path without the ending; rename or remove one of them".into()),
            Self::Line { .. } => Some(
                "a list has a path and a label in each line, with a tab, a comma or white space between them".into(),
            ),
            Self::Label { .. } => Some("add it under a category".into()),
            Self::OneName { .. } => Some("rename one of them".into()),
            Self::NoGroup { .. } => Some(
                "an expression is sought in the path below the folder of clips, without the ending".into(),
            ),
            Self::Exists { .. } => Some("--force replaces it, another --out leaves it; --dry-run only shows".into()),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Artifact(e) => e.exit(),
            Self::Lock(e) => e.exit(),
            _ => Exit::Failed,
        }
    }
}
