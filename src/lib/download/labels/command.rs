//! Label tables: the published ones, each checked against its pinned hash, with the clips that
//! exist only as frames; or tables made from the official annotations by a rule.

use std::collections::BTreeSet;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use super::first_clips::{self, ClipsPerClass, Rule};
use super::published::{CARRIED, Fetched, Published, frames};
use crate::artifact::{ArtifactError, Draft, hash_file, publish, publish_if_changed};
use crate::clip::ClipId;
use crate::download::error::DownloadError;
use crate::download::plan::{Dataset, MAX_ANNOTATIONS_BYTES, Sources};
use crate::download::source::connect;
use crate::foreign::printable;
use crate::labels::LabelsError;
use crate::store::{Client, HttpConfig, Link, RetryConfig, fault_in, limited};
use crate::taxonomy::Taxonomy;

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
        counts: ClipsPerClass,
        /// Take only clips that lie below this folder under their ids. Default all that are
        /// annotated.
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
    /// How failures are retried.
    pub retry: RetryConfig,
    /// The connection.
    pub http: HttpConfig,
}

/// Fetches or makes the label tables.
///
/// # Errors
/// When a source cannot be reached, a file is not the pinned one, the disk refuses, or a table
/// would be replaced that is somebody's own. The last is found before any table is written.
pub fn labels(config: &LabelsConfig) -> Result<Fetched, DownloadError> {
    let sources = Sources::read(config.sources.as_deref())?;
    let dataset = sources.dataset(&config.dataset)?;
    let client = |base: &Link| connect(base, &config.http, config.retry, None);
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
        let client = client(base)?;
        for (name, path) in &dataset.annotations {
            let target = folder.join(format!("{name}.csv"));
            let written = copy(&client, path, &target, config.force)?;
            fetched.note(target, written);
        }
    }
    let tables = match &config.tables {
        Tables::Published => published.tables(&client(published.base)?)?,
        Tables::First {
            taxonomy,
            counts,
            existing,
        } => {
            let rule = Rule {
                taxonomy: &Taxonomy::read(taxonomy).map_err(LabelsError::from)?,
                counts: *counts,
                existing: existing.as_deref().map(existing_clips).transpose()?,
            };
            let mut tables = made(&client(base)?, dataset, &rule)?;
            let bytes = fs::read(taxonomy).map_err(ArtifactError::at("read", taxonomy))?;
            tables.push((Taxonomy::FILE.to_owned(), bytes));
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
        let folders = &sources.labels.frame_folders;
        frames(&client(published.base)?, folders, out, &mut fetched)?;
    }
    Ok(fetched)
}

/// The tables that the rule makes of the annotations of the folder `train`, where the published
/// subset is from too.
fn made(
    client: &Client,
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
    let stream = limited(client, path, MAX_ANNOTATIONS_BYTES);
    let made = first_clips::make(rule, Path::new(path), stream)?;
    for (line, reason) in &made.unread {
        tracing::warn!("{path}, line {line} is passed over: {}", printable(reason));
    }
    let more = made.unread_count - made.unread.len();
    if more > 0 {
        tracing::warn!("{path}: {more} more lines are passed over");
    }
    for (class, [train, validation, test]) in &made.short {
        let ClipsPerClass([a, b, c]) = rule.counts;
        tracing::warn!(
            "{:?} has {train}/{validation}/{test} clips for train, validation and test; {a}/{b}/{c} were asked for",
            printable(class)
        );
    }
    let bytes = |(name, text): (String, String)| (name, text.into_bytes());
    Ok(made.tables.into_iter().map(bytes).collect())
}

/// The clips that lie below a folder, of which there must be some.
fn existing_clips(folder: &Path) -> Result<BTreeSet<ClipId>, DownloadError> {
    let clips = first_clips::clips_below(folder);
    if clips.is_empty() {
        return Err(DownloadError::NothingExists {
            folder: folder.to_owned(),
        });
    }
    Ok(clips)
}

/// Copies a remote file of annotations; says whether that changed anything. A file of other bytes
/// that is there already is replaced only with `force`.
fn copy(client: &Client, path: &str, target: &Path, force: bool) -> Result<bool, DownloadError> {
    let mut draft = Draft::new(target)?;
    let mut hasher = blake3::Hasher::new();
    let mut stream = limited(client, path, MAX_ANNOTATIONS_BYTES);
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
