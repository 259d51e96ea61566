//! What a load did, in words.

use std::fmt;
use std::path::Path;

/// How many names an error message spells out.
const NAMES_SHOWN: usize = 8;

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
            self.name, self.theirs, self.ours
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
    /// Lists every name that found no place in the log; messages show the first few.
    pub(super) fn log(&self, path: &Path) {
        let path = path.display();
        for name in &self.missing {
            tracing::debug!("{path}: {name} is missing");
        }
        for name in &self.left_over {
            tracing::debug!("{path}: {name} is left over");
        }
        for tensor in &self.misshapen {
            tracing::debug!("{path}: {tensor}");
        }
    }

    /// Whether every name found its place.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.missing.is_empty() && self.left_over.is_empty() && self.misshapen.is_empty()
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} tensors matched", self.matched)?;
        let mut list = |what: &str, names: Vec<String>| {
            if names.is_empty() {
                return Ok(());
            }
            let shown = names
                .iter()
                .take(NAMES_SHOWN)
                .cloned()
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
