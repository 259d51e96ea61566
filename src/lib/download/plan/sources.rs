//! `sources.toml`: where each dataset lies and how its archives are numbered.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::artifact::ArtifactError;
use crate::download::error::DownloadError;
use crate::download::source::Link;

/// The sources that this program carries, so that it runs without the repository beside it.
const EMBEDDED: &str = include_str!("../../../../kinetics_download/sources.toml");

/// Largest file of official annotations: five times what half a million clips take.
pub(crate) const MAX_ANNOTATIONS_BYTES: u64 = 128 << 20;

/// How archive numbers relate to classes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Numbering {
    /// Archive i, from 1, holds the i-th class in sorted order.
    SortedClass,
    /// Any archive may hold any class.
    None,
}

/// A dataset: its archives and official annotations.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Dataset {
    /// What the paths are relative to: a URL, or a folder.
    pub base: Link,
    /// What the URLs in the indexes begin with, where that is not the base: of a mirror, whose
    /// indexes are copies. Default the base.
    #[serde(default)]
    pub indexed_as: Option<String>,
    /// How archive numbers relate to classes.
    pub numbering: Numbering,
    /// The archive index of each folder (`train`, `val`, `test`), relative to the base.
    pub indexes: BTreeMap<String, String>,
    /// The official annotations of each folder, relative to the base.
    pub annotations: BTreeMap<String, String>,
    /// Other names of the folders.
    #[serde(default)]
    pub aliases: BTreeMap<String, String>,
}

impl Dataset {
    /// What the URLs in the indexes begin with, without a slash at its end.
    #[must_use]
    pub(crate) fn indexed_as(&self) -> &str {
        let begin = self.indexed_as.as_deref();
        begin.unwrap_or(self.base.reveal()).trim_end_matches('/')
    }

    /// The folder that label tables mean by `source_split`; `None` where they name none or one that
    /// is not known.
    #[must_use]
    pub(crate) fn folder(&self, source_split: &str) -> Option<&str> {
        let name = self
            .aliases
            .get(source_split)
            .map_or(source_split, String::as_str);
        self.indexes
            .get_key_value(name)
            .map(|(folder, _)| folder.as_str())
    }
}

/// A file whose content is pinned.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PinnedFile {
    /// Path below the labels' base; the name is kept.
    pub path: String,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// A clip that is published as frames alone.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct FrameFolder {
    /// The clip's id.
    pub clip: String,
    /// The number of JPEG files, `image_00001.jpg` onwards.
    pub frames: u32,
}

/// Where the published label tables lie.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PublishedLabels {
    /// What the paths are relative to.
    pub base: Link,
    /// The tables.
    pub files: Vec<PinnedFile>,
    /// The clips that exist only as frames.
    #[serde(default)]
    pub frame_folders: Vec<FrameFolder>,
}

/// All of `sources.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Sources {
    /// The datasets by name.
    pub datasets: BTreeMap<String, Dataset>,
    /// The published label tables.
    pub labels: PublishedLabels,
}

impl Sources {
    /// Reads `path`, or what this program carries where there is none.
    ///
    /// # Errors
    /// When the file cannot be read or is not such a table.
    pub(crate) fn read(path: Option<&Path>) -> Result<Self, DownloadError> {
        let (name, text) = match path {
            None => (
                PathBuf::from("kinetics_download/sources.toml"),
                EMBEDDED.to_owned(),
            ),
            Some(path) => (
                path.to_owned(),
                std::fs::read_to_string(path).map_err(ArtifactError::at("read", path))?,
            ),
        };
        // Of the reader's own message the line itself is left out: a base may hold a password.
        toml::from_str(&text).map_err(|error| DownloadError::Sources {
            path: name,
            line: error.span().map_or(0, |span| {
                text.as_bytes()[..span.start].split(|b| *b == b'\n').count()
            }),
            reason: error.message().to_owned(),
        })
    }

    /// The dataset called `name`.
    ///
    /// # Errors
    /// When there is none.
    pub(crate) fn dataset(&self, name: &str) -> Result<&Dataset, DownloadError> {
        self.datasets
            .get(name)
            .ok_or_else(|| DownloadError::Dataset {
                name: name.to_owned(),
                known: self.datasets.keys().cloned().collect::<Vec<_>>().join(", "),
            })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_carried_sources_name_the_official_locations() {
        let sources = Sources::read(None).unwrap();
        let dataset = sources.dataset("kinetics-700-2020").unwrap();
        assert_eq!(
            format!("{}/{}", dataset.base, dataset.indexes["train"]),
            "https://s3.amazonaws.com/kinetics/700_2020/train/k700_2020_train_path.txt"
        );
        assert_eq!(dataset.folder("validate"), Some("val"));
        assert_eq!(dataset.folder("train"), Some("train"));
        assert_eq!(dataset.folder(""), None);
        assert_eq!(sources.labels.files.len(), 3);
        assert!(sources.labels.files.iter().all(|f| f.sha256.len() == 64));
        assert!(matches!(
            sources.dataset("kinetics-1"),
            Err(DownloadError::Dataset { .. })
        ));
    }

    #[test]
    fn the_pinned_tables_are_those_that_we_hold() {
        let labels = Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/labels");
        if !labels.is_dir() {
            eprintln!("no reference tables beside the repository: comparison left out");
            return;
        }
        for file in Sources::read(None).unwrap().labels.files {
            let name = Path::new(&file.path).file_name().unwrap();
            let found = crate::download::labels::sha256(&std::fs::read(labels.join(name)).unwrap());
            assert_eq!(found, file.sha256, "{}", file.path);
        }
    }
}
