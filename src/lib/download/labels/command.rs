//! Label tables: the published ones, each checked against its pinned hash, with the clips that exist only as frames; or
//! tables made from the official annotations by a rule.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::super::DownloadError;
use super::super::labels::first_clips::{self, Counts, Rule};
use super::super::plan::sources::{Dataset, FrameFolder, PublishedLabels, Sources};
use super::super::source::http::HttpConfig;
use super::super::source::pace::{Meter, RetryConfig};
use super::super::source::remote::{self, Facts, Remote};
use super::super::source::secret::Link;
use super::super::source::stream::{AtMost, Line, Stream, fault_in};
use crate::artifact::{ArtifactError, Draft, hash_file, publish, publish_if_changed};
use crate::clip::ClipId;
use crate::progress::{Progress, Unit};
use crate::taxonomy::Taxonomy;

/// Largest label table.
const MAX_TABLE_BYTES: u64 = 64 << 20;
/// Largest file of official annotations: five times what half a million clips take.
pub(in crate::download) const MAX_ANNOTATIONS_BYTES: u64 = 128 << 20;
/// Largest JPEG frame.
const MAX_FRAME_BYTES: u64 = 16 << 20;
/// The tables that this program carries: written where the folder has none of that name.
const CARRIED: [(&str, &str); 3] = [
    (
        "classes.csv",
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

/// Which tables are wanted.
#[derive(Clone, Debug)]
pub enum Tables {
    /// Those of the published experiments.
    Published,
    /// Of each class the first clips by id in the official annotations.
    First {
        /// The taxonomy's file, whose subcategories are the classes.
        taxonomy: PathBuf,
        /// Clips of each class.
        counts: Counts,
        /// Take only clips that lie below this folder as `<clip>.mp4`. Default all that are annotated.
        existing: Option<PathBuf>,
    },
}

/// Settings of `incdec-download labels`.
#[derive(Clone, Debug)]
pub struct LabelsConfig {
    /// Folder for the tables.
    pub out: PathBuf,
    /// Which tables.
    pub tables: Tables,
    /// Folder for the clips that are published as frames. Default: they are left out.
    pub frame_folders: Option<PathBuf>,
    /// Folder for the official annotations. Default: they are left out.
    pub annotations: Option<PathBuf>,
    /// Entry of `sources.toml` for the annotations.
    pub dataset: String,
    /// Another `sources.toml`.
    pub sources: Option<PathBuf>,
    /// Replaces the base of the published tables: a URL or a folder.
    pub labels_source: Option<Link>,
    /// Replaces the dataset's base.
    pub source: Option<Link>,
    /// Replace tables that are somebody's own, too: those that nobody published. Default no.
    pub force: bool,
    /// How failures are borne.
    pub retry: RetryConfig,
    /// The connection.
    pub http: HttpConfig,
}

/// The files that were written because they were new or different, and how many were there already.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Files written.
    pub written: Vec<PathBuf>,
    /// Files that were there with the same bytes.
    pub unchanged: usize,
}

impl Fetched {
    fn note(&mut self, path: PathBuf, written: bool) {
        if written {
            self.written.push(path);
        } else {
            self.unchanged += 1;
        }
    }
}

/// Fetches or makes the label tables.
///
/// # Errors
/// When a source cannot be reached, a file is not the pinned one, the disk refuses, or a table would be replaced that is
/// somebody's own. The last is found before any table is written.
pub fn labels(config: &LabelsConfig) -> Result<Fetched, DownloadError> {
    let sources = Sources::read(config.sources.as_deref())?;
    let dataset = sources.dataset(&config.dataset)?;
    let line = Unlimited::new(config);
    let base = config.source.as_ref().unwrap_or(&dataset.base);
    let published = Published {
        labels: &sources.labels,
        base: config
            .labels_source
            .as_ref()
            .unwrap_or(&sources.labels.base),
    };
    let mut fetched = Fetched::default();
    if let Some(folder) = &config.annotations {
        let remote = remote::open(base, &config.http)?;
        for (name, path) in &dataset.annotations {
            let target = folder.join(format!("{name}.csv"));
            let written = copy(&line.to(&*remote), path, &target, config.force)?;
            fetched.note(target, written);
        }
    }
    let tables = match &config.tables {
        Tables::Published => published.tables(config, &line)?,
        Tables::First {
            taxonomy,
            counts,
            existing,
        } => {
            let remote = remote::open(base, &config.http)?;
            let rule = Rule {
                taxonomy: &Taxonomy::read(taxonomy).map_err(crate::labels::LabelsError::from)?,
                counts: *counts,
                existing: existing.as_deref().map(first_clips::clips_below),
            };
            let mut tables = made(&line.to(&*remote), dataset, &rule)?;
            let bytes = fs::read(taxonomy).map_err(ArtifactError::at("read", taxonomy))?;
            tables.push(("classes.csv".to_owned(), bytes));
            tables
        }
    };
    let tables: Vec<_> = tables
        .into_iter()
        .map(|(name, bytes)| (config.out.join(name), bytes))
        .collect();
    if !config.force {
        published.spare_others(&tables)?;
    }
    for (target, bytes) in tables {
        let written = publish_if_changed(&target, &bytes)?;
        fetched.note(target, written);
    }
    for (name, text) in CARRIED {
        let target = config.out.join(name);
        if !target.exists() {
            publish(&target, |w| w.write_all(text.as_bytes()))?;
            fetched.note(target, true);
        }
    }
    if let Some(out) = &config.frame_folders {
        let remote = remote::open(published.base, &config.http)?;
        let folders = &sources.labels.frame_folders;
        frames(&line.to(&*remote), folders, out, &mut fetched)?;
    }
    Ok(fetched)
}

/// The published tables, and how to tell them from a person's own.
struct Published<'a> {
    labels: &'a PublishedLabels,
    base: &'a Link,
}

