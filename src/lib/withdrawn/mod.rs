//! `withdrawn.csv`: which clips have been withdrawn, on which day, and by which request.
//!
//! The list lies beside the label tables and is an input of every stage. A withdrawn clip keeps its
//! label row and its place in every draw; it is fetched, decoded and used nowhere. People may add
//! lines by hand; [`append`] does it for the programs.

mod error;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use jiff::civil::Date;

use crate::artifact::{self, ArtifactError};
use crate::clip::ClipId;
use crate::foreign::composed;
use crate::named_csv::NamedCsv;

pub use error::WithdrawnError;

/// The list's file name, beside the label tables.
pub const WITHDRAWN_FILE: &str = "withdrawn.csv";

/// The command that takes the bytes of withdrawn clips away, as hints name it.
pub const ERASE_COMMAND: &str =
    "make erase ERASE='--clips <labels>/withdrawn.csv' REQUEST=<name of the request>";

const CLIP_ID: &str = "clip_id";
const WITHDRAWN_ON: &str = "withdrawn_on";
const REQUEST: &str = "request";
const REASON: &str = "reason";
/// The columns that a list has; the last may be absent.
const COLUMNS: [&str; 4] = [CLIP_ID, WITHDRAWN_ON, REQUEST, REASON];

/// The line of one withdrawn clip.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Withdrawal {
    /// The clip.
    pub clip: ClipId,
    /// The day.
    pub withdrawn_on: Date,
    /// The request, under a name of the requester's choice.
    pub request: String,
    /// Why, where somebody has said so.
    pub reason: Option<String>,
}

/// The clips that have been withdrawn.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Withdrawn {
    file: Option<PathBuf>,
    /// By the ids, in Unicode's composed form.
    clips: BTreeMap<String, Withdrawal>,
}

impl Withdrawn {
    /// Reads the list at `path`.
    ///
    /// # Errors
    /// When it is absent or no list: an unknown or missing column, a clip twice, a line without a
    /// clip, a day or a request.
    pub fn read(path: &Path) -> Result<Self, WithdrawnError> {
        let table = NamedCsv::open(path)?;
        let unknown = |name: &&String| !name.is_empty() && !COLUMNS.contains(&name.as_str());
        if let Some(column) = table.columns().iter().find(unknown) {
            return Err(WithdrawnError::UnknownColumn {
                path: path.to_owned(),
                column: column.clone(),
            });
        }
        let (clip_id, day) = (table.column(CLIP_ID)?, table.column(WITHDRAWN_ON)?);
        let (request, reason) = (table.column(REQUEST)?, table.position(REASON));
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        let mut clips = BTreeMap::new();
        for record in table.rows() {
            let (line, record) = record?;
            let field = |c: usize| record.get(c).unwrap_or_default();
            let withdrawal = Withdrawal {
                clip: ClipId::of_either_kind(field(clip_id)).map_err(|source| {
                    WithdrawnError::Clip {
                        path: path.to_owned(),
                        line,
                        source,
                    }
                })?,
                withdrawn_on: Date::from_str(field(day))
                    .ok()
                    .filter(|date| date.to_string() == field(day))
                    .ok_or_else(|| WithdrawnError::Day {
                        path: path.to_owned(),
                        line,
                        value: field(day).to_owned(),
                    })?,
                request: field(request).to_owned(),
                reason: reason
                    .map(field)
                    .filter(|r| !r.is_empty())
                    .map(str::to_owned),
            };
            let clip = composed(&withdrawal.clip.to_string()).into_owned();
            if withdrawal.request.is_empty() {
                return Err(WithdrawnError::NoRequest {
                    path: path.to_owned(),
                    line,
                    clip,
                });
            }
            if let Some(first_line) = lines.insert(clip.clone(), line) {
                return Err(WithdrawnError::Duplicate {
                    path: path.to_owned(),
                    line,
                    first_line,
                    clip,
                });
            }
            clips.insert(clip, withdrawal);
        }
        Ok(Self {
            file: Some(path.to_owned()),
            clips,
        })
    }

    /// Reads the list in the folder of label tables; where there is none, nothing has been
    /// withdrawn.
    ///
    /// # Errors
    /// As [`Withdrawn::read`].
    pub fn beside(labels: &Path) -> Result<Self, WithdrawnError> {
        let path = labels.join(WITHDRAWN_FILE);
        if path.exists() {
            Self::read(&path)
        } else {
            Ok(Self::default())
        }
    }

