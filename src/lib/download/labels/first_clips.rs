//! Label tables made from the official annotations: of each class the first clips in the order of
//! their ids.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::clip::{ClipId, Split};
use crate::foreign::printable;
use crate::named_csv::{NamedCsv, NamedCsvError};
use crate::taxonomy::Taxonomy;

/// Clips of each class in train, validation and test.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClipsPerClass(pub [usize; 3]);

impl Default for ClipsPerClass {
    /// Those of the published subset.
    fn default() -> Self {
        Self([100, 10, 10])
    }
}

impl FromStr for ClipsPerClass {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Vec<usize> = text
            .split('/')
            .map(|n| n.trim().parse().map_err(|_| n.to_owned()))
            .collect::<Result<_, _>>()
            .map_err(|n| format!("{n:?} is no number"))?;
        let counts = <[usize; 3]>::try_from(numbers);
        counts
            .map(Self)
            .map_err(|_| "expected train/validation/test, as in 100/10/10".to_owned())
    }
}

/// Which clips go into the tables.
pub(crate) struct Rule<'a> {
    /// The classes.
    pub(crate) taxonomy: &'a Taxonomy,
    /// How many clips of each.
    pub(crate) counts: ClipsPerClass,
    /// The clips that exist, where that is known.
    pub(crate) existing: Option<BTreeSet<ClipId>>,
}

/// Why annotations give no tables.
#[derive(Debug, thiserror::Error)]
pub enum TablesError {
    /// They cannot be read as CSV, or lack a column.
    #[error(transparent)]
    Csv(#[from] NamedCsvError),
    /// A row names no clip.
    #[error("{path}: line {line}: {reason}")]
    Row {
        /// The annotations.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why not.
        reason: String,
    },
}

/// The clips that lie below `folder` as `<clip>.mp4`, at any depth.
#[must_use]
pub(crate) fn clips_below(folder: &Path) -> BTreeSet<ClipId> {
    walkdir::WalkDir::new(folder)
        .into_iter()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            entry
                .file_name()
                .to_str()?
                .strip_suffix(".mp4")?
                .parse()
                .ok()
        })
        .collect()
}

/// The three tables as (file name, text): of each class, in the taxonomy's order, the clips sorted
/// by YouTube id and start; the first go to train, the next to validation, the next to test.
///
/// `path` only names the annotations in errors.
///
/// # Errors
/// When the annotations are not readable as CSV with the columns `label`, `youtube_id`,
/// `time_start`, `time_end`, or a row names no clip.
pub(crate) fn make(
    rule: &Rule<'_>,
    path: &Path,
    annotations: impl Read,
) -> Result<Vec<(String, String)>, TablesError> {
    let table = NamedCsv::new(path, annotations)?;
    let (label, id) = (table.column("label")?, table.column("youtube_id")?);
    let (start, end) = (table.column("time_start")?, table.column("time_end")?);
    let mut clips: BTreeMap<String, BTreeSet<ClipId>> = BTreeMap::new();
    for row in table.rows() {
        let (line, record) = row?;
        let field = |c: usize| record.get(c).unwrap_or_default();
        if rule.taxonomy.class_of(field(label)).is_none() {
            continue;
        }
        let clip =
            clip(field(id), field(start), field(end)).map_err(|reason| TablesError::Row {
                path: path.to_owned(),
                line,
                reason,
            })?;
        if rule.existing.as_ref().is_none_or(|e| e.contains(&clip)) {
            clips
                .entry(field(label).to_owned())
                .or_default()
                .insert(clip);
        }
    }
    let mut tables = [const { String::new() }; 3];
    let mut rows = [0; 3];
    for table in &mut tables {
        table.push_str(",label,youtube_id,time_start,time_end,split\n");
    }
    for (_, class) in rule.taxonomy.subcategories() {
        let mut rest = clips.remove(class).unwrap_or_default().into_iter();
        for (i, count) in rule.counts.0.into_iter().enumerate() {
            for clip in rest.by_ref().take(count) {
                let (id, start, end) = (clip.youtube_id(), clip.start_s(), clip.end_s());
                // Writing into a String cannot fail.
                let _ = writeln!(tables[i], "{},{class},{id},{start},{end},train", rows[i]);
                rows[i] += 1;
            }
        }
    }
    let names = Split::ALL.map(|split| format!("{split}.csv"));
    Ok(names.into_iter().zip(tables).collect())
}

fn clip(id: &str, start: &str, end: &str) -> Result<ClipId, String> {
    let seconds = |text: &str| {
        let number = text.parse().ok();
        number.ok_or_else(|| format!("\"{}\" is no number of seconds", printable(text)))
    };
    ClipId::new(id, seconds(start)?, seconds(end)?).map_err(|e| e.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taxonomy() -> Taxonomy {
        let pairs = [("fatigue", "yawning"), ("food", "tasting beer")];
        let pairs = pairs.map(|(a, b)| (a.to_owned(), b.to_owned()));
        Taxonomy::from_pairs(Path::new("classes.csv"), pairs).unwrap()
    }

    #[test]
    fn each_class_gives_its_first_clips_by_id_to_the_tables_in_turn() {
        let annotations = "label,youtube_id,time_start,time_end,split\n\
            tasting beer,d,1,11,train\nyawning,c,1,11,train\nyawning,a,5,15,train\nyawning,a,1,11,train\n\
            yawning,b,1,11,train\njuggling,a,1,11,train\nyawning,e,1,11,train\n";
        let taxonomy = taxonomy();
        let mut rule = Rule {
            taxonomy: &taxonomy,
            counts: "2/1/1".parse().unwrap(),
            existing: None,
        };
        let tables = make(&rule, Path::new("t.csv"), annotations.as_bytes()).unwrap();
        let lines = |i: usize| tables[i].1.lines().skip(1).collect::<Vec<_>>();
        assert_eq!(tables[1].0, "validation.csv");
        assert_eq!(
            lines(0),
            [
                "0,yawning,a,1,11,train",
                "1,yawning,a,5,15,train",
                "2,tasting beer,d,1,11,train"
            ]
        );
        assert_eq!(lines(1), ["0,yawning,b,1,11,train"]);
        assert_eq!(lines(2), ["0,yawning,c,1,11,train"]);
        rule.existing = Some(BTreeSet::from(["e_000001_000011".parse().unwrap()]));
        let tables = make(&rule, Path::new("t.csv"), annotations.as_bytes()).unwrap();
        assert_eq!(tables[0].1.lines().nth(1), Some("0,yawning,e,1,11,train"));
    }

    #[test]
    fn counts_and_columns_that_make_no_sense_are_refused() {
        assert!("100/10".parse::<ClipsPerClass>().is_err());
        assert!("1/x/2".parse::<ClipsPerClass>().is_err());
        let taxonomy = taxonomy();
        let rule = Rule {
            taxonomy: &taxonomy,
            counts: ClipsPerClass::default(),
            existing: None,
        };
        let refusal = |text: &'static str| {
            make(&rule, Path::new("t.csv"), text.as_bytes())
                .unwrap_err()
                .to_string()
        };
        assert_eq!(
            refusal("label,youtube_id\n"),
            "t.csv: column time_start is missing"
        );
        let row = refusal("label,youtube_id,time_start,time_end\nyawning,a,1,x\n");
        assert!(row.starts_with("t.csv: line 2: "), "{row}");
    }
}
