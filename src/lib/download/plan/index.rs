//! What a source says of itself: its archives, its classes, and how the numbers of the ones stand
//! for the others.

use std::collections::BTreeMap;
use std::path::Path;

use super::planned::PlannedArchive;
use super::sources::{Dataset, MAX_ANNOTATIONS_BYTES};
use crate::download::archive::has_drive;
use crate::download::error::DownloadError;
use crate::download::source::{
    Client, Fault, Link, RemoteError, escaped_name, is_archive, limited, read_small,
};
use crate::named_csv::NamedCsv;

/// Largest archive index.
const MAX_INDEX_BYTES: u64 = 4 << 20;
/// Most archives of an index; the largest official one has a thousand.
const MAX_ARCHIVES: usize = 20_000;
/// Longest path of an archive, in bytes.
const MAX_PATH_BYTES: usize = 2000;

/// The archives of a folder as the source lists them.
pub(crate) fn index(
    client: &Client,
    dataset: &Dataset,
    folder: &str,
) -> Result<Vec<PlannedArchive>, DownloadError> {
    let path = &dataset.indexes[folder];
    match read_small(client, path, MAX_INDEX_BYTES) {
        Ok(bytes) => {
            let text = String::from_utf8(bytes).map_err(|e| DownloadError::Text {
                what: path.clone(),
                reason: e.to_string(),
            })?;
            parse_index(path, &text, dataset.indexed_as(), folder, &client.source)
        }
        Err(error) if matches!(error.kind, Fault::Status { code: 404, .. }) => {
            let Some(list) = client.remote.list()? else {
                return Err(error.into());
            };
            let prefix = format!("{folder}/");
            let foldered = list.iter().any(|p| p.starts_with(&prefix));
            let mut archives = Vec::new();
            for path in list {
                if foldered && !path.starts_with(&prefix) {
                    continue;
                }
                let path = escaped_name(&path);
                match refusal(&path) {
                    None => archives.push(PlannedArchive::at(Link::from(path), &client.source)),
                    Some(reason) => {
                        tracing::warn!("archive {} passed over: {reason}", Link::from(path));
                    }
                }
            }
            Ok(archives)
        }
        Err(error) => Err(error.into()),
    }
}

/// Reads an index: a URL a line. Of URLs below `base` the rest is the path below whatever source is
/// used; a bare file name lies in the index's own folder.
fn parse_index(
    index: &str,
    text: &str,
    base: &str,
    folder: &str,
    source: &str,
) -> Result<Vec<PlannedArchive>, DownloadError> {
    let mut links: BTreeMap<String, Link> = BTreeMap::new();
    let mut archives = Vec::new();
    for (number, line) in lines(text).enumerate() {
        let url = line.trim_matches(['"', '\'']).trim();
        if url.is_empty() || url.starts_with('#') {
            continue;
        }
        let url = &unquestioned(url);
        let below = url.strip_prefix(base).and_then(|p| p.strip_prefix('/'));
        let link = Link::from(match below {
            Some(path) => path.to_owned(),
            None if url.contains('/') => url.clone(),
            None => format!("{folder}/{url}"),
        });
        let path = link.bare();
        let reason = refusal(&path).or_else(|| match links.get(&path) {
            Some(before) if *before != link => {
                Some("it differs from another line in its query alone, which no ledger may hold")
            }
            _ if archives.len() == MAX_ARCHIVES => Some("there are too many before it"),
            _ => None,
        });
        if let Some(reason) = reason {
            return Err(DownloadError::Index {
                index: index.to_owned(),
                line: number + 1,
                link,
                reason,
            });
        }
        links.insert(path, link.clone());
        archives.push(PlannedArchive::at(link, source));
    }
    Ok(archives)
}

/// The lines of a text from any system, without a byte order mark and the spaces around them.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    let text = text.trim_start_matches('\u{feff}');
    // A carriage return alone ends a line where no newline does.
    let end = if text.contains('\n') { '\n' } else { '\r' };
    text.split(end).map(str::trim)
}

/// A URL in which a `?` that belongs to the file's name is escaped: what follows it is no query but
/// the end of an archive's name.
fn unquestioned(url: &str) -> String {
    match url.split_once('?') {
        Some((_, query)) if is_archive(url) && !query.contains('=') => url.replace('?', "%3F"),
        _ => url.to_owned(),
    }
}

/// Why a text cannot be an archive's path below a source: with `--keep-archives` it becomes one
/// below a folder of ours.
fn refusal(path: &str) -> Option<&'static str> {
    let (scheme, below) = path.split_once("://").unwrap_or(("", path));
    let mut parts = below.split(['/', '\\']);
    if path.len() > MAX_PATH_BYTES {
        Some("it is too long")
    } else if path.chars().any(char::is_control) {
        Some("it holds control characters")
    } else if !matches!(scheme, "" | "http" | "https") {
        Some("archives are fetched by http and https alone")
    } else if below.starts_with(['/', '\\']) || (scheme.is_empty() && has_drive(below)) {
        Some("it is an absolute path")
    } else if parts.any(|part| part == "..") {
        Some("it leads out of its folder")
    } else if below.ends_with('/') || below.is_empty() {
        Some("it names no file")
    } else {
        None
    }
}

