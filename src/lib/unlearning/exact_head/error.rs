//! Why a head cannot change.

use crate::hint::Hint;

/// Why a head cannot change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExactHeadError {
    /// The clip is in the sums already.
    #[error("clip {clip} is in the head already")]
    Present {
        /// Its id.
        clip: String,
    },
    /// The clip is not in the sums.
    #[error("clip {clip} is not in the head")]
    Absent {
        /// Its id.
        clip: String,
    },
    /// A feature is of another width, or not finite.
    #[error("the feature of clip {clip} is not {width} finite numbers")]
    Feature {
        /// The clip's id.
        clip: String,
        /// The width that it should have.
        width: usize,
    },
    /// A class is out of range.
    #[error("class {class} of clip {clip}: there are {classes}")]
    Class {
        /// The clip's id.
        clip: String,
        /// Its class.
        class: usize,
        /// How many there are.
        classes: usize,
    },
}

impl Hint for ExactHeadError {}
