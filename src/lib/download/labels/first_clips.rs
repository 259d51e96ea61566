//! Label tables made from the official annotations: of each class the first clips in the order of
//! their ids.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use crate::clip::{ClipId, Split};
use crate::download::archive::video_name;
use crate::foreign::printable;
use crate::labels::table_file;
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
    /// Classes would have no row in any table.
    #[error("{path} has no clips of {}", quoted(classes))]
    NoClips {
        /// The annotations.
        path: PathBuf,
        /// The classes, in the taxonomy's order.
        classes: Vec<String>,
    },
}

fn quoted(names: &[String]) -> String {
    let names: Vec<_> = names
        .iter()
        .map(|n| format!("{:?}", printable(n)))
        .collect();
    names.join(", ")
}

/// The tables, and what they lack.
#[derive(Debug, Default)]
pub(crate) struct Made {
    /// (File name, text) of each.
    pub(crate) tables: Vec<(String, String)>,
    /// The rows of the annotations that name no clip, as far as they are listed: line and reason.
    pub(crate) unread: Vec<(usize, String)>,
    /// How many such rows there are.
    pub(crate) unread_count: usize,
    /// The classes with fewer clips than were asked for, and the numbers of clips that went into each
    /// table.
    pub(crate) short: Vec<(String, [usize; 3])>,
}

/// Rows without a clip that are listed; the rest is only counted.
const MAX_LISTED_ROWS: usize = 10;

/// The clips that lie below `folder` under their ids, at any depth.
#[must_use]
pub(crate) fn clips_below(folder: &Path) -> BTreeSet<ClipId> {
    walkdir::WalkDir::new(folder)
        .follow_links(true)
        .into_iter()
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let (stem, _) = video_name(entry.file_name().to_str()?)?;
            stem.parse().ok()
        })
        .collect()
}

/// The three tables: of each class, in the taxonomy's order, the clips sorted by YouTube id and start;
/// the first go to train, the next to validation, the next to test. A row that names no clip costs
/// itself alone.
///
/// `path` only names the annotations in errors.
///
/// # Errors
/// When the annotations are not readable as CSV with the columns `label`, `youtube_id`,
/// `time_start`, `time_end`, or a class has no clip in them.
pub(crate) fn make(
    rule: &Rule<'_>,
    path: &Path,
    annotations: impl Read,
) -> Result<Made, TablesError> {
    let mut made = Made::default();
    let clips = made.read(rule, path, annotations)?;
    made.deal(rule, clips);
    let none = made.short.iter().filter(|(_, counts)| *counts == [0; 3]);
    let classes: Vec<String> = none.map(|(class, _)| class.clone()).collect();
    if classes.is_empty() {
        return Ok(made);
    }
    Err(TablesError::NoClips {
        path: path.to_owned(),
        classes,
    })
}

impl Made {
    /// The clips of each class of the taxonomy.
    fn read(
        &mut self,
        rule: &Rule<'_>,
        path: &Path,
        annotations: impl Read,
    ) -> Result<BTreeMap<String, BTreeSet<ClipId>>, TablesError> {
        let table = NamedCsv::uneven(path, annotations)?;
        let (label, id) = (table.column("label")?, table.column("youtube_id")?);
        let (start, end) = (table.column("time_start")?, table.column("time_end")?);
        let mut clips: BTreeMap<String, BTreeSet<ClipId>> = BTreeMap::new();
        for row in table.rows() {
            let (line, record) = match row {
                Ok(row) => row,
                Err(NamedCsvError::Read { source, .. }) if !source.is_io_error() => {
                    let line = source.position().map_or(0, csv::Position::line);
                    self.note_unread(usize::try_from(line).unwrap_or(0), source.to_string());
                    continue;
                }
                Err(NamedCsvError::Encoding { line, .. }) => {
                    let line = usize::try_from(line).unwrap_or(0);
                    self.note_unread(line, "it is no UTF-8".to_owned());
                    continue;
                }
                Err(error) => return Err(error.into()),
            };
            let field = |c: usize| record.get(c).unwrap_or_default();
            if rule.taxonomy.class_of(field(label)).is_none() {
                continue;
            }
            match clip(field(id), field(start), field(end)) {
                Ok(clip) => {
                    if rule.existing.as_ref().is_none_or(|e| e.contains(&clip)) {
                        let class = clips.entry(field(label).to_owned());
                        class.or_default().insert(clip);
                    }
                }
                Err(reason) => self.note_unread(line, reason),
            }
        }
        Ok(clips)
    }

