//! The label tables `train.csv`, `validation.csv`, `test.csv`: which clip shows which subcategory.
//!
//! Columns are read by name: `label` (the subcategory), `youtube_id`, `time_start`, `time_end`,
//! `split`. The file's name is the split; the column `split` is the archive folder of Kinetics and
//! is kept as `source_split`. A clip's row is its 0-based line in its own file, and rows alone
//! decide the splits of every task.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::clip::{ClipId, ClipIdError, Split};
use crate::exit::Exit;
use crate::foreign::printable;
use crate::hint::Hint;
use crate::named_csv::{NamedCsv, NamedCsvError};
use crate::taxonomy::{Taxonomy, TaxonomyError};

/// One labelled clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The clip.
    pub clip: ClipId,
    /// The subcategory as the table has it.
    pub subcategory: String,
    /// The class index of its category.
    pub class: usize,
    /// The archive folder of Kinetics that holds the clip; empty where the table has no such
    /// column.
    pub source_split: String,
}

/// The three label tables with their taxonomy, as they lie in one folder (`Kinetics/Info`).
#[derive(Clone, Debug)]
pub struct Labels {
    /// Categories and subcategories.
    pub taxonomy: Taxonomy,
    tables: [Vec<Label>; 3],
    files: Vec<PathBuf>,
}

/// Why label tables were refused.
#[derive(Debug, thiserror::Error)]
pub enum LabelsError {
    /// The taxonomy beside the tables is unusable.
    #[error(transparent)]
    Taxonomy(#[from] TaxonomyError),
    /// A table is absent.
    #[error("{path}: the label table is missing")]
    Missing {
        /// Where it was looked for.
        path: PathBuf,
        /// Whether other label tables are there, somebody's own for all that is known.
        others: bool,
    },
    /// A table is not readable as CSV, or a needed column is missing.
    #[error(transparent)]
    Csv(#[from] NamedCsvError),
    /// A time is no whole number of seconds.
    #[error(
        "{path}, line {line}: {column} is \"{}\", not a whole number of seconds",
        printable(value)
    )]
    Time {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column.
        column: &'static str,
        /// What stands there.
        value: String,
    },
    /// The clip's parts give no valid id.
    #[error("{path}, line {line}: {source}")]
    Clip {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// Why not.
        source: ClipIdError,
    },
    /// The subcategory is not in the taxonomy.
    #[error(
        "{path}, line {line}: subcategory \"{}\" is not in {taxonomy}",
        printable(subcategory)
    )]
    Subcategory {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The unknown subcategory.
        subcategory: String,
        /// The taxonomy's file.
        taxonomy: PathBuf,
    },
    /// The same clip stands in the tables twice.
    #[error("{path}, line {line}: clip {clip} is already in {first_split} row {first_row}")]
    Duplicate {
        /// The table's file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The clip.
        clip: ClipId,
        /// The split of its first occurrence.
        first_split: Split,
        /// The row of its first occurrence.
        first_row: usize,
    },
}

impl Hint for LabelsError {
    fn hint(&self) -> Option<String> {
        match self {
            Self::Taxonomy(e) => e.hint(),
            Self::Missing { others: false, .. } => Some(
                "get the published tables with `incdec-download labels --out <labels folder>` (make labels)".into(),
            ),
            Self::Missing { others: true, .. } => Some(
                "tables of your own are complete as classes.csv, train.csv, validation.csv and test.csv; one without clips has its header alone".into(),
            ),
            Self::Subcategory { taxonomy, .. } => {
                Some(format!("add it to {} under a category, or drop its rows", taxonomy.display()))
            }
            Self::Duplicate { .. } => Some("a clip can have one label; drop one of the two rows".into()),
            _ => Some(
                "a label table is a CSV with the columns label, youtube_id, time_start, time_end and (optional) split".into(),
            ),
        }
    }

    fn exit(&self) -> Exit {
        match self {
            Self::Taxonomy(e) => e.exit(),
            Self::Clip { source, .. } => source.exit(),
            _ => Exit::Failed,
        }
    }
}

impl Labels {
    /// Reads `classes.csv` and the three label tables of `folder`.
    ///
    /// # Errors
    /// When a table is missing or malformed, a subcategory is not in the taxonomy, or a clip occurs
    /// twice.
    pub fn read(folder: &Path) -> Result<Self, LabelsError> {
        let names = std::iter::once(Taxonomy::FILE.to_owned()).chain(Split::ALL.map(table_file));
        let files: Vec<PathBuf> = names.map(|name| folder.join(name)).collect();
        if let Some(path) = files.iter().find(|path| !path.exists()) {
            return Err(LabelsError::Missing {
                path: path.clone(),
                others: files.iter().any(|path| path.exists()),
            });
        }
        let taxonomy = Taxonomy::read(&files[0])?;
        let mut seen = HashMap::new();
        let mut tables: [Vec<Label>; 3] = Default::default();
        for (split, path) in Split::ALL.into_iter().zip(&files[1..]) {
            tables[split as usize] = read_table(path, split, &taxonomy, &files[0], &mut seen)?;
        }
        Ok(Self {
            taxonomy,
            tables,
            files,
        })
    }

    /// The clips of a split; a clip's index is its row.
    #[must_use]
    pub fn of(&self, split: Split) -> &[Label] {
        &self.tables[split as usize]
    }

    /// All clips: split, row, label; in the order of splits and rows.
    pub fn iter(&self) -> impl Iterator<Item = (Split, usize, &Label)> {
        Split::ALL.into_iter().flat_map(move |s| {
            self.of(s)
                .iter()
                .enumerate()
                .map(move |(row, l)| (s, row, l))
        })
    }