    /// The file that was read, for lineage; none where there is no list.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Whether the clip has been withdrawn.
    #[must_use]
    pub fn contains(&self, clip_id: &str) -> bool {
        self.clips.contains_key(&*composed(clip_id))
    }

    /// The clips with their lines, sorted by id.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Withdrawal)> {
        self.clips.iter().map(|(id, line)| (id.as_str(), line))
    }

    /// The clips' ids.
    #[must_use]
    pub fn ids(&self) -> BTreeSet<String> {
        let ids = self.clips.values().map(|line| line.clip.to_string());
        ids.collect()
    }

    /// How many clips have been withdrawn.
    #[must_use]
    pub fn len(&self) -> usize {
        self.clips.len()
    }

    /// Whether none has.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.clips.is_empty()
    }
}

/// Reads which clips a file names: a CSV with a column `clip_id`, as a list of withdrawn clips is
/// one, or a text with one id a line.
///
/// # Errors
/// When it cannot be read, or a line names no clip.
pub fn read_ids(path: &Path) -> Result<BTreeSet<String>, WithdrawnError> {
    let clip = |line: usize, text: &str| {
        ClipId::of_either_kind(text)
            .map(|clip| clip.to_string())
            .map_err(|source| WithdrawnError::Clip {
                path: path.to_owned(),
                line,
                source,
            })
    };
    let table = NamedCsv::uneven(path, open(path)?)?;
    if let Some(column) = table.position(CLIP_ID) {
        let rows = table.rows().map(|row| {
            let (line, record) = row?;
            clip(line, record.get(column).unwrap_or_default())
        });
        return rows.collect();
    }
    // A text: a comma in a line is a part of the clip's path.
    let text = fs::read_to_string(path).map_err(ArtifactError::at("read", path))?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let lines = lines.enumerate().filter(|(_, line)| !line.is_empty());
    lines.map(|(k, line)| clip(k + 1, line)).collect()
}

fn open(path: &Path) -> Result<fs::File, ArtifactError> {
    fs::File::open(path).map_err(ArtifactError::at("open", path))
}