    fn note_unread(&mut self, line: usize, reason: String) {
        self.unread_count += 1;
        if self.unread.len() < MAX_LISTED_ROWS {
            self.unread.push((line, reason));
        }
    }

    /// Deals the clips out to the tables.
    fn deal(&mut self, rule: &Rule<'_>, mut clips: BTreeMap<String, BTreeSet<ClipId>>) {
        let mut tables = [const { String::new() }; 3];
        let mut rows = [0; 3];
        for table in &mut tables {
            table.push_str(",label,youtube_id,time_start,time_end,split\n");
        }
        for (_, class) in rule.taxonomy.subcategories() {
            let mut rest = clips.remove(class).unwrap_or_default().into_iter();
            let mut dealt = [0; 3];
            let label = csv_field(class);
            for (i, count) in rule.counts.0.into_iter().enumerate() {
                for clip in rest.by_ref().take(count) {
                    let (Some(id), Some(start), Some(end)) =
                        (clip.youtube_id(), clip.start_s(), clip.end_s())
                    else {
                        continue;
                    };
                    // Writing into a String cannot fail.
                    let _ = writeln!(tables[i], "{},{label},{id},{start},{end},train", rows[i]);
                    rows[i] += 1;
                    dealt[i] += 1;
                }
            }
            if dealt != rule.counts.0 {
                self.short.push((class.to_owned(), dealt));
            }
        }
        let names = Split::ALL.map(table_file);
        self.tables = names.into_iter().zip(tables).collect();
    }
}

/// A field of a CSV table, in quotes where it needs them.
fn csv_field(text: &str) -> Cow<'_, str> {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\"")).into()
    } else {
        text.into()
    }
}

/// The clip of a row. Whole seconds may be written as spreadsheets write them, as 12.0.
fn clip(id: &str, start: &str, end: &str) -> Result<ClipId, String> {
    let seconds = |text: &str| {
        let whole = text.split_once('.').map_or(Some(text), |(whole, rest)| {
            rest.bytes().all(|b| b == b'0').then_some(whole)
        });
        let number = whole.and_then(|whole| whole.parse().ok());
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
        let tables = tables.tables;
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
        let existing = ["e_000001_000011", "d_000001_000011"];
        rule.existing = Some(existing.iter().map(|id| id.parse().unwrap()).collect());
        let made = make(&rule, Path::new("t.csv"), annotations.as_bytes()).unwrap();
        let tables = made.tables;
        let short = [("yawning", [1, 0, 0]), ("tasting beer", [1, 0, 0])];
        assert_eq!(
            made.short,
            short.map(|(class, counts)| (class.to_owned(), counts))
        );
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
        let none = refusal("label,youtube_id,time_start,time_end\nyawning,a,1,2\n");
        assert_eq!(none, "t.csv has no clips of \"tasting beer\"");
    }

    #[test]
    fn a_bad_row_costs_itself_and_a_class_with_a_comma_is_one_field() {
        let pairs = [("food", "cutting, \"peeling\"".to_owned())];
        let pairs = pairs.map(|(a, b)| (a.to_owned(), b));
        let rule = Rule {
            taxonomy: &Taxonomy::from_pairs(Path::new("classes.csv"), pairs).unwrap(),
            counts: "1/1/1".parse().unwrap(),
            existing: None,
        };
        let class = "\"cutting, \"\"peeling\"\"\"";
        let mut text = b"label,youtube_id,time_start,time_end\n".to_vec();
        for row in [
            "a,1,x",
            "a b,1,2",
            "b,1.0,11.0",
            "b,1.5,11",
            "c,2,12",
            "d",
            "e,3,13,more",
        ] {
            text.extend(format!("{class},{row}\n").bytes());
        }
        text.extend(b"\xff\xfe,f,1,2\n");
        text.extend(format!("{class},g,4,14\n").bytes());
        let made = make(&rule, Path::new("t.csv"), &text[..]).unwrap();
        assert_eq!(made.unread_count, 5);
        let lines: Vec<usize> = made.unread.iter().map(|(line, _)| *line).collect();
        assert_eq!(lines, [2, 3, 5, 7, 9]);
        let rows = made
            .tables
            .iter()
            .map(|(_, text)| text.lines().nth(1).unwrap());
        let expected = ["b,1,11", "c,2,12", "e,3,13"].map(|clip| format!("0,{class},{clip},train"));
        assert!(rows.eq(expected), "{:?}", made.tables);
    }
}
