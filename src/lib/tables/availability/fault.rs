//! What can be wrong with a row of `availability.parquet`.

use crate::clip::Split;
use crate::foreign::printable;

/// A row that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "row {row} (task {task}, {split}, clip {}): {what}",
    printable(clip_id)
)]
pub struct RowFault {
    /// The row, from 0.
    pub row: usize,
    /// The task that it says.
    pub task: i32,
    /// The split that it says.
    pub split: Split,
    /// The clip.
    pub clip_id: String,
    /// What is wrong.
    pub what: Nonsense,
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Nonsense {
    /// A task below 0, or one that does not follow on the one before.
    #[error("task {found} follows on {}", before.map_or("nothing".to_owned(), |t| format!("task {t}")))]
    Task {
        /// The row's task.
        found: i32,
        /// That of the row before; none before the first.
        before: Option<i32>,
    },
    /// A list that comes after one that belongs behind it.
    #[error(
        "the list stands after that of {before}: rows are sorted by task, then train, validation, test"
    )]
    Split {
        /// The split of the row before.
        before: Split,
    },
    /// A position that is not the next one of its list.
    #[error("position {found}, expected {expected}: positions count from 0, each once, in order")]
    Position {
        /// The row's position.
        found: i32,
        /// The one that should stand there.
        expected: i32,
    },
    /// A removed clip with a position, or a listed one without.
    #[error("{}", if *.removed { "removed, but it has a position" } else { "in the list, but without a position" })]
    Presence {
        /// Whether the row says that the clip was removed.
        removed: bool,
    },
    /// A clip that the list has already.
    #[error("the clip stands in this list twice")]
    Doubled,
    /// A label that is not the class of the row's category.
    #[error("label {label} is not the class of {:?}", printable(category))]
    Label {
        /// The class index.
        label: i32,
        /// The category.
        category: String,
    },
    /// A subcategory that the category does not have.
    #[error(
        "{:?} has no subcategory {:?}",
        printable(category),
        printable(subcategory)
    )]
    Subcategory {
        /// The category.
        category: String,
        /// The subcategory.
        subcategory: String,
    },
}
