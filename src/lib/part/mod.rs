//! Parts of a stage's work, for a cluster's scheduler: part i of n does what falls to it and to no other part.
//!
//! A part is named on the command line, or found in what a scheduler says of the process ([`choose()`]). It leaves its work
//! in a folder of its own; when all parts are there ([`gather`]), the stage makes one of them.

mod choose;
mod gather;
mod place;

use std::fmt;
use std::str::FromStr;

use serde::Serialize;

pub use choose::{PartError, choose};
pub use gather::{PartsError, alike, difference, enter, folders, gather, unchanged};
pub use place::PartsPlace;

/// Most parts of one stage's work.
pub const MAX_PARTS: u32 = 100_000;

/// Part i of n, i from 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Part {
    count: u32,
    index: u32,
}

impl Part {
    /// Part `index` of `count`.
    ///
    /// # Errors
    /// When `index` is not below `count`, or `count` is above [`MAX_PARTS`].
    pub fn new(index: u32, count: u32) -> Result<Self, PartError> {
        if index < count && count <= MAX_PARTS {
            Ok(Self { count, index })
        } else {
            Err(PartError::Outside { index, count })
        }
    }

    /// All `count` parts, in order.
    pub fn all(count: u32) -> impl Iterator<Item = Self> {
        (0..count).map(move |index| Self { count, index })
    }

    /// How many parts there are.
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// Whether piece `number` of the work falls to this part.
    #[must_use]
    pub fn owns(self, number: usize) -> bool {
        number % self.count as usize == self.index as usize
    }

    /// The name of the folder with this part's work: `0-of-3`.
    #[must_use]
    pub fn folder_name(self) -> String {
        format!("{}-of-{}", self.index, self.count)
    }

    /// The part that a folder of this name is of.
    fn of_folder(name: &str) -> Option<Self> {
        let (index, count) = name.split_once("-of-")?;
        let part = Self::new(index.parse().ok()?, count.parse().ok()?).ok()?;
        (part.folder_name() == name).then_some(part)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.index, self.count)
    }
}

impl FromStr for Part {
    type Err = PartError;

    fn from_str(text: &str) -> Result<Self, PartError> {
        let unreadable = || PartError::Text {
            text: text.to_owned(),
        };
        let (index, count) = text.split_once('/').ok_or_else(unreadable)?;
        let number = |digits: &str| whole_number(digits).ok_or_else(unreadable);
        Self::new(number(index)?, number(count)?)
    }
}

impl Serialize for Part {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// Digits alone: no sign, no space.
fn whole_number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_piece_of_work_falls_to_one_part_and_folders_name_theirs() {
        for number in 0..20 {
            assert_eq!(Part::all(3).filter(|p| p.owns(number)).count(), 1);
        }
        let part: Part = "2/3".parse().unwrap();
        assert_eq!(part.folder_name(), "2-of-3");
        assert_eq!(Part::of_folder("2-of-3"), Some(part));
        for name in ["3-of-3", "02-of-3", "2-of-", "2 of 3", "-1-of-3"] {
            assert_eq!(Part::of_folder(name), None, "{name}");
        }
    }
}
