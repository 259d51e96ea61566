//! Why predictions cannot be judged.

/// Why predictions cannot be judged: they are not what [`Predictions`](super::Predictions) promises.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum MetricsError {
    /// There is no class.
    #[error("there is no class to judge")]
    NoClass,
    /// The slices disagree about the number of clips.
    #[error(
        "{clips} labels need {} probabilities and {clips} subcategories; there are {probabilities} and {subcategories}",
        clips * classes
    )]
    Length {
        /// Labels given.
        clips: usize,
        /// Classes stated.
        classes: usize,
        /// Probabilities given.
        probabilities: usize,
        /// Subcategories given.
        subcategories: usize,
    },
    /// An index is out of its range.
    #[error("{what} {index} of clip or subcategory {at}: there are {count}")]
    Index {
        /// What is out of range.
        what: &'static str,
        /// Its value.
        index: usize,
        /// Where it stands.
        at: usize,
        /// How many there are.
        count: usize,
    },
    /// A probability is none.
    #[error("clip {clip}, class {class}: {value} is no probability")]
    Probability {
        /// The clip's place.
        clip: usize,
        /// The class.
        class: usize,
        /// What stands there.
        value: f32,
    },
}
