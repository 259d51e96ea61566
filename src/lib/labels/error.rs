//! Why label tables were refused.

use std::fmt;
use std::path::PathBuf;

use crate::clip::{ClipIdError, Split};
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;
use crate::named_csv::NamedCsvError;
use crate::taxonomy::TaxonomyError;
use crate::withdrawn::WithdrawnError;

/// Most doubled clips that an error names; the rest is counted.
const MAX_NAMED: usize = 20;

/// Where a clip stands in the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The table's split.
    pub split: Split,
    /// The line, from 1.
    pub line: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.csv line {}", self.split, self.line)
    }
}

/// Why label tables were refused.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The taxonomy beside the tables is unusable.
    #[error(transparent)]
    Taxonomy(#[from] TaxonomyError),
    /// The list of withdrawn clips is unusable.
    #[error(transparent)]
    Withdrawn(#[from] WithdrawnError),
    /// A table is absent.
    #[error("{path}: the label table is missing")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// Whether other label tables are there, somebody's own for all that is known.
        others: bool,
    },
    /// A table is not readable as CSV, or a needed column is missing.
    #[error(transparent)]
    Csv(#[from] NamedCsvError),
    /// A time is no whole number of seconds.
    #[error(
        "{path}, line {line}: {column} is \"{}\", not a whole number of seconds",
        printable(value)
    )]
    Time {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
    /// The clip's parts give no valid id.
    #[error("{path}, line {line}: {source}")]
    Clip {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why not.
        source: ClipIdError,
    },
    /// The subcategory is not in the taxonomy.
    #[error(
        "{path}, line {line}: subcategory \"{}\" is not in {taxonomy}",
        printable(subcategory)
    )]
    Subcategory {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The unknown subcategory.
        subcategory: String,
        /// The taxonomy's file.
        taxonomy: PathBuf,
    },
    /// A clip ends before it starts.
    #[error("{path}, line {line}: the clip ends at {end} s, before its start at {start} s")]
    Backwards {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The start, in seconds.
        start: u32,
        /// The end, in seconds.
        end: u32,
    },
    /// A YouTube id is what a spreadsheet makes of one.
    #[error(
        "{path}, line {line}: \"{}\" is no YouTube id but what a spreadsheet has made of one",
        printable(value)
    )]
    Altered {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What stands there.
        value: String,
    },
    /// A table names its clips in two ways.
    #[error(
        "{path}: it has a column clip and a column youtube_id, and one of them names the clips"
    )]
    TwoNames {
        /// The table's file.
        path: PathBuf,
    },
    /// A group's name is no name.
    #[error(
        "{path}, line {line}: \"{}\" cannot be the name of a group: it is too long or holds control characters",
        printable(group)
    )]
    Group {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The name.
        group: String,
    },
    /// A clip of one's own was to be downloaded.
    #[error(
        "clip {} is called by its path: such clips are nobody's to download",
        printable(clip)
    )]
    Own {
        /// The first such clip.
        clip: String,
    },
    /// Clips stand in the tables more than once.
    #[error("{}", doubled(clips))]
    Duplicates {
        /// Each with its id, its first place, and a further one.
        clips: Vec<(String, Place, Place)>,
    },
}

/// `2 rows repeat a clip: a (train.csv line 2, train.csv line 3), b (...)`.
fn doubled(clips: &[(String, Place, Place)]) -> String {
    let one = |(id, first, further): &(String, Place, Place)| {
        format!("{} ({first}, {further})", printable(id))
    };
    let mut named: Vec<String> = clips.iter().take(MAX_NAMED).map(one).collect();
    if clips.len() > MAX_NAMED {
        named.push(format!("and {} more", clips.len() - MAX_NAMED));
    }
    let rows = if clips.len() == 1 {
        "row repeats"
    } else {
        "rows repeat"
    };
    format!("{} {rows} a clip: {}", clips.len(), named.join(", "))
}

impl Hint for LabelsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Taxonomy(e) => e.hint(),
            Self::Withdrawn(e) => e.hint(),
            Self::Missing { others: false, .. } => Some(
                "get the published tables with `incdec-download labels --out <labels folder>` (make labels)".into(),
            ),
            Self::Missing { others: true, .. } => Some(
                "tables of your own are complete as classes.csv, train.csv, validation.csv and test.csv; one without clips has its header alone".into(),
            ),
            Self::Subcategory { taxonomy, .. } => {
                Some(format!("add it to {} under a category, or drop its rows", taxonomy.display()))
            }
            Self::Duplicates { .. } => Some("a clip can have one label; keep one row of each".into()),
            Self::Own { .. } => Some(
                "nothing needs to be downloaded: give decoding the folder where the videos lie (make ... RAW=folder)".into(),
            ),
            Self::Altered { .. } => Some(
                "in the spreadsheet, give the column the format Text before the ids are pasted, and paste them again".into(),
            ),
            Self::Csv(e) if e.hint().is_some() => e.hint(),
            _ => Some(
                "a label table is a CSV with the columns label, youtube_id, time_start, time_end, or label, clip (a path \
                 below the folder of clips, without its ending), and optionally group and split"
                    .into(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Taxonomy(e) => e.exit(),
            Self::Withdrawn(e) => e.exit(),
            Self::Clip { source, .. } => source.exit(),
            _ => Exit::Failed,
        }
    }
}
