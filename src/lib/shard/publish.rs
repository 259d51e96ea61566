//! Publishing a folder of shards in an object store, the index last.

use std::fmt;
use std::path::{Path, PathBuf};

use super::ShardError;
use super::index::Index;
use crate::artifact;
use crate::parallel;
use crate::store::{Client, RemoteError, read_pieces};
use crate::tables::IndexRow;

/// Shards that are sent at the same time.
const SENDING: usize = 4;

/// What a publication came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Published {
    /// Files that were sent.
    pub sent: usize,
    /// Files that were there, with the same bytes.
    pub unchanged: usize,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} files published, {} there already",
            self.sent, self.unchanged
        )
    }
}

/// Publishes the shards of `folder` that its index names, then the index. A file that is there
/// already is never replaced: it is read and compared.
///
/// # Errors
/// When the index cannot be read, the store refuses or cannot be reached, or has another file under
/// one of the names.
pub fn publish(folder: &Path, client: &Client) -> Result<Published, ShardError> {
    let index = Index::read(&folder.join(IndexRow::FILE), folder)?;
    let shards: Vec<&str> = index.names().collect();
    let send = |name: &&str| publish_file(client, &folder.join(name), name);
    let mut sent = parallel::try_each(&shards, SENDING, send)?;
    sent.push(send(&IndexRow::FILE)?);
    let files = sent.len();
    let sent = sent.into_iter().filter(|sent| *sent).count();
    Ok(Published {
        sent,
        unchanged: files - sent,
    })
}

/// Publishes a file; says whether it was sent.
pub(super) fn publish_file(client: &Client, local: &Path, name: &str) -> Result<bool, ShardError> {
    if client.patiently(|| client.remote.create(name, local))? {
        return Ok(true);
    }
    if remote_hash(client, name)? == artifact::hash_file(local)? {
        return Ok(false);
    }
    Err(ShardError::Occupied {
        path: PathBuf::from(format!("{}/{name}", client.source)),
        local: local.to_owned(),
    })
}

/// The hash of the file that the store has under this name.
pub(super) fn remote_hash(client: &Client, name: &str) -> Result<String, RemoteError> {
    let mut hasher = blake3::Hasher::new();
    read_pieces(client, name, |piece| {
        hasher.update(piece);
        Ok::<_, RemoteError>(())
    })?;
    Ok(hasher.finalize().to_hex().to_string())
}
