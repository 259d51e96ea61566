//! What has to be fetched: which archives, by index, numbering and first headers.

use std::collections::{BTreeMap, BTreeSet};

use super::DownloadError;
use super::lanes;
use super::ledger::{ArchiveRecord, ArchiveState};
use super::probe::probe_all;
use super::remote::{Facts, Fault, RemoteError};
use super::sources::{Dataset, Numbering};
use super::stream::{Line, Stream};

/// Largest archive index.
const MAX_INDEX_BYTES: u64 = 4 << 20;

/// A clip that is to be fetched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedClip {
    /// The subcategory, which is the Kinetics class.
    pub subcategory: String,
    /// The archive folder as the label table calls it.
    pub source_split: String,
}

/// An archive that may hold wanted clips.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlannedArchive {
    /// Path below the source.
    pub path: String,
    /// URL as the index has it.
    pub url: String,
    /// The class that it should hold; none where classes are spread over all archives.
    pub class: Option<String>,
    /// The class that its first header names.
    pub first_class: Option<String>,
    /// Size and tag.
    pub facts: Facts,
    /// Clips looked for in it that are not there yet.
    pub clips: usize,
    /// Clips of its class in the official annotations; 0 where unknown.
    pub annotated: usize,
}

impl PlannedArchive {
    /// Bytes that its wanted clips will take on disk, estimated from their share of the class.
    #[must_use]
    pub fn estimated_clip_bytes(&self) -> Option<u64> {
        let bytes = u128::from(self.facts.bytes?);
        let all = self.annotated.max(self.clips).max(1) as u128;
        u64::try_from(bytes * self.clips as u128 / all).ok()
    }
}

/// What will be fetched.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Archives to read, by path.
    pub archives: Vec<PlannedArchive>,
    /// Archives of the index.
    pub indexed: usize,
    /// Whether archive numbers were found to tell the class.
    pub numbered: bool,
    /// What every archive's first header says, for the ledger.
    pub probed: Vec<PlannedArchive>,
}

/// Plans the fetching of `wanted` (those that are not there yet), given what earlier runs found out.
///
/// # Errors
/// When the index cannot be read.
pub fn plan(
    line: &Line<'_>,
    dataset: &Dataset,
    wanted: &BTreeMap<String, WantedClip>,
    known: &BTreeMap<String, ArchiveRecord>,
    parallel: usize,
) -> Result<Plan, DownloadError> {
    let mut plan = Plan {
        numbered: true,
        ..Plan::default()
    };
    for (folder, clips) in by_folder(dataset, wanted) {
        let mut archives = index(line, dataset, folder)?;
        plan.indexed += archives.len();
        if dataset.numbering == Numbering::SortedClass {
            let classes = annotated_classes(line, dataset, folder)?;
            number(&mut archives, &classes);
        }
        let (archives, numbered) = choose(line, archives, &clips, known, parallel);
        plan.numbered &= numbered;
        for archive in archives {
            let open = open_clips(&archive, &clips, known);
            plan.probed.push(archive.clone());
            if open > 0 {
                plan.archives.push(PlannedArchive {
                    clips: open,
                    ..archive
                });
            }
        }
    }
    let facts = lanes::each(&plan.archives, parallel, |archive| {
        line.patiently(|| line.remote.facts(&archive.path))
    });
    for (archive, facts) in plan.archives.iter_mut().zip(facts) {
        match facts {
            Ok(facts) => archive.facts = facts,
            // Some servers know no HEAD; the GET will tell, or fail for good.
            Err(error) => tracing::debug!(%error, "size unknown"),
        }
    }
    plan.archives.sort_by(|a, b| a.path.cmp(&b.path));
    plan.archives.dedup_by(|a, b| a.path == b.path);
    Ok(plan)
}

type Clips<'a> = BTreeMap<&'a str, &'a WantedClip>;

