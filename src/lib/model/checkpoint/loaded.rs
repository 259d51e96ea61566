//! What a load did, in words.

use std::fmt;
use std::path::Path;

use crate::foreign::printable;

/// How many names an error message spells out.
const NAMES_SHOWN: usize = 8;

/// How much of a file must fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LoadMode {
    /// Every name and shape, as `strict=True` in `PyTorch`.
    Exact,
    /// The whole backbone; the file's head, of any size, is passed over, and the model's stays.
    /// What the file holds beside them is reported.
    Backbone,
    /// As much of the backbone as fits. Every name that does not is said; that nothing fits is an
    /// error.
    PartOfBackbone,
}

/// A tensor whose shape is not the model's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misshapen {
    /// Its name.
    pub name: String,
    /// The model's shape.
    pub ours: Vec<i64>,
    /// The file's shape.
    pub theirs: Vec<i64>,
}

impl fmt::Display for Misshapen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {:?} instead of {:?}",
            printable(&self.name),
            self.theirs,
            self.ours
        )
    }
}

/// What a load did and what it could not place. Names are the seed's, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Loaded {
    /// Tensors that were put in place.
    pub matched: usize,
    /// Names of the model that the file lacks.
    pub missing: Vec<String>,
    /// Names of the file that the model lacks.
    pub left_over: Vec<String>,
    /// Names of both with different shapes; the model's stay as they were.
    pub misshapen: Vec<Misshapen>,
}

impl Loaded {
    /// Lists every name that found no place: in the log, or aloud where a part was asked for, so
    /// that nobody takes it for the whole.
    pub(super) fn log(&self, path: &Path, mode: LoadMode) {
        let path = path.display();
        let missing = self.missing.iter().map(|name| (name, "missing"));
        let left_over = self.left_over.iter().map(|name| (name, "left over"));
        let plain = missing.chain(left_over);
        let lines = plain
            .map(|(name, what)| format!("{} is {what}", printable(name)))
            .chain(self.misshapen.iter().map(ToString::to_string));
        for line in lines {
            if mode == LoadMode::PartOfBackbone {
                tracing::info!("{path}: {line}");
            } else {
                tracing::debug!("{path}: {line}");
            }
        }
    }

    /// Tensors of the model that the file should give.
    #[must_use]
    pub fn wanted(&self) -> usize {
        self.matched + self.missing.len() + self.misshapen.len()
    }

    /// Whether every tensor that the model wanted was there.
    #[must_use]
    pub fn fills_the_model(&self) -> bool {
        self.missing.is_empty() && self.misshapen.is_empty()
    }

    /// How much of the model the file gave, as every record of it says: `wholly`, or
    /// `partly (71 of 383)`.
    #[must_use]
    pub fn share(&self) -> String {
        if self.fills_the_model() {
            "wholly".to_owned()
        } else {
            format!("partly ({} of {})", self.matched, self.wanted())
        }
    }

    /// Whether every name found its place.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.fills_the_model() && self.left_over.is_empty()
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {} tensors matched", self.matched, self.wanted())?;
        let mut list = |what: &str, names: Vec<String>| {
            if names.is_empty() {
                return Ok(());
            }
            let shown = names
                .iter()
                .take(NAMES_SHOWN)
                .map(|name| printable(name))
                .collect::<Vec<_>>()
                .join(", ");
            let more = if names.len() > NAMES_SHOWN {
                ", ..."
            } else {
                ""
            };
            write!(f, "; {} {what}: {shown}{more}", names.len())
        };
        list("missing", self.missing.clone())?;
        list("left over", self.left_over.clone())?;
        list(
            "misshapen",
            self.misshapen.iter().map(ToString::to_string).collect(),
        )
    }
}
