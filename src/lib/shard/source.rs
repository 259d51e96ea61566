//! Where shards are read from: a folder, or an object store.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::store::{HttpConfig, Link, RetryConfig};

/// Bytes that a cache of shards may take where nothing else is asked for.
pub const DEFAULT_CACHE_BYTES: u64 = 64 << 30;

/// Where shards are read from.
#[derive(Clone, Debug)]
pub enum ShardSource {
    /// A folder.
    Folder(PathBuf),
    /// An object store, through a cache on this host.
    Store(Box<ShardStore>),
}

/// Shards in an object store, or behind any other address, and how they are fetched.
#[derive(Clone, Debug)]
pub struct ShardStore {
    /// What index and shards lie below: `s3://bucket/prefix`.
    pub address: Link,
    /// The connection, and who asks.
    pub http: HttpConfig,
    /// How failures are retried.
    pub retry: RetryConfig,
    /// The folder for what is fetched, which the processes of a host may share. Default none, which
    /// is refused.
    pub cache: Option<PathBuf>,
    /// Most bytes in that folder; at least those of the two largest shards and the index.
    pub cache_bytes: u64,
}

impl ShardStore {
    /// The shards below `address`, fetched with the usual settings.
    #[must_use]
    pub fn new(address: Link) -> Self {
        Self {
            address,
            http: HttpConfig::default(),
            retry: RetryConfig::default(),
            cache: None,
            cache_bytes: DEFAULT_CACHE_BYTES,
        }
    }
}

impl ShardSource {
    /// What `name` means: an address, with `://` in it and read with the usual settings, or a folder.
    #[must_use]
    pub fn named(name: PathBuf) -> Self {
        match name.to_str().filter(|text| text.contains("://")) {
            Some(address) => Self::Store(Box::new(ShardStore::new(Link::from(address)))),
            None => Self::Folder(name),
        }
    }

    /// How messages name it.
    #[must_use]
    pub fn shown(&self) -> PathBuf {
        match self {
            Self::Folder(folder) => folder.clone(),
            Self::Store(store) => PathBuf::from(store.address.to_string()),
        }
    }
}

impl fmt::Display for ShardSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.shown().display(), f)
    }
}

impl From<PathBuf> for ShardSource {
    fn from(folder: PathBuf) -> Self {
        Self::Folder(folder)
    }
}

impl From<&Path> for ShardSource {
    fn from(folder: &Path) -> Self {
        Self::Folder(folder.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_store_and_shows_no_secret() {
        let source = ShardSource::named("https://me:hush@host/shards?sig=hush".into());
        assert!(matches!(source, ShardSource::Store(_)));
        assert_eq!(source.to_string(), "https://host/shards");
        assert!(!format!("{source:?}").contains("hush"));
        let folder = ShardSource::named("data/shards".into());
        assert!(matches!(folder, ShardSource::Folder(_)));
        assert_eq!(folder.shown(), Path::new("data/shards"));
    }
}