/// The wanted clips of each archive folder; a clip whose table names no folder is looked for in all.
fn by_folder<'a>(
    dataset: &'a Dataset,
    wanted: &'a BTreeMap<String, WantedClip>,
) -> BTreeMap<&'a str, Clips<'a>> {
    let mut folders: BTreeMap<&str, Clips<'a>> = BTreeMap::new();
    for (id, clip) in wanted {
        match dataset.folder(&clip.source_split) {
            Some(folder) => {
                folders.entry(folder).or_default().insert(id, clip);
            }
            None => {
                for folder in dataset.indexes.keys() {
                    folders.entry(folder).or_default().insert(id, clip);
                }
            }
        }
    }
    folders
}

/// How many of the clips may be in the archive and are not known to be absent from it.
fn open_clips(
    archive: &PlannedArchive,
    clips: &Clips<'_>,
    known: &BTreeMap<String, ArchiveRecord>,
) -> usize {
    let read = known
        .get(&archive.path)
        .filter(|r| r.state == ArchiveState::Complete);
    clips
        .iter()
        .filter(|(_, clip)| {
            archive
                .class
                .as_ref()
                .is_none_or(|c| *c == clip.subcategory)
        })
        .filter(|(id, _)| {
            !read.is_some_and(|r| {
                r.sought.iter().any(|s| s == *id) && !r.kept.iter().any(|k| k.clip_id == **id)
            })
        })
        .count()
}

/// The archives of a folder as the source lists them.
fn index(
    line: &Line<'_>,
    dataset: &Dataset,
    folder: &str,
) -> Result<Vec<PlannedArchive>, DownloadError> {
    let path = &dataset.indexes[folder];
    match line.read_small(path, MAX_INDEX_BYTES) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map_err(|e| DownloadError::Text {
                what: path.clone(),
                reason: e.to_string(),
            })?;
            Ok(parse_index(&text, &dataset.base, folder))
        }
        Err(
            error @ RemoteError {
                kind: Fault::Status { code: 404, .. },
                ..
            },
        ) => {
            let Some(list) = line.remote.list()? else {
                return Err(error.into());
            };
            let prefix = format!("{folder}/");
            let foldered = list.iter().any(|p| p.starts_with(&prefix));
            Ok(list
                .into_iter()
                .filter(|p| !foldered || p.starts_with(&prefix))
                .map(|path| PlannedArchive {
                    url: path.clone(),
                    path,
                    ..PlannedArchive::default()
                })
                .collect())
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads an index: a URL a line. Of URLs below `base` the rest is the path below whatever source is used.
fn parse_index(text: &str, base: &str, folder: &str) -> Vec<PlannedArchive> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#') && !line.contains(".."))
        .map(|url| {
            let below = url.strip_prefix(base).and_then(|p| p.strip_prefix('/'));
            let path = match below {
                Some(path) => path.to_owned(),
                None if url.contains('/') => url.to_owned(),
                None => format!("{folder}/{url}"),
            };
            PlannedArchive {
                path,
                url: url.to_owned(),
                ..PlannedArchive::default()
            }
        })
        .collect()
}

/// The classes of the official annotations in sorted order, each with its number of clips; empty where there are none.
fn annotated_classes(
    line: &Line<'_>,
    dataset: &Dataset,
    folder: &str,
) -> Result<BTreeMap<String, usize>, DownloadError> {
    let Some(path) = dataset.annotations.get(folder) else {
        return Ok(BTreeMap::new());
    };
    let mut classes = BTreeMap::new();
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .flexible(true)
        .from_reader(Stream::new(line, path, Facts::default()));
    let absent = |error: &csv::Error| match error.kind() {
        csv::ErrorKind::Io(io) => io
            .get_ref()
            .and_then(|e| e.downcast_ref::<RemoteError>())
            .is_some_and(|e| {
                matches!(
                    e.kind,
                    Fault::Status {
                        code: 403 | 404,
                        ..
                    }
                )
            }),
        _ => false,
    };
    let failed = |error: csv::Error| DownloadError::Text {
        what: path.clone(),
        reason: error.to_string(),
    };
    let column = match reader.headers() {
        Ok(headers) => headers.iter().position(|h| h == "label"),
        Err(error) if absent(&error) => {
            tracing::info!("the source has no {path}: archives are known by their first headers");
            None
        }
        Err(error) => return Err(failed(error)),
    };
    let Some(column) = column else {
        return Ok(classes);
    };
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(failed)? {
        if let Some(label) = record.get(column) {
            match classes.get_mut(label) {
                Some(count) => *count += 1,
                None => {
                    classes.insert(label.to_owned(), 1);
                }
            }
        }
    }
    Ok(classes)
}

