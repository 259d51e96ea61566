//! Files that nearly have the name of a clip: why a clip is missing may be that its file is called
//! otherwise.

use std::collections::BTreeSet;
use std::path::Path;

use crate::foreign::printable;

/// Most names that are remembered.
const MAX_STRAYS: usize = 1 << 20;

/// The names of files that are no clip's.
#[derive(Debug, Default)]
pub(super) struct Strays {
    names: BTreeSet<String>,
}

impl Strays {
    pub(super) fn add(&mut self, path: &Path) {
        if self.names.len() < MAX_STRAYS
            && let Some(name) = path.file_name()
        {
            self.names.insert(name.to_string_lossy().into_owned());
        }
    }

    /// What is there in place of the clip `<id>_<start>_<end>`, in words.
    pub(super) fn nearest(&self, clip: &str) -> Option<String> {
        let name = clip.rsplit('/').next()?;
        let mut parts = name.rsplitn(3, '_');
        let (end, start) = (parts.next()?, parts.next()?);
        let id = parts.next()?;
        let begins_alike = self.names.range(id.to_owned()..);
        begins_alike
            .take_while(|other| other.starts_with(id))
            .find_map(|other| {
                let what = difference(&other[id.len()..], name, id, (start, end))?;
                Some(format!("{} is there, {what}", printable(other)))
            })
    }
}

/// What is wrong with a file's name whose rest follows the clip's id. None where it is another
/// video's, or another piece of the same one.
fn difference(rest: &str, clip: &str, id: &str, times: (&str, &str)) -> Option<String> {
    let behind_clip = rest.strip_prefix(&clip[id.len()..]);
    if behind_clip.is_some_and(|behind| behind.starts_with('.')) {
        return Some("a download that was not finished, or another ending".to_owned());
    }
    let stem = rest.rsplit_once('.').map_or(rest, |(stem, _)| stem);
    if stem.is_empty() {
        return Some(format!(
            "whose name has no times: it may be the whole video; the clip's would be {clip}"
        ));
    }
    let (start, end) = stem.strip_prefix('_')?.split_once(['_', '-'])?;
    let seconds = |text: &str| text.parse::<f64>().ok();
    let same = |one: &str, other: &str| seconds(one).is_some() && seconds(one) == seconds(other);
    let same = same(start, times.0) && same(end, times.1);
    same.then(|| format!("whose times are not padded to six digits: it should be called {clip}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nearest(files: &[&str]) -> Option<String> {
        let mut strays = Strays::default();
        for file in files {
            strays.add(Path::new(file));
        }
        strays.nearest("a_b-cdefghi_000003_000013")
    }

    #[test]
    fn a_file_that_nearly_has_the_clips_name_is_pointed_out_with_what_is_wrong() {
        for (file, what) in [
            ("a_b-cdefghi_3_13.mp4", "not padded"),
            ("a_b-cdefghi_3.0_13.0.mp4", "not padded"),
            ("a_b-cdefghi_0003_0013.webm", "not padded"),
            ("a_b-cdefghi.mp4", "no times"),
            ("a_b-cdefghi", "no times"),
            ("a_b-cdefghi_000003_000013.mp4.part", "not finished"),
            ("a_b-cdefghi_000003_000013.f137.mp4", "not finished"),
        ] {
            let said = nearest(&["other.mp4", file]).unwrap_or_default();
            assert!(said.contains(what) && said.contains(file), "{file}: {said}");
        }
    }

    #[test]
    fn other_videos_and_other_pieces_are_no_near_misses() {
        for file in [
            "a_b-cdefghi_4_13.mp4",
            "a_b-cdefghij_3_13.mp4",
            "a_b-cdefghij.mp4",
            "README",
        ] {
            assert_eq!(nearest(&[file]), None, "{file}");
        }
    }
}