    /// The number of clips in all splits.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tables.iter().map(Vec::len).sum()
    }

    /// Whether no split has a clip.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The files that were read, for lineage.
    #[must_use]
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }
}

/// The name of a split's table.
#[must_use]
pub fn table_file(split: Split) -> String {
    format!("{split}.csv")
}

fn read_table(
    path: &Path,
    split: Split,
    taxonomy: &Taxonomy,
    taxonomy_file: &Path,
    seen: &mut HashMap<ClipId, (Split, usize)>,
) -> Result<Vec<Label>, LabelsError> {
    let table = NamedCsv::open(path)?;
    let (label, youtube_id) = (table.column("label")?, table.column("youtube_id")?);
    let (time_start, time_end) = (table.column("time_start")?, table.column("time_end")?);
    let source_split = table.position("split");
    let mut labels = Vec::new();
    for (row, record) in table.rows().enumerate() {
        let (line, record) = record?;
        let field = |c: usize| record.get(c).unwrap_or_default();
        let seconds = |c: usize, column: &'static str| {
            field(c).parse::<u32>().map_err(|_| LabelsError::Time {
                path: path.to_owned(),
                line,
                column,
                value: field(c).to_owned(),
            })
        };
        let clip = ClipId::new(
            field(youtube_id),
            seconds(time_start, "time_start")?,
            seconds(time_end, "time_end")?,
        )
        .map_err(|source| LabelsError::Clip {
            path: path.to_owned(),
            line,
            source,
        })?;
        let subcategory = field(label);
        let class = taxonomy
            .class_of(subcategory)
            .ok_or_else(|| LabelsError::Subcategory {
                path: path.to_owned(),
                line,
                subcategory: subcategory.to_owned(),
                taxonomy: taxonomy_file.to_owned(),
            })?;
        if let Some((first_split, first_row)) = seen.insert(clip.clone(), (split, row)) {
            return Err(LabelsError::Duplicate {
                path: path.to_owned(),
                line,
                clip,
                first_split,
                first_row,
            });
        }
        labels.push(Label {
            clip,
            subcategory: subcategory.to_owned(),
            class,
            source_split: source_split.map(field).unwrap_or_default().to_owned(),
        });
    }
    Ok(labels)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        ",label,youtube_id,time_start,time_end,split\n0,yawning,abcdefghijk,3,13,train\n";

    fn read(train: &str) -> Result<Labels, LabelsError> {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("classes.csv", "Category,Subcategory\nfatigue,yawning\n");
        write("train.csv", train);
        write("validation.csv", "label,youtube_id,time_start,time_end\n");
        write(
            "test.csv",
            "split,time_end,time_start,youtube_id,label\nx,9,8,-_-,yawning\n",
        );
        Labels::read(folder.path())
    }

    #[test]
    fn columns_are_found_by_name_and_the_file_names_the_split() {
        let labels = read(GOOD).unwrap();
        assert_eq!(labels.len(), 2);
        let train = &labels.of(Split::Train)[0];
        assert_eq!(
            (train.clip.to_string().as_str(), train.class),
            ("abcdefghijk_000003_000013", 0)
        );
        let test = &labels.of(Split::Test)[0];
        assert_eq!(
            (test.clip.to_string().as_str(), test.source_split.as_str()),
            ("-_-_000008_000009", "x")
        );
    }

    #[test]
    fn each_kind_of_bad_row_is_refused_by_its_own_error() {
        use LabelsError as E;
        let row = |row: &str| read(&format!("{GOOD}{row}\n"));
        assert!(matches!(
            row("1,yawning,b,x,13,t"),
            Err(E::Time {
                line: 3,
                column: "time_start",
                ..
            })
        ));
        assert!(matches!(
            row("1,yawning,a/b,3,13,t"),
            Err(E::Clip { line: 3, .. })
        ));
        assert!(matches!(
            row("1,sleeping,b,3,13,t"),
            Err(E::Subcategory { .. })
        ));
        assert!(matches!(
            row("1,yawning,abcdefghijk,3,13,t"),
            Err(E::Duplicate { first_row: 0, .. })
        ));
        assert!(matches!(row("1,yawning"), Err(E::Csv(_))));
        assert!(matches!(
            read("label,youtube_id,time_start\n"),
            Err(E::Csv(NamedCsvError::Column { column, .. })) if column == "time_end"
        ));
    }

    #[test]
    fn where_there_is_no_table_the_error_says_how_to_get_the_published_ones_and_only_there() {
        let folder = tempfile::tempdir().unwrap();
        let hint = || {
            let error = Labels::read(folder.path()).unwrap_err();
            assert!(matches!(error, LabelsError::Missing { .. }), "{error}");
            error.hint().unwrap()
        };
        assert!(hint().contains("make labels"));
        let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text);
        write("train.csv", GOOD).unwrap();
        assert!(!hint().contains("labels --out") && hint().contains("classes.csv"));
        write("classes.csv", "Category,Subcategory\na,b\n").unwrap();
        assert!(!hint().contains("make labels"));
    }

    #[test]
    fn a_cell_of_any_length_is_refused_in_a_short_line() {
        let long = "x".repeat(500_000);
        for row in [
            format!("{long},a,3,13,t"),
            format!("yawning,{long},3,13,t"),
            format!("yawning,a,{long},13,t"),
            "\u{1b}[2J,a,3,13,t".into(),
        ] {
            let text = read(&format!("{GOOD}1,{row}\n")).unwrap_err().to_string();
            assert!(text.len() < 600 && !text.contains('\u{1b}'), "{text}");
        }
    }
}
