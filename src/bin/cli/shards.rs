//! The flags of shards that are read: a folder, or an object store through a cache.

use std::path::PathBuf;

use clap::Args;
use incdec::shard::{DEFAULT_CACHE_BYTES, ShardSource};

use super::StoreArgs;

/// How shards are read that lie behind an address: s3://bucket/prefix, gs://bucket/prefix,
/// az://account/container/prefix, https://host/prefix.
#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "Shards in an object store")]
pub(crate) struct ShardArgs {
    /// The folder on a local disk into which shards are fetched; processes of a host may share it.
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// Most bytes in the cache, at least those of the two largest shards and the index.
    #[arg(long, value_name = "BYTES", default_value_t = DEFAULT_CACHE_BYTES)]
    cache_bytes: u64,
    #[command(flatten)]
    store: StoreArgs,
}

impl ShardArgs {
    /// The shards at a path or an address.
    pub(crate) fn source(&self, shards: PathBuf) -> ShardSource {
        let mut source = ShardSource::named(shards);
        if let ShardSource::Store(store) = &mut source {
            store.cache.clone_from(&self.cache);
            store.cache_bytes = self.cache_bytes;
            store.http = self.store.http();
            store.retry = self.store.retry();
        }
        source
    }
}