/// Gives each archive the class that its number stands for.
fn number(archives: &mut [PlannedArchive], classes: &BTreeMap<String, usize>) {
    let sorted: Vec<(&String, &usize)> = classes.iter().collect();
    for archive in archives {
        let class = archive_number(&archive.path).and_then(|n| sorted.get(n.checked_sub(1)?));
        if let Some((class, annotated)) = class {
            archive.class = Some((*class).clone());
            archive.annotated = **annotated;
        }
    }
}

/// The number in `.../k700_train_042.tar.gz`.
fn archive_number(path: &str) -> Option<usize> {
    let name = path.rsplit('/').next()?;
    let stem = name.split('.').next()?;
    let digits = stem.rsplit(|c: char| !c.is_ascii_digit()).next()?;
    digits.parse().ok()
}

/// The archives that can hold a wanted class, with what their first headers say, and whether their numbers can be trusted.
fn choose(
    line: &Line<'_>,
    archives: Vec<PlannedArchive>,
    clips: &Clips<'_>,
    known: &BTreeMap<String, ArchiveRecord>,
    parallel: usize,
) -> (Vec<PlannedArchive>, bool) {
    let classes: BTreeSet<&str> = clips.values().map(|c| c.subcategory.as_str()).collect();
    let wanted = |class: &Option<String>| class.as_deref().is_none_or(|c| classes.contains(c));
    let numbered = archives.iter().any(|a| a.class.is_some());
    if numbered {
        let likely: Vec<PlannedArchive> = archives
            .iter()
            .filter(|a| wanted(&a.class))
            .cloned()
            .collect();
        let probed = probe_all(line, likely, known, parallel);
        let contradicted = probed
            .iter()
            .find(|a| a.first_class.is_some() && a.class.is_some() && a.first_class != a.class);
        match contradicted {
            None => return (probed, true),
            Some(a) => tracing::warn!(
                archive = a.path,
                by_number = a.class.as_deref().unwrap_or_default(),
                by_header = a.first_class.as_deref().unwrap_or_default(),
                "archive numbers do not tell the class here: reading the first header of all {}",
                archives.len()
            ),
        }
    }
    let probed = probe_all(line, archives, known, parallel)
        .into_iter()
        .map(|a| PlannedArchive {
            class: a.first_class.clone(),
            ..a
        })
        .filter(|a| wanted(&a.class))
        .collect();
    (probed, false)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_index_gives_paths_below_any_source() {
        let text = "https://s3/k/train/k700_train_001.tar.gz\n\n# note\nk700_train_002.tar.gz\nhttps://else/x.tar.gz\n../x.tar.gz";
        let paths: Vec<String> = parse_index(text, "https://s3/k", "train")
            .into_iter()
            .map(|a| a.path)
            .collect();
        assert_eq!(
            paths,
            [
                "train/k700_train_001.tar.gz",
                "train/k700_train_002.tar.gz",
                "https://else/x.tar.gz"
            ]
        );
    }

    #[test]
    fn numbers_count_classes_in_sorted_order_from_one() {
        assert_eq!(archive_number("train/k700_train_042.tar.gz"), Some(42));
        assert_eq!(archive_number("train/part.tar.gz"), None);
        let classes = BTreeMap::from([("abseiling".into(), 3), ("yawning".into(), 5)]);
        let archive = |n: u32| PlannedArchive {
            path: format!("train/k700_train_{n:03}.tar.gz"),
            ..PlannedArchive::default()
        };
        let mut archives = [archive(0), archive(1), archive(2), archive(3)];
        number(&mut archives, &classes);
        let found: Vec<_> = archives.iter().map(|a| a.class.as_deref()).collect();
        assert_eq!(found, [None, Some("abseiling"), Some("yawning"), None]);
        assert_eq!(archives[2].annotated, 5);
    }
}