/// Adds lines at the end of the list in the folder of label tables, which is made where it is
/// missing; those of clips that stand in it already are passed over. What people have written stays
/// as it is, byte for byte. The list is published anew as a whole, so nobody ever reads half a
/// line.
///
/// # Errors
/// When the list that is there is none, or the disk refuses.
pub fn append(labels: &Path, lines: &[Withdrawal]) -> Result<(), WithdrawnError> {
    let path = labels.join(WITHDRAWN_FILE);
    let present = Withdrawn::beside(labels)?;
    let new: Vec<&Withdrawal> = lines
        .iter()
        .filter(|line| !present.contains(&line.clip.to_string()))
        .collect();
    if new.is_empty() {
        return Ok(());
    }
    let mut bytes = match fs::read(&path) {
        Ok(bytes) => bytes,
        Err(e) if e.kind() == io::ErrorKind::NotFound => COLUMNS.join(",").into_bytes(),
        Err(e) => return Err(ArtifactError::at("read", &path)(e).into()),
    };
    if !bytes.ends_with(b"\n") {
        bytes.push(b'\n');
    }
    // In the order of the columns that the list has, whatever it is.
    let columns = NamedCsv::new(&path, bytes.as_slice())?.columns().to_vec();
    let mut writer = csv::Writer::from_writer(bytes);
    for line in new {
        let field = |column: &String| match column.as_str() {
            CLIP_ID => line.clip.to_string(),
            WITHDRAWN_ON => line.withdrawn_on.to_string(),
            REQUEST => line.request.clone(),
            REASON => line.reason.clone().unwrap_or_default(),
            _ => String::new(),
        };
        writer
            .write_record(columns.iter().map(field))
            .map_err(|source| WithdrawnError::Write {
                path: path.clone(),
                source,
            })?;
    }
    let bytes = writer
        .into_inner()
        .map_err(|e| ArtifactError::at("write", &path)(e.into_error()))?;
    Ok(artifact::publish(&path, |w| w.write_all(&bytes))?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hint::Hint;

    fn read(text: &str) -> Result<Withdrawn, WithdrawnError> {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(WITHDRAWN_FILE), text).unwrap();
        Withdrawn::beside(folder.path())
    }

    #[test]
    fn a_list_is_read_by_its_columns_and_none_is_empty() {
        let list = read(
            "request,clip_id,withdrawn_on\nR-7,abc_000001_000011,2026-03-31\nR-7,-x_000001_000011,2026-04-01\n",
        )
        .unwrap();
        assert_eq!(list.len(), 2);
        assert!(list.contains("abc_000001_000011") && !list.contains("abc_000001_000012"));
        assert!(
            list.iter()
                .all(|(_, line)| line.request == "R-7" && line.reason.is_none())
        );
        let empty = Withdrawn::beside(Path::new("/nowhere")).unwrap();
        assert!(empty.is_empty() && empty.file().is_none());
    }

    #[test]
    fn every_fault_is_named_with_its_line() {
        let head = "clip_id,withdrawn_on,request,reason";
        for (text, said) in [
            (
                "clip_id,withdrawn_on,request,why\n".to_owned(),
                "column why is none of",
            ),
            (
                "clip_id,request\n".to_owned(),
                "column withdrawn_on is missing",
            ),
            (
                format!("{head}\n../abc,2026-03-31,r,\n"),
                "line 2: \"../abc\" cannot be a clip's path",
            ),
            (
                format!("{head}\na_000000_000010,31.3.2026,r,\n"),
                "line 2: withdrawn_on is \"31.3.2026\"",
            ),
            (
                format!("{head}\na_000000_000010,2026-02-30,r,\n"),
                "line 2: withdrawn_on is",
            ),
            (
                format!("{head}\na_000000_000010,20260301,r,\n"),
                "line 2: withdrawn_on is",
            ),
            (
                format!("{head}\na_000000_000010,2026-03-31,,\n"),
                "line 2: clip a_000000_000010 has no request",
            ),
            (
                format!(
                    "{head}\na_000000_000010,2026-03-31,r,\nb_000000_000010,2026-03-31,r,\na_000000_000010,2026-03-31,q,\n"
                ),
                "line 4: clip a_000000_000010 is already in line 2",
            ),
        ] {
            let refused = read(&text).unwrap_err();
            assert!(refused.to_string().contains(said), "{refused} / {said}");
            assert!(refused.hint().is_some());
        }
    }

    #[test]
    fn ids_are_read_from_a_list_a_table_or_plain_lines() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ids");
        let ids = BTreeSet::from(["a_000000_000010".to_owned(), "-b_000000_000010".to_owned()]);
        for text in [
            "a_000000_000010\n-b_000000_000010\n",
            "a_000000_000010\n\n-b_000000_000010",
            "split,clip_id\ntest,a_000000_000010\ntrain,-b_000000_000010\n",
        ] {
            fs::write(&path, text).unwrap();
            assert_eq!(read_ids(&path).unwrap(), ids, "{text}");
        }
        fs::write(&path, "a_000000_000010\nwalk/b, c\n").unwrap();
        assert!(read_ids(&path).unwrap().contains("walk/b, c"));
        fs::write(&path, "a_000000_000010\n/b\n").unwrap();
        assert!(
            read_ids(&path)
                .unwrap_err()
                .to_string()
                .contains("line 2: \"/b\"")
        );
    }

    #[test]
    fn lines_are_added_behind_what_people_wrote_and_once() {
        let folder = tempfile::tempdir().unwrap();
        let line = |id: &str, reason: Option<&str>| Withdrawal {
            clip: id.parse().unwrap(),
            withdrawn_on: "2026-03-31".parse().unwrap(),
            request: "R-7, by mail".into(),
            reason: reason.map(str::to_owned),
        };
        append(folder.path(), &[line("a_000000_000010", None)]).unwrap();
        let path = folder.path().join(WITHDRAWN_FILE);
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            "clip_id,withdrawn_on,request,reason\na_000000_000010,2026-03-31,\"R-7, by mail\",\n"
        );
        // By hand: another order of the columns, no reason, and no line break at the end.
        let own = "request , clip_id,withdrawn_on\nR-1,  b_000000_000010 ,2026-01-01";
        fs::write(&path, own).unwrap();
        let lines = [
            line("b_000000_000010", None),
            line("a_000000_000010", Some("lost")),
        ];
        append(folder.path(), &lines).unwrap();
        append(folder.path(), &lines).unwrap();
        assert_eq!(
            fs::read_to_string(&path).unwrap(),
            format!("{own}\n\"R-7, by mail\",a_000000_000010,2026-03-31\n")
        );
        assert_eq!(Withdrawn::beside(folder.path()).unwrap().len(), 2);
    }
}