impl Published<'_> {
    /// The published tables as (file name, bytes), each of them the pinned one.
    fn tables(
        &self,
        config: &LabelsConfig,
        line: &Unlimited,
    ) -> Result<Vec<(String, Vec<u8>)>, DownloadError> {
        let remote = remote::open(self.base, &config.http)?;
        let mut tables = Vec::new();
        for file in &self.labels.files {
            let bytes = line.to(&*remote).read_small(&file.path, MAX_TABLE_BYTES)?;
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

    /// Refuses to replace what is there under the tables' names, has other bytes and was never published: somebody made it.
    fn spare_others(&self, tables: &[(PathBuf, Vec<u8>)]) -> Result<(), DownloadError> {
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

/// Lines to several remotes without a limit: tables are small.
struct Unlimited {
    meter: Meter,
    cancelled: AtomicBool,
    retry: RetryConfig,
    stall: Duration,
}

impl Unlimited {
    fn new(config: &LabelsConfig) -> Self {
        Self {
            meter: Meter::new(None),
            cancelled: AtomicBool::new(false),
            retry: config.retry,
            stall: config.http.stall,
        }
    }

    fn to<'a>(&'a self, remote: &'a dyn Remote) -> Line<'a> {
        Line {
            remote,
            meter: &self.meter,
            retry: self.retry,
            stall: self.stall,
            cancelled: &self.cancelled,
        }
    }
}

/// The tables that the rule makes of the annotations of the folder `train`, where the published subset is from too.
fn made(
    line: &Line<'_>,
    dataset: &Dataset,
    rule: &Rule<'_>,
) -> Result<Vec<(String, Vec<u8>)>, DownloadError> {
    let path = dataset
        .annotations
        .get("train")
        .ok_or_else(|| DownloadError::Text {
            what: "sources.toml".into(),
            reason: "the dataset has no annotations of train".into(),
        })?;
    let stream = Stream::new(line, path, Facts::default());
    let stream = AtMost::new(stream, path, MAX_ANNOTATIONS_BYTES);
    let tables = first_clips::make(rule, Path::new(path), stream)?;
    let bytes = |(name, text): (String, String)| (name, text.into_bytes());
    Ok(tables.into_iter().map(bytes).collect())
}

/// Copies a remote file of annotations; says whether that changed anything. A file of other bytes that is there already is
/// replaced only with `force`.
fn copy(line: &Line<'_>, path: &str, target: &Path, force: bool) -> Result<bool, DownloadError> {
    let mut draft = Draft::new(target)?;
    let mut hasher = blake3::Hasher::new();
    let stream = Stream::new(line, path, Facts::default());
    let mut stream = AtMost::new(stream, path, MAX_ANNOTATIONS_BYTES);
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let n = match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(n) => n,
            Err(error) => {
                return Err(match fault_in(error) {
                    Ok(remote) => remote.into(),
                    Err(error) => ArtifactError::at("read", target)(error).into(),
                });
            }
        };
        hasher.update(&buffer[..n]);
        draft
            .file()
            .write_all(&buffer[..n])
            .map_err(ArtifactError::at("write", target))?;
    }
    if target.exists() {
        if hash_file(target)? == hasher.finalize().to_hex().as_str() {
            return Ok(false);
        }
        if !force {
            let paths = vec![target.to_owned()];
            return Err(DownloadError::OwnTables { paths });
        }
    }
    draft.publish()?;
    Ok(true)
}

/// Fetches the clips that are published as frames, `id_<clip>/jpgs/image_00001.jpg` onwards.
fn frames(
    line: &Line<'_>,
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
            let bytes = line.read_small(&format!("Videos/{below}"), MAX_FRAME_BYTES)?;
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
    use std::fmt::Write;
    Sha256::digest(bytes)
        .iter()
        .fold(String::new(), |mut hex, byte| {
            // Writing into a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
            hex
        })
}
