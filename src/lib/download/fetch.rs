//! Label tables: the published ones, each checked against its pinned hash, with the clips that exist only as frames; or
//! tables made from the official annotations by a rule.

use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::DownloadError;
use super::http::HttpConfig;
use super::pace::{Meter, RetryConfig};
use super::remote::{self, Facts, Remote};
use super::sources::{Dataset, FrameFolder, Sources};
use super::stream::{Line, Stream, fault_in};
use super::tables::{self, Counts, Rule};
use crate::artifact::{ArtifactError, Draft, hash_file, publish, publish_if_changed};
use crate::clip::ClipId;
use crate::progress::{Progress, Unit};
use crate::taxonomy::Taxonomy;

/// Largest label table.
const MAX_TABLE_BYTES: u64 = 64 << 20;
/// Largest JPEG frame.
const MAX_FRAME_BYTES: u64 = 16 << 20;
/// The tables that this program carries: written where the folder has none of that name.
const CARRIED: [(&str, &str); 3] = [
    (
        "classes.csv",
        include_str!("../../../Kinetics/Info/classes.csv"),
    ),
    (
        "subcategories_to_remove.csv",
        include_str!("../../../Kinetics/Info/subcategories_to_remove.csv"),
    ),
    (
        "subcategories_to_substitute.csv",
        include_str!("../../../Kinetics/Info/subcategories_to_substitute.csv"),
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
    pub labels_source: Option<String>,
    /// Replaces the dataset's base.
    pub source: Option<String>,
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
/// When a source cannot be reached, a file is not the pinned one, or the disk refuses.
pub fn labels(config: &LabelsConfig) -> Result<Fetched, DownloadError> {
    let sources = Sources::read(config.sources.as_deref())?;
    let dataset = sources.dataset(&config.dataset)?;
    let line = Unlimited::new(config);
    let base = config.source.as_deref().unwrap_or(&dataset.base);
    let published_base = config.labels_source.as_deref();
    let published_base = published_base.unwrap_or(&sources.labels.base);
    let mut fetched = Fetched::default();
    if let Some(folder) = &config.annotations {
        let remote = remote::open(base, &config.http)?;
        for (name, path) in &dataset.annotations {
            let target = folder.join(format!("{name}.csv"));
            let written = copy(&line.to(&*remote), path, &target)?;
            fetched.note(target, written);
        }
    }
    match &config.tables {
        Tables::Published => {
            let remote = remote::open(published_base, &config.http)?;
            for file in &sources.labels.files {
                let bytes = line.to(&*remote).read_small(&file.path, MAX_TABLE_BYTES)?;
                let found = sha256(&bytes);
                if found != file.sha256 {
                    return Err(DownloadError::Pinned {
                        url: format!("{published_base}/{}", file.path),
                        found,
                        expected: file.sha256.clone(),
                    });
                }
                let name = file.path.rsplit('/').next().unwrap_or_default();
                let target = config.out.join(name);
                let written = publish_if_changed(&target, &bytes)?;
                fetched.note(target, written);
            }
        }
        Tables::First {
            taxonomy,
            counts,
            existing,
        } => {
            let remote = remote::open(base, &config.http)?;
            let rule = Rule {
                taxonomy: &Taxonomy::read(taxonomy).map_err(crate::labels::LabelsError::from)?,
                counts: *counts,
                existing: existing.as_deref().map(tables::clips_below),
            };
            for (name, text) in made(&line.to(&*remote), dataset, &rule)? {
                let target = config.out.join(name);
                let written = publish_if_changed(&target, text.as_bytes())?;
                fetched.note(target, written);
            }
            let target = config.out.join("classes.csv");
            let bytes = std::fs::read(taxonomy).map_err(ArtifactError::at("read", taxonomy))?;
            let written = publish_if_changed(&target, &bytes)?;
            fetched.note(target, written);
        }
    }
    for (name, text) in CARRIED {
        let target = config.out.join(name);
        if !target.exists() {
            publish(&target, |w| w.write_all(text.as_bytes()))?;
            fetched.note(target, true);
        }
    }
    if let Some(out) = &config.frame_folders {
        let remote = remote::open(published_base, &config.http)?;
        let folders = &sources.labels.frame_folders;
        frames(&line.to(&*remote), folders, out, &mut fetched)?;
    }
    Ok(fetched)
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
) -> Result<Vec<(String, String)>, DownloadError> {
    let path = dataset
        .annotations
        .get("train")
        .ok_or_else(|| DownloadError::Text {
            what: "sources.toml".into(),
            reason: "the dataset has no annotations of train".into(),
        })?;
    let stream = Stream::new(line, path, Facts::default());
    tables::make(rule, Path::new(path), stream).map_err(|error| DownloadError::Text {
        what: "annotations".into(),
        reason: error.to_string(),
    })
}

/// Copies a remote file of any size; says whether that changed anything.
fn copy(line: &Line<'_>, path: &str, target: &Path) -> Result<bool, DownloadError> {
    let mut draft = Draft::new(target)?;
    let mut hasher = blake3::Hasher::new();
    let mut stream = Stream::new(line, path, Facts::default());
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
    if target.exists() && hash_file(target)? == hasher.finalize().to_hex().as_str() {
        return Ok(false);
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
