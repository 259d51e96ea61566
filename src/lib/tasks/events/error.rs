//! Why a table of events was refused.

use std::path::PathBuf;

use super::{MAX_EVENTS, MAX_TASKS, NamedBy};
use crate::clip::Split;
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;
use crate::named_csv::NamedCsvError;

/// Why a table of events was refused.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// It cannot be read as CSV, or lacks a column.
    #[error(transparent)]
    Csv(#[from] NamedCsvError),
    /// It has no column that names clips.
    #[error("{path}: none of the columns clip, group, subcategory and category is there")]
    NoNames {
        /// The table.
        path: PathBuf,
    },
    /// It is longer than any.
    #[error("{path}: more than {MAX_EVENTS} rows")]
    TooMany {
        /// The table.
        path: PathBuf,
    },
    /// A row makes no sense, or contradicts the labels or another row.
    #[error("{path}, line {line}: {what}")]
    Row {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong.
        what: RowFault,
    },
    /// The first task has no clips of a split.
    #[error("{path}: task 0 has none of the {split} clips")]
    EmptyStart {
        /// The table that decides the start.
        path: PathBuf,
        /// The split.
        split: Split,
    },
}

/// What is wrong with a row of a table of events.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RowFault {
    /// The task is no number of one.
    #[error("\"{}\" is no task: tasks are 0 to {}", printable(.0), MAX_TASKS - 1)]
    Task(String),
    /// The change is none.
    #[error("\"{}\" is no change: it is arrives or leaves", printable(.0))]
    Change(String),
    /// A row names none, or several.
    #[error("{0} of clip, group, subcategory and category are filled, and exactly one must be")]
    Names(usize),
    /// Nothing is called so.
    #[error("the labels have no {kind} \"{}\"", printable(name))]
    Unknown {
        /// What it would be.
        kind: NamedBy,
        /// The name.
        name: String,
    },
    /// There are no clips of what a row names.
    #[error("the labels have no clips of it")]
    NoClips,
    /// Something leaves at the start.
    #[error("nothing can leave on entering task 0, before which there is nothing")]
    LeavesAtStart,
    /// A clip leaves before it has arrived.
    #[error("clip {} leaves before it has arrived{}", printable(clip), arrival(*arrives))]
    LeavesFirst {
        /// The clip.
        clip: String,
        /// Line and task of its arrival, where it has one.
        arrives: Option<(usize, usize)>,
    },
    /// All that a row names has left already.
    #[error("all that it names has left before")]
    GoneAlready,
    /// All that a row names is there already.
    #[error("all that it names is there already")]
    ThereAlready,
    /// A clip arrives and leaves on entering the same task.
    #[error(
        "clip {} arrives and leaves on entering the same task (also line {line})",
        printable(clip)
    )]
    Both {
        /// The clip.
        clip: String,
        /// The line that says the other.
        line: usize,
    },
    /// A split has no clips before these arrive.
    #[error("task 0 has none of the {split} clips: all arrive later, these first")]
    NothingBefore {
        /// The split.
        split: Split,
    },
    /// A split has no clips left.
    #[error("task {task} is left without {split} clips")]
    LeavesNothing {
        /// The task.
        task: usize,
        /// The split.
        split: Split,
    },
}

fn arrival(arrives: Option<(usize, usize)>) -> String {
    arrives.map_or(String::new(), |(line, task)| {
        format!(" (line {line} lets it arrive at task {task})")
    })
}

impl Hint for EventsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Csv(e) if e.hint().is_some() => e.hint(),
            Self::Csv(_) | Self::NoNames { .. } => Some(
                "events are a CSV with the columns task, change (arrives or leaves) and clip, group, subcategory or category"
                    .into(),
            ),
            Self::TooMany { .. } => Some("name groups, subcategories or categories instead of clips".into()),
            Self::Row { what: RowFault::LeavesFirst { .. }, .. } => Some(
                "without --start, task 0 holds only what has no row that arrives; --start FILE says who is there from the start"
                    .into(),
            ),
            Self::Row { what: RowFault::LeavesNothing { .. } | RowFault::NothingBefore { .. }, .. } | Self::EmptyStart { .. } => {
                Some("training needs clips of every split in every task".into())
            }
            Self::Row { .. } => None,
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Csv(_) => Exit::Failed,
            // Events that contradict the labels will always do so.
            _ => Exit::Hopeless,
        }
    }
}
