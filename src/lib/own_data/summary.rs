//! What the tables hold, in words.

use std::collections::BTreeMap;
use std::fmt;

use crate::clip::Split;
use crate::foreign::{first_of, printable};

/// Most names that a line lists; the rest is counted.
const MAX_NAMED: usize = 10;

/// What became of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// They were only described.
    Described,
    /// They were written.
    Written,
    /// They were there already, the same.
    Unchanged,
}

/// The clips of a subcategory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubcategoryCounts {
    /// Its category.
    pub category: String,
    /// Its name.
    pub subcategory: String,
    /// Clips of each split, in the order of [`Split::ALL`].
    pub clips: [usize; 3],
    /// Its groups.
    pub groups: usize,
}

/// What the tables hold. Its text is the command's output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwnDataSummary {
    /// The subcategories, in the taxonomy's order.
    pub subcategories: Vec<SubcategoryCounts>,
    /// Groups in all; none where each clip is one.
    pub groups: Option<usize>,
    /// Names that were changed: what was found, and what it is called now.
    pub renamed: Vec<(String, String)>,
    /// Files that are no videos by their endings: how many of each ending.
    pub passed_over: BTreeMap<String, usize>,
    /// Videos whose path cannot be a clip's id.
    pub unusable: Vec<String>,
    /// Clips that the list does not name.
    pub unlisted: usize,
    pub(super) outcome: Outcome,
}

impl OwnDataSummary {
    /// The clips of each split, in the order of [`Split::ALL`].
    #[must_use]
    pub fn clips(&self) -> [usize; 3] {
        Split::ALL.map(|split| {
            self.subcategories
                .iter()
                .map(|x| x.clips[split as usize])
                .sum()
        })
    }

    fn remarks(&self) -> Vec<String> {
        let mut remarks = Vec::new();
        for (found, name) in self.renamed.iter().take(MAX_NAMED) {
            remarks.push(format!(
                "renamed: \"{}\" is called \"{name}\"",
                printable(found)
            ));
        }
        if self.renamed.len() > MAX_NAMED {
            remarks.push(format!("renamed: {} more", self.renamed.len() - MAX_NAMED));
        }
        for split in [Split::Train, Split::Test] {
            let without = self
                .subcategories
                .iter()
                .filter(|x| x.clips[split as usize] == 0);
            let without: Vec<String> = without.map(|x| x.subcategory.clone()).collect();
            if !without.is_empty() {
                remarks.push(format!(
                    "without {split} clips: {}",
                    first_of(&without, MAX_NAMED)
                ));
            }
        }
        let files: usize = self.passed_over.values().sum();
        if files > 0 {
            let endings = self
                .passed_over
                .iter()
                .map(|(ending, n)| match ending.as_str() {
                    "" => format!("{n} without an ending"),
                    ending => format!("{n} .{}", printable(ending)),
                });
            let endings: Vec<String> = endings.collect();
            remarks.push(format!(
                "passed over: {files} files that are no videos by their ending ({})",
                first_of(&endings, MAX_NAMED)
            ));
        }
        if !self.unusable.is_empty() {
            remarks.push(format!(
                "passed over: {} videos whose path no table can hold (control characters, backslashes, white space at an end, \
                 not UTF-8, too long): {}",
                self.unusable.len(),
                first_of(&self.unusable, MAX_NAMED)
            ));
        }
        if self.unlisted > 0 {
            remarks.push(format!(
                "passed over: {} clips that the list does not name",
                self.unlisted
            ));
        }
        if self.groups.is_none() {
            remarks.push(
                "each clip is a group of its own: pieces of one recording may come into different splits (--group-by)".into(),
            );
        }
        remarks
    }
}

impl fmt::Display for OwnDataSummary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.subcategories.iter().flat_map(|x| {
            [
                x.category.chars().count(),
                x.subcategory.chars().count() + 2,
            ]
        });
        let width = names.max().unwrap_or(0).max(4);
        let line = |f: &mut fmt::Formatter<'_>,
                    name: &str,
                    [train, validation, test]: [usize; 3],
                    groups: usize| {
            writeln!(
                f,
                "{name:<width$} {train:>9} {validation:>11} {test:>9} {groups:>9}"
            )
        };
        let header = ["", "train", "validation", "test", "groups"];
        let [name, train, validation, test, groups] = header;
        writeln!(
            f,
            "{name:<width$} {train:>9} {validation:>11} {test:>9} {groups:>9}"
        )?;
        let mut last = "";
        for x in &self.subcategories {
            if x.category != last {
                last = &x.category;
                writeln!(f, "{last}")?;
            }
            line(f, &format!("  {}", x.subcategory), x.clips, x.groups)?;
        }
        let clips = self.clips();
        line(f, "all", clips, self.groups.unwrap_or(clips.iter().sum()))?;
        for remark in self.remarks() {
            writeln!(f, "{remark}")?;
        }
        f.write_str(match self.outcome {
            Outcome::Described => "nothing was written (--dry-run)",
            Outcome::Written => "classes.csv, train.csv, validation.csv and test.csv were written",
            Outcome::Unchanged => "the tables are there already, the same",
        })
    }
}
