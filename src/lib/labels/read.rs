//! Reads one label table row by row.

use std::collections::HashMap;
use std::path::Path;

use csv::StringRecord;

use super::spreadsheet::looks_altered;
use super::{Label, LabelsError, Place};
use crate::clip::{ClipId, Split};
use crate::foreign::{composed, printable};
use crate::named_csv::{NamedCsv, whole_number};
use crate::taxonomy::Taxonomy;

/// Longest name of a group, in bytes.
const MAX_GROUP_BYTES: usize = 1024;

/// What a row calls its clip by.
enum NameColumns {
    /// A piece of a YouTube video: id, start, end.
    Piece(usize, usize, usize),
    /// A relative path without its ending.
    Path(usize),
}

/// The columns of a label table.
struct Columns {
    label: usize,
    name: NameColumns,
    group: Option<usize>,
    source_split: Option<usize>,
}

impl Columns {
    fn of<R: std::io::Read>(table: &NamedCsv<R>, path: &Path) -> Result<Self, LabelsError> {
        let name = match (table.position("clip"), table.position("youtube_id")) {
            (Some(_), Some(_)) => {
                return Err(LabelsError::TwoNames {
                    path: path.to_owned(),
                });
            }
            (Some(clip), None) => NameColumns::Path(clip),
            (None, _) => NameColumns::Piece(
                table.column("youtube_id")?,
                table.column("time_start")?,
                table.column("time_end")?,
            ),
        };
        Ok(Self {
            label: table.column("label")?,
            name,
            group: table.position("group"),
            source_split: table.position("split"),
        })
    }
}

/// The tables as they are read one after the other.
pub(super) struct Tables<'a> {
    taxonomy: &'a Taxonomy,
    taxonomy_file: &'a Path,
    /// Where each clip stands that was met, by its id in Unicode's composed form.
    seen: HashMap<String, Place>,
    /// Clips that stand in the tables more than once: id, first place, and a further one.
    doubled: Vec<(String, Place, Place)>,
}

impl<'a> Tables<'a> {
    pub(super) fn new(taxonomy: &'a Taxonomy, taxonomy_file: &'a Path) -> Self {
        Self {
            taxonomy,
            taxonomy_file,
            seen: HashMap::new(),
            doubled: Vec::new(),
        }
    }

    /// Reads the table of a split.
    pub(super) fn read(&mut self, path: &Path, split: Split) -> Result<Vec<Label>, LabelsError> {
        let table = NamedCsv::open(path)?;
        let columns = Columns::of(&table, path)?;
        let mut labels = Vec::new();
        let mut altered = Vec::new();
        for record in table.rows() {
            let (line, record) = record?;
            let row = Row {
                path,
                line,
                record: &record,
            };
            let label = self.label(&row, &columns)?;
            let id = label.clip.to_string();
            if label.clip.path().is_some_and(looks_altered) {
                altered.push((line, id.clone()));
            }
            let place = Place { split, line };
            if let Some(first) = self.seen.get(&*composed(&id)) {
                self.doubled.push((id, *first, place));
            } else {
                self.seen.insert(composed(&id).into_owned(), place);
            }
            labels.push(label);
        }
        if let Some((line, id)) = altered.first() {
            tracing::warn!(
                "{}, line {line}: a spreadsheet may have turned a name into \"{}\" ({} such rows)",
                path.display(),
                printable(id),
                altered.len()
            );
        }
        Ok(labels)
    }

    /// Ends with all clips that stand in the tables more than once.
    pub(super) fn finish(self) -> Result<(), LabelsError> {
        if self.doubled.is_empty() {
            return Ok(());
        }
        Err(LabelsError::Duplicates {
            clips: self.doubled,
        })
    }

    fn label(&self, row: &Row<'_>, columns: &Columns) -> Result<Label, LabelsError> {
        let clip = match columns.name {
            NameColumns::Piece(id, start, end) => row.piece(id, start, end)?,
            NameColumns::Path(clip) => {
                ClipId::at_path(row.field(clip)).map_err(|e| row.refused(e))?
            }
        };
        let group = columns
            .group
            .map(|c| row.field(c))
            .filter(|group| !group.is_empty());
        if let Some(group) = group {
            row.check_group(group)?;
        }
        let group = group.or(clip.youtube_id()).map(str::to_owned);
        let subcategory = row.field(columns.label);
        let (class, spelt) =
            self.taxonomy
                .find(subcategory)
                .ok_or_else(|| LabelsError::Subcategory {
                    path: row.path.to_owned(),
                    line: row.line,
                    subcategory: subcategory.to_owned(),
                    taxonomy: self.taxonomy_file.to_owned(),
                })?;
        let source_split = columns.source_split.map(|c| row.field(c));
        Ok(Label {
            clip,
            group,
            subcategory: spelt.to_owned(),
            class,
            source_split: source_split.unwrap_or_default().to_owned(),
        })
    }
}

/// A row with where it stands.
struct Row<'a> {
    path: &'a Path,
    line: usize,
    record: &'a StringRecord,
}

impl<'a> Row<'a> {
    fn field(&self, column: usize) -> &'a str {
        self.record.get(column).unwrap_or_default()
    }

    fn refused(&self, source: crate::clip::ClipIdError) -> LabelsError {
        LabelsError::Clip {
            path: self.path.to_owned(),
            line: self.line,
            source,
        }
    }

    fn piece(&self, id: usize, start: usize, end: usize) -> Result<ClipId, LabelsError> {
        let id = self.field(id);
        // A YouTube id has eleven characters, so what a spreadsheet makes of one is never an id itself.
        if looks_altered(id) {
            return Err(LabelsError::Altered {
                path: self.path.to_owned(),
                line: self.line,
                value: id.to_owned(),
            });
        }
        let (start, end) = (
            self.seconds(start, "time_start")?,
            self.seconds(end, "time_end")?,
        );
        if end < start {
            return Err(LabelsError::Backwards {
                path: self.path.to_owned(),
                line: self.line,
                start,
                end,
            });
        }
        ClipId::new(id, start, end).map_err(|e| self.refused(e))
    }

    fn seconds(&self, column: usize, name: &'static str) -> Result<u32, LabelsError> {
        let value = self.field(column);
        whole_number(value).ok_or_else(|| LabelsError::Time {
            path: self.path.to_owned(),
            line: self.line,
            column: name,
            value: value.to_owned(),
        })
    }

    fn check_group(&self, group: &str) -> Result<(), LabelsError> {
        if group.len() <= MAX_GROUP_BYTES && !group.contains(crate::foreign::steers) {
            return Ok(());
        }
        Err(LabelsError::Group {
            path: self.path.to_owned(),
            line: self.line,
            group: group.to_owned(),
        })
    }
}
