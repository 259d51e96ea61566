//! The published label tables, each checked against its pinned hash, and the clips that exist only
//! as frames.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::artifact::{ArtifactError, hexadecimal, publish};
use crate::clip::ClipId;
use crate::download::error::DownloadError;
use crate::download::plan::{FrameFolder, PublishedLabels};
use crate::progress::{Progress, Unit};
use crate::store::{Client, Link, read_small};
use crate::taxonomy::Taxonomy;

/// Largest label table.
const MAX_TABLE_BYTES: u64 = 64 << 20;
/// Largest JPEG frame.
const MAX_FRAME_BYTES: u64 = 16 << 20;
/// The tables that this program carries: written where the folder has none of that name.
pub(super) const CARRIED: [(&str, &str); 3] = [
    (
        Taxonomy::FILE,
        include_str!("../../../../Kinetics/Info/classes.csv"),
    ),
    (
        "subcategories_to_remove.csv",
        include_str!("../../../../Kinetics/Info/subcategories_to_remove.csv"),
    ),
    (
        "subcategories_to_substitute.csv",
        include_str!("../../../../Kinetics/Info/subcategories_to_substitute.csv"),
    ),
];

/// The files that were written because they were new or different, and how many were there already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files written.
    pub written: Vec<PathBuf>,
    /// Files that were there with the same bytes.
    pub unchanged: usize,
}

impl Fetched {
    pub(super) fn note(&mut self, path: PathBuf, written: bool) {
        if written {
            self.written.push(path);
        } else {
            self.unchanged += 1;
        }
    }
}

/// The published tables, and how to tell them from a person's own.
pub(super) struct Published<'a> {
    pub(super) labels: &'a PublishedLabels,
    pub(super) base: &'a Link,
}

impl Published<'_> {
    /// The published tables as (file name, bytes), each of them the pinned one.
    pub(super) fn tables(&self, client: &Client) -> Result<Vec<(String, Vec<u8>)>, DownloadError> {
        let mut tables = Vec::new();
        for file in &self.labels.files {
            let bytes = read_small(client, &file.path, MAX_TABLE_BYTES)?;
            let found = sha256(&bytes);
            if found != file.sha256 {
                return Err(DownloadError::Pinned {
                    url: format!("{}/{}", self.base, file.path),
                    found,
                    expected: file.sha256.clone(),
                });
            }
            let name = file.path.rsplit('/').next().unwrap_or_default();
            tables.push((name.to_owned(), bytes));
        }
        Ok(tables)
    }

    /// Refuses to replace what is there under the tables' names, has other bytes and was never
    /// published: somebody made it.
    pub(super) fn spare_others(&self, tables: &[(PathBuf, Vec<u8>)]) -> Result<(), DownloadError> {
        let pinned = self.labels.files.iter().map(|file| file.sha256.clone());
        let carried = CARRIED.iter().map(|(_, text)| sha256(text.as_bytes()));
        let known: BTreeSet<String> = pinned.chain(carried).collect();
        let mut own = Vec::new();
        for (target, new) in tables {
            match fs::read(target) {
                Ok(there) if there != *new && !known.contains(&sha256(&there)) => {
                    own.push(target.clone());
                }
                Err(e) if e.kind() != ErrorKind::NotFound => {
                    return Err(ArtifactError::at("read", target)(e).into());
                }
                _ => {}
            }
        }
        if own.is_empty() {
            Ok(())
        } else {
            Err(DownloadError::OwnTables { paths: own })
        }
    }
}

/// Fetches the clips that are published as frames, `id_<clip>/jpgs/image_00001.jpg` onwards.
pub(super) fn frames(
    client: &Client,
    folders: &[FrameFolder],
    out: &Path,
    fetched: &mut Fetched,
) -> Result<(), DownloadError> {
    let total = folders.iter().map(|f| u64::from(f.frames)).sum();
    let progress = Progress::new("fetching frames", Some(total), Unit::Count("frames"));
    for folder in folders {
        let clip: ClipId = folder.clip.parse()?;
        for frame in 1..=folder.frames {
            let below = format!("{}/jpgs/image_{frame:05}.jpg", clip.frame_folder());
            let target = out.join(&below);
            progress.inc(1);
            if target.exists() {
                fetched.note(target, false);
                continue;
            }
            let bytes = read_small(client, &format!("Videos/{below}"), MAX_FRAME_BYTES)?;
            if !(bytes.starts_with(&[0xff, 0xd8]) && bytes.ends_with(&[0xff, 0xd9])) {
                return Err(DownloadError::Text {
                    what: below,
                    reason: "it is no complete JPEG file".into(),
                });
            }
            publish(&target, |w: &mut dyn io::Write| w.write_all(&bytes))?;
            fetched.note(target, true);
        }
    }
    progress.finish();
    Ok(())
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}
