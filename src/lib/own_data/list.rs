//! A list that says of each path what it shows.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use super::OwnDataError;
use super::scan::Found;
use crate::artifact::ArtifactError;
use crate::clip::path::{has_video_ending, without_ending};
use crate::foreign::{composed, printable};

/// What stands between path and label in every line.
#[derive(Clone, Copy)]
enum Separator {
    Sign(char),
    WhiteSpace,
}

/// Reads a list of `path label`, one a line; gives of each listed clip of `clips` its label. The paths begin in the folder of clips or at
/// the root. Empty lines are passed over, and a first line `path,label`.
pub(super) fn read(
    path: &Path,
    folder: &Path,
    clips: &[Found],
) -> Result<Vec<(Found, String)>, OwnDataError> {
    let bytes = fs::read(path).map_err(ArtifactError::at("read", path))?;
    let refused = |line: usize, what: String| OwnDataError::Line {
        path: path.to_owned(),
        line,
        what,
    };
    let text = String::from_utf8(bytes).map_err(|e| {
        let before = &e.as_bytes()[..e.utf8_error().valid_up_to()];
        let line = before.split(|byte| *byte == b'\n').count();
        refused(line, "the text is not UTF-8".to_owned())
    })?;
    let lines = text.trim_start_matches('\u{feff}').lines().map(str::trim);
    let lines: Vec<(usize, &str)> = (1..)
        .zip(lines)
        .filter(|(_, line)| !line.is_empty())
        .collect();
    let separator = separator(&lines);
    let known: BTreeMap<_, &Found> = clips
        .iter()
        .map(|clip| (composed(&clip.id), clip))
        .collect();
    let mut listed: BTreeMap<String, (usize, Found, String)> = BTreeMap::new();
    for (line, text) in lines {
        let (file, label) = cut(text, separator)
            .ok_or_else(|| refused(line, format!("\"{}\" has no label", printable(text))))?;
        if line == 1 && file.eq_ignore_ascii_case("path") && label.eq_ignore_ascii_case("label") {
            continue;
        }
        let id = id_of(file, folder);
        let found = id.as_ref().and_then(|id| known.get(&composed(id)));
        let found = found.ok_or_else(|| {
            refused(
                line,
                format!(
                    "there is no clip {} in {}",
                    printable(file),
                    folder.display()
                ),
            )
        })?;
        if let Some((first, ..)) = listed.get(&found.id) {
            return Err(refused(
                line,
                format!("{} stands in line {first} already", printable(file)),
            ));
        }
        listed.insert(found.id.clone(), (line, (*found).clone(), label.to_owned()));
    }
    Ok(listed
        .into_values()
        .map(|(_, found, label)| (found, label))
        .collect())
}

/// A tab where every line has one, else a comma where every line has one, else white space.
fn separator(lines: &[(usize, &str)]) -> Separator {
    let in_every = |sign: &char| lines.iter().all(|(_, line)| line.contains(*sign));
    let sign = ['\t', ','].into_iter().find(in_every);
    sign.map_or(Separator::WhiteSpace, Separator::Sign)
}

/// A line's path and label.
fn cut(line: &str, separator: Separator) -> Option<(&str, &str)> {
    let (path, label) = match separator {
        Separator::Sign(sign) => line.rsplit_once(sign)?,
        Separator::WhiteSpace => line.rsplit_once(char::is_whitespace)?,
    };
    let (path, label) = (path.trim(), label.trim());
    (!path.is_empty() && !label.is_empty()).then_some((path, label))
}

/// The id of a listed file: its path below the folder of clips, without the ending where it has a video's.
fn id_of(file: &str, folder: &Path) -> Option<String> {
    let path = PathBuf::from(file.trim_start_matches("./"));
    let relative = path.strip_prefix(folder).unwrap_or(&path);
    if has_video_ending(relative) {
        without_ending(relative)
    } else {
        relative.to_str().map(str::to_owned)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clips() -> Vec<Found> {
        let ids = ["a b/x", "a/v.g01", "a/y"];
        ids.map(|id| Found {
            path: format!("{id}.avi").into(),
            id: id.into(),
        })
        .into()
    }

    fn listed(text: &str) -> Result<Vec<(String, String)>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("list.txt");
        fs::write(&path, text).unwrap();
        let listed = read(&path, Path::new("/videos"), &clips()).map_err(|e| e.to_string())?;
        Ok(listed
            .into_iter()
            .map(|(found, label)| (found.id, label))
            .collect())
    }

    #[test]
    fn paths_and_labels_are_told_apart_by_tab_comma_or_the_last_white_space() {
        let right =
            [("a b/x", "walk"), ("a/v.g01", "run")].map(|(a, b)| (a.to_owned(), b.to_owned()));
        for text in [
            "a/v.g01.avi run\na b/x.avi walk\n",
            "path,label\na/v.g01,run\n\n./a b/x.mp4,walk\n",
            "/videos/a/v.g01.avi\trun\r\na b/x\twalk\r\n",
        ] {
            assert_eq!(listed(text).unwrap(), right, "{text:?}");
        }
        assert_eq!(listed("a/y\tto run\n").unwrap()[0].1, "to run");
    }

    #[test]
    fn lines_that_make_no_sense_are_refused_with_their_number() {
        for (text, words) in [
            ("a/y.avi\n", "line 1: \"a/y.avi\" has no label"),
            ("a/y.avi run\nz.avi run\n", "line 2: there is no clip z.avi"),
            ("../a/y.avi run\n", "line 1: there is no clip"),
            (
                "a/y.avi run\n\na/y.mp4 run\n",
                "line 3: a/y.mp4 stands in line 1 already",
            ),
        ] {
            let error = listed(text).unwrap_err();
            assert!(error.contains(words), "{error}");
        }
    }
}
