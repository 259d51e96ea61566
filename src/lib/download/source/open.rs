//! Which kind of source a text names, and a client of it.

use std::path::Path;

use super::client::Client;
use super::http::{Http, HttpConfig};
use super::local::LocalFolder;
use super::pace::RetryConfig;
use super::remote::Remote;
use super::secret::Link;
use crate::download::error::DownloadError;

/// A client of `source`, with an optional limit on the bytes a second of all its readers.
///
/// # Errors
/// As [`open`].
pub fn connect(
    source: &Link,
    http: &HttpConfig,
    retry: RetryConfig,
    bytes_per_second: Option<u64>,
) -> Result<Client, DownloadError> {
    let remote = open(source, http)?;
    let source = source.bare();
    Ok(Client::new(
        remote,
        source,
        http.stall,
        retry,
        bytes_per_second,
    ))
}

/// Opens `source`: a URL with one of the known schemes, or a folder.
///
/// # Errors
/// When the scheme is unknown, the folder is none, or an object store's credentials are missing.
pub fn open(source: &Link, config: &HttpConfig) -> Result<Box<dyn Remote>, DownloadError> {
    let text = source.reveal();
    let base = text.trim_end_matches('/');
    let folder = match base.split_once("://") {
        Some(("file", path)) => Path::new(path),
        Some(_) => return Ok(Box::new(Http::new(base, config)?)),
        None => Path::new(text),
    };
    if !folder.is_dir() {
        return Err(DownloadError::Source {
            source_text: source.clone(),
            reason: "is no folder".to_owned(),
        });
    }
    Ok(Box::new(LocalFolder::new(folder)))
}
