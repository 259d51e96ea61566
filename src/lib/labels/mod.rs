//! The label tables `train.csv`, `validation.csv`, `test.csv`: which clip shows which subcategory.
//!
//! Columns are read by name: `label` (the subcategory), then `youtube_id`, `time_start`, `time_end`, or, for data of one's own,
//! `clip`, the path of the clip below the folder of clips without its ending. Optional are `group`, which no split may divide
//! and which withdraws together (a person, a camera, a customer; the YouTube id where nothing else is said), and `split`. The
//! file's name is the split; the column `split` is the archive folder of Kinetics and is kept as `source_split`. A clip's row is
//! its 0-based line in its own file, and rows alone decide the splits of every task.

mod error;
mod read;
mod spreadsheet;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::clip::{ClipId, Split};
use crate::foreign::composed;
use crate::taxonomy::Taxonomy;
use crate::withdrawn::Withdrawn;
pub use error::{LabelsError, Place};

/// One labelled clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Label {
    /// The clip.
    pub clip: ClipId,
    /// What it may not be divided from: the table's group, else the YouTube id; none where there is neither.
    pub group: Option<String>,
    /// The subcategory as the taxonomy spells it.
    pub subcategory: String,
    /// The class index of its category.
    pub class: usize,
    /// The archive folder of Kinetics that holds the clip; empty where the table has no such column.
    pub source_split: String,
}

/// The three label tables with their taxonomy, as they lie in one folder (`Kinetics/Info`).
#[derive(Clone, Debug)]
pub struct Labels {
    /// Categories and subcategories.
    pub taxonomy: Taxonomy,
    /// The clips that have been withdrawn, by the list beside the tables.
    pub withdrawn: Withdrawn,
    tables: [Vec<Label>; 3],
    files: Vec<PathBuf>,
}

