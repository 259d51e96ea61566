//! What a source says of itself: its archives, its classes, and how the numbers of the ones stand for the others.

use std::collections::BTreeMap;

use super::DownloadError;
use super::plan::PlannedArchive;
use super::remote::{Facts, Fault, RemoteError};
use super::sources::Dataset;
use super::stream::{Line, Stream};

/// Largest archive index.
const MAX_INDEX_BYTES: u64 = 4 << 20;

/// The archives of a folder as the source lists them.
pub(super) fn index(
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
            Ok(parse_index(&text, dataset.indexed_as(), folder))
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

/// Reads an index: a URL a line. Of URLs below `base` the rest is the path below whatever source is used; a bare file name
/// lies in the index's own folder.
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
pub(super) fn annotated_classes(
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
pub(super) fn number(archives: &mut [PlannedArchive], classes: &BTreeMap<String, usize>) {
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