/// The classes of the official annotations in sorted order, each with its number of clips; empty
/// where there are none.
pub(crate) fn annotated_classes(
    client: &Client,
    dataset: &Dataset,
    folder: &str,
) -> Result<BTreeMap<String, usize>, DownloadError> {
    let mut classes = BTreeMap::new();
    let Some(path) = dataset.annotations.get(folder) else {
        return Ok(classes);
    };
    let stream = limited(client, path, MAX_ANNOTATIONS_BYTES);
    let table = match NamedCsv::uneven(Path::new(path), stream).map_err(DownloadError::from) {
        Ok(table) => table,
        Err(DownloadError::Remote(RemoteError {
            kind: Fault::Status {
                code: 403 | 404, ..
            },
            ..
        })) => {
            tracing::info!("the source has no {path}: archives are known by their first headers");
            return Ok(classes);
        }
        Err(error) => return Err(error),
    };
    let Some(column) = table.position("label") else {
        return Ok(classes);
    };
    for row in table.rows() {
        let (_, record) = row?;
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
pub(crate) fn number(archives: &mut [PlannedArchive], classes: &BTreeMap<String, usize>) {
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

    fn paths(text: &str) -> Result<Vec<String>, DownloadError> {
        let archives = parse_index("index.txt", text, "https://s3/k", "train", "http://mirror/")?;
        Ok(archives.into_iter().map(|a| a.path).collect())
    }

    #[test]
    fn an_index_gives_paths_below_any_source() {
        let text = "https://s3/k/train/k700_train_001.tar.gz\n\n# note\nk700_train_002.tar.gz\nhttps://me:hush@else/x.tar.gz?sig=hush";
        assert_eq!(
            paths(text).unwrap(),
            [
                "train/k700_train_001.tar.gz",
                "train/k700_train_002.tar.gz",
                "https://else/x.tar.gz"
            ]
        );
        let archives = parse_index("i", text, "https://s3/k", "train", "http://mirror/").unwrap();
        // A mirror is asked, whatever the index calls its archives.
        let asked = archives.iter().map(|archive| archive.url.as_str());
        assert!(asked.eq([
            "http://mirror/train/k700_train_001.tar.gz",
            "http://mirror/train/k700_train_002.tar.gz",
            "https://else/x.tar.gz"
        ]));
        let last = &archives[2];
        assert_eq!(last.link.reveal(), "https://me:hush@else/x.tar.gz?sig=hush");
        assert!(!format!("{archives:?}").contains("hush"));
    }

    #[test]
    fn lines_of_any_system_and_names_with_any_letter_are_read() {
        for text in [
            "\u{feff}https://s3/k/train/a.tar.gz\r\nb.tar.gz\r\n",
            "https://s3/k/train/a.tar.gz\rb.tar.gz\r",
            "\"https://s3/k/train/a.tar.gz\"\n'b.tar.gz'\n",
        ] {
            let expected = ["train/a.tar.gz", "train/b.tar.gz"];
            assert_eq!(paths(text).unwrap(), expected, "{text:?}");
        }
        let text = "https://s3/k/train/a#1.tar.gz\nwhat?.tar.gz\nfür.tgz\na.tar.gz?sig=x\n";
        assert_eq!(
            paths(text).unwrap(),
            [
                "train/a#1.tar.gz",
                "train/what%3F.tar.gz",
                "train/für.tgz",
                "train/a.tar.gz"
            ]
        );
    }

    #[test]
    fn lines_that_would_lead_elsewhere_are_refused_by_number_and_reason() {
        for (line, reason) in [
            ("/etc/passwd.tar.gz", "absolute"),
            ("https://s3/k//etc/x.tar.gz", "absolute"),
            ("C:\\x\\y/x.tar.gz", "absolute"),
            ("../x.tar.gz", "leads out"),
            ("a/../../x.tar.gz", "leads out"),
            ("https://else/../x.tar.gz", "leads out"),
            ("a\\..\\x/y.tar.gz", "leads out"),
            ("a/\u{1b}[2Jx.tar.gz", "control"),
            ("file:///etc/x.tar.gz", "http"),
            ("train/", "no file"),
        ] {
            let error = paths(&format!("a.tar.gz\n{line}")).unwrap_err();
            let text = error.to_string();
            assert!(
                text.contains(reason) && text.starts_with("index.txt, line 2: "),
                "{text}"
            );
            assert!(!text.contains('\u{1b}'), "{text}");
        }
        let long = format!("a/{}.tar.gz", "x".repeat(MAX_PATH_BYTES));
        assert!(paths(&long).unwrap_err().to_string().len() < 500);
        let mut many = String::new();
        for n in 0..=MAX_ARCHIVES {
            many += &format!("{n}.tar.gz\n");
        }
        assert!(paths(&many).unwrap_err().to_string().contains("too many"));
        let twice = "https://else/x?id=1\nhttps://else/x?id=2\n";
        assert!(paths(twice).unwrap_err().to_string().contains("query"));
        assert_eq!(paths("a.tar.gz\na.tar.gz\n").unwrap().len(), 2);
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