impl Labels {
    /// Reads `classes.csv` and the three label tables of `folder`, and the list of withdrawn clips where there is one.
    ///
    /// # Errors
    /// When a table is missing or malformed, a subcategory is not in the taxonomy, or a clip occurs twice.
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
        let withdrawn = Withdrawn::beside(folder)?;
        let mut reader = read::Tables::new(&taxonomy, &files[0]);
        let mut tables: [Vec<Label>; 3] = Default::default();
        for (split, path) in Split::ALL.into_iter().zip(&files[1..]) {
            tables[split as usize] = reader.read(path, split)?;
        }
        reader.finish()?;
        let list = withdrawn.file().map(Path::to_owned);
        let labels = Self {
            taxonomy,
            withdrawn,
            tables,
            files: files.into_iter().chain(list).collect(),
        };
        labels.warn_of_strangers();
        Ok(labels)
    }

    /// Says how many clips of the list may be spelt wrongly: any path can be a clip's id, and no table has theirs.
    fn warn_of_strangers(&self) {
        let listed = self.withdrawn.iter();
        let mut strangers: BTreeSet<&str> = listed
            .filter(|(_, line)| line.clip.path().is_some())
            .map(|(id, _)| id)
            .collect();
        if strangers.is_empty() {
            return;
        }
        for (_, _, label) in self.iter() {
            strangers.remove(&*composed(&label.clip.to_string()));
        }
        if !strangers.is_empty() {
            tracing::warn!(
                "{} clips of the list of withdrawn clips stand in no label table; where none has been erased from there, see how they are spelt",
                strangers.len()
            );
        }
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

    /// These labels, where every clip is a piece of a YouTube video, as the archives of Kinetics hold them.
    ///
    /// # Errors
    /// [`LabelsError::Own`] for the first clip that is called by its path.
    pub fn of_videos(self) -> Result<Self, LabelsError> {
        let own = self.iter().find_map(|(_, _, label)| label.clip.path());
        match own.map(str::to_owned) {
            None => Ok(self),
            Some(clip) => Err(LabelsError::Own { clip }),
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::Hint;
    use crate::named_csv::NamedCsvError;

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
            Err(E::Duplicates { .. })
        ));
        assert!(matches!(
            row("1,yawning,b,13,3,t"),
            Err(E::Backwards {
                line: 3,
                start: 13,
                end: 3,
                ..
            })
        ));
        for altered in ["2-Mar", "1.23E+10", "#NAME?"] {
            let error = row(&format!("1,yawning,{altered},3,13,t"));
            assert!(
                matches!(error, Err(E::Altered { line: 3, .. })),
                "{altered}"
            );
        }
        assert!(matches!(row("1,yawning"), Err(E::Csv(_))));
        assert!(matches!(
            read("label,youtube_id,time_start\n"),
            Err(E::Csv(NamedCsvError::Column { column, .. })) if column == "time_end"
        ));
    }

    #[test]
    fn clips_may_be_called_by_a_path_and_belong_to_a_group() {
        let read = read("label,clip,group\nyawning,a/v_X_g01_c01,X g01\nyawning,b,\n").unwrap();
        let labels = read.of(Split::Train);
        assert_eq!(labels[0].clip.to_string(), "a/v_X_g01_c01");
        assert_eq!(labels[0].group.as_deref(), Some("X g01"));
        assert_eq!(
            (labels[1].clip.youtube_id(), &labels[1].group),
            (None, &None)
        );
        // Of a piece of a video, the video is the group unless the table knows better.
        let plain = super::tests::read(GOOD).unwrap();
        assert_eq!(
            plain.of(Split::Train)[0].group.as_deref(),
            Some("abcdefghijk")
        );
    }

    #[test]
    fn paths_that_leave_their_folder_and_groups_that_steer_are_refused() {
        use LabelsError as E;
        for path in ["../x", "/x", "a/../../x", "a\\b", "a\u{1b}b", ""] {
            let error = read(&format!("label,clip,x\nyawning,{path},y\n"));
            assert!(matches!(error, Err(E::Clip { line: 2, .. })), "{path:?}");
        }
        let error = read("label,clip,group\nyawning,a,b\u{202e}c\n");
        assert!(matches!(error, Err(E::Group { line: 2, .. })));
        let error = read("label,clip,youtube_id,time_start,time_end\n");
        assert!(matches!(error, Err(E::TwoNames { .. })));
    }

    #[test]
    fn all_doubled_clips_are_named_at_once_with_their_lines() {
        let rows = "label,clip\nyawning,a\nyawning,b\nyawning,a\nyawning,b\n";
        assert_eq!(
            read(rows).unwrap_err().to_string(),
            "2 rows repeat a clip: a (train.csv line 2, train.csv line 4), b (train.csv line 3, train.csv line 5)"
        );
        let many: Vec<String> = (0..50).map(|n| format!("yawning,c{n}\n")).collect();
        let many = many.concat();
        let error = read(&format!("label,clip\n{many}{many}"))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("50 rows repeat") && error.ends_with("and 30 more"),
            "{error}"
        );
    }

    #[test]
    fn tables_as_pandas_and_spreadsheets_save_them_are_read() {
        let id = |text: &str| read(text).unwrap().of(Split::Train)[0].clip.to_string();
        let right = "abcdefghijk_000000_000002";
        for text in [
            "label,youtube_id,time_start,time_end\nyawning,abcdefghijk,0.0,2.0\n",
            "label;youtube_id;time_start;time_end\nyawning;abcdefghijk;0;2\n",
            "label\tyoutube_id\ttime_start\ttime_end\nyawning\tabcdefghijk\t0\t2\n",
            "label,youtube_id,time_start,time_end,,\nyawning,abcdefghijk,0,2,,\n,,,,,\n,,,\n",
        ] {
            assert_eq!(id(text), right, "{text}");
        }
        assert_eq!(
            read("label,clip\n,,\nyawning,a\n,\n")
                .unwrap()
                .of(Split::Train)
                .len(),
            1
        );
    }

    #[test]
    fn a_label_in_another_unicode_form_is_taken_in_the_taxonomys_spelling() {
        let folder = tempfile::tempdir().unwrap();
        let write =
            |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
        write("classes.csv", "Category,Subcategory\nhome,caf\u{e9}\n");
        write("train.csv", "label,clip\ncafe\u{301},a\n");
        write("validation.csv", "label,clip\n");
        write("test.csv", "label,clip\n");
        let labels = Labels::read(folder.path()).unwrap();
        assert_eq!(labels.of(Split::Train)[0].subcategory, "caf\u{e9}");
        // Two spellings of one path are one clip.
        write(
            "train.csv",
            "label,clip\ncaf\u{e9},caf\u{e9}\ncaf\u{e9},cafe\u{301}\n",
        );
        assert!(matches!(
            Labels::read(folder.path()),
            Err(LabelsError::Duplicates { .. })
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
