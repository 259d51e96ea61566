//! The store's side: what is fetched from it, and whether that is what the index says.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use crate::artifact::{ArtifactError, Draft};
use crate::parallel;
use crate::shard::ShardError;
use crate::shard::folder::parse_shard_name;
use crate::shard::footer::Footer;
use crate::shard::index::Index;
use crate::shard::reader::Shard;
use crate::shard::source::ShardStore;
use crate::shard::stored::StoredClip;
use crate::shard::strays::{Stray, Strays};
use crate::store::{Client, Facts, Fault, Link, RemoteError, read_pieces, read_range, read_small};
use crate::tables::IndexRow;

/// Largest index that is fetched.
const MAX_INDEX_BYTES: u64 = 1 << 30;
/// Shards whose size is asked for at the same time.
const ASKING: usize = 16;
/// How often something is fetched that arrives damaged, each time in another way.
const MAX_ARRIVALS: usize = 5;
/// The last bytes of a shard, which hold its footer in nearly all cases.
const TAIL_BYTES: u64 = 64 << 10;

/// The shards of a store that an index names.
pub(in crate::shard) struct Origin {
    pub(in crate::shard) client: Client,
    /// The address, for messages.
    shown: PathBuf,
    index: Arc<Index>,
    /// The size of each shard that was asked for it; none of those that were not there.
    bytes: Mutex<BTreeMap<String, Option<u64>>>,
    footers: Mutex<BTreeMap<String, Arc<Footer>>>,
    /// Shards that are not what the index says.
    replaced: Mutex<BTreeSet<String>>,
}

/// What arrived: the hash of its bytes, and what it is or what is wrong with it.
type Arrival<T> = (blake3::Hash, Result<T, String>);

/// Fetches the index and hands its bytes to `read` with their hash, again where these do not make
/// sense until they arrive twice the same.
pub(super) fn fetch_index<T>(
    client: &Client,
    mut read: impl FnMut(&[u8], &blake3::Hash) -> Result<T, ShardError>,
) -> Result<T, ShardError> {
    let mut before = Vec::new();
    loop {
        let bytes = read_small(client, IndexRow::FILE, MAX_INDEX_BYTES)?;
        let hash = blake3::hash(&bytes);
        match read(&bytes, &hash) {
            Err(error) if before.contains(&hash) || before.len() + 1 >= MAX_ARRIVALS => {
                return Err(error);
            }
            Err(error) => tracing::warn!("{error}; fetching it once more"),
            Ok(read) => return Ok(read),
        }
        before.push(hash);
    }
}

impl Origin {
    /// Shards of no size yet: that of one is asked for with what is first fetched of it.
    pub(in crate::shard) fn new(client: Client, store: &ShardStore, index: &Arc<Index>) -> Self {
        Self {
            client,
            shown: PathBuf::from(store.address.to_string()),
            index: Arc::clone(index),
            bytes: Mutex::default(),
            footers: Mutex::default(),
            replaced: Mutex::default(),
        }
    }

    /// Asks the store for the size of every shard that the index names.
    pub(in crate::shard) fn with_sizes(self) -> Result<Self, ShardError> {
        let names: Vec<&str> = self.index.names().collect();
        let sizes = parallel::try_each(&names, ASKING, |name| size(&self.client, name))?;
        let sizes = names.into_iter().map(str::to_owned).zip(sizes);
        lock(&self.bytes).extend(sizes);
        Ok(self)
    }

    /// Bytes of the two largest shards.
    pub(super) fn two_largest_bytes(&self) -> u64 {
        let mut sizes: Vec<u64> = lock(&self.bytes).values().copied().flatten().collect();
        sizes.sort_unstable();
        sizes.iter().rev().take(2).sum()
    }

    /// The first shard that was not there.
    pub(super) fn absent(&self) -> Option<PathBuf> {
        let shards = lock(&self.bytes);
        let absent = shards.iter().find(|(_, bytes)| bytes.is_none());
        absent.map(|(name, _)| self.shown.join(name))
    }

    /// Clips of a shard that the index names.
    pub(super) fn clips(&self, shard: &str) -> usize {
        self.index.rows_of(shard).count()
    }

    /// The size of a shard.
    pub(super) fn bytes(&self, shard: &str) -> Result<u64, ShardError> {
        let known = lock(&self.bytes).get(shard).copied().flatten();
        if let Some(bytes) = known {
            return Ok(bytes);
        }
        let bytes = size(&self.client, shard)?.ok_or_else(|| self.absence(shard))?;
        lock(&self.bytes).insert(shard.to_owned(), Some(bytes));
        Ok(bytes)
    }

    /// What has become of a shard since its size was asked for.
    pub(super) fn changed(&self, shard: &str) -> Option<&'static str> {
        if lock(&self.replaced).contains(shard) {
            return Some("has changed");
        }
        let then = lock(&self.bytes).get(shard).copied().flatten()?;
        match self.client.remote.facts(shard) {
            Err(error) if error.kind.is_absence() => Some("has gone"),
            Ok(Facts {
                bytes: Some(now), ..
            }) if now != then => Some("has changed"),
            _ => None,
        }
    }

    /// Fetches a whole shard into `draft`.
    ///
    /// # Errors
    /// When the store or the disk fails, or the shard is not what the index says.
    pub(in crate::shard) fn fetch(&self, shard: &str, draft: &mut Draft) -> Result<(), ShardError> {
        self.intact(shard, || {
            let hash = self.copy(shard, draft)?;
            Ok((hash, self.compare(shard, draft.path())))
        })
    }

    /// Fetches the index alone into `draft`.
    ///
    /// # Errors
    /// When the store or the disk fails, or the index is damaged.
    pub(in crate::shard) fn fetch_index(
        client: &Client,
        address: &Link,
        draft: &mut Draft,
    ) -> Result<Index, ShardError> {
        let path = draft.path().to_owned();
        let shown = PathBuf::from(address.to_string());
        fetch_index(client, |bytes, _| {
            draft
                .file()
                .rewind()
                .map_err(ArtifactError::at("write", &path))?;
            let written = draft.file().write_all(bytes);
            written.map_err(ArtifactError::at("write", &path))?;
            let sized = draft.file().set_len(bytes.len() as u64);
            sized.map_err(ArtifactError::at("write", &path))?;
            Index::read(&path, &shown)
        })
    }

    /// Fetches one clip.
    ///
    /// # Errors
    /// When the store fails, or the clip is not what the index says.
    pub(in crate::shard) fn clip(&self, shard: &str, row: i64) -> Result<StoredClip, ShardError> {
        self.intact(shard, || {
            let (hash, clip) = self.row(shard, row)?;
            let clip = clip.and_then(|clip| match clip.differs_from(self.index.row(shard, row)) {
                None => Ok(clip),
                Some(reason) => Err(reason),
            });
            if clip.is_err() {
                // It may be the footer that arrived damaged.
                lock(&self.footers).remove(shard);
            }
            Ok((hash, clip))
        })
    }

    /// The shards that lie there, sorted; of a store that cannot list itself those that the index
    /// names.
    pub(super) fn stored(&self) -> Result<Vec<String>, ShardError> {
        let is_shard = |path: &str| parse_shard_name(path).is_some();
        let listed = self
            .client
            .patiently(|| self.client.remote.list(&is_shard))?;
        let named = || self.index.names().map(str::to_owned).collect();
        let mut shards = listed.unwrap_or_else(named);
        shards.sort_unstable();
        Ok(shards)
    }

    /// What lies in these shards that the index does not name. A damaged shard is passed over with a
    /// warning.
    pub(super) fn strays(&self, shards: &[String]) -> Result<Strays, ShardError> {
        let looked = parallel::try_each(shards, ASKING, |shard| match self.strays_of(shard) {
            Ok(found) => Ok(Some(found)),
            Err(e) if e.is_damage() => {
                let path = self.shown.join(shard);
                tracing::warn!("{} is not looked into: {e}", path.display());
                Ok(None)
            }
            Err(e) => Err(e),
        })?;
        let mut strays = Strays::default();
        for (shard, found) in shards.iter().zip(looked) {
            match found {
                Some(found) => strays.found.extend(found),
                None => strays.passed_over.push(shard.clone()),
            }
        }
        Ok(strays)
    }

    /// The rows of one shard that the index does not name.
    ///
    /// # Errors
    /// When the store fails, or a row is damaged.
    pub(in crate::shard) fn strays_of(&self, shard: &str) -> Result<Vec<Stray>, ShardError> {
        let named: BTreeSet<i64> = self.index.rows_of(shard).map(|(row, _)| row).collect();
        let rows = i64::try_from(self.footer(shard)?.len()).unwrap_or(i64::MAX);
        let unnamed = (0..rows).filter(|row| !named.contains(row));
        let stray = |row| -> Result<Stray, ShardError> {
            Ok(Stray {
                shard: shard.to_owned(),
                row,
                clip_id: self.stray(shard, row)?.clip_id,
            })
        };
        unnamed.map(stray).collect()
    }

    /// Fetches one clip that the index does not name.
    ///
    /// # Errors
    /// When the store fails, or the row is damaged.
    pub(in crate::shard) fn stray(&self, shard: &str, row: i64) -> Result<StoredClip, ShardError> {
        self.intact(shard, || {
            let (hash, clip) = self.row(shard, row)?;
            let intact = clip.and_then(|clip| {
                let whole = clip.intact().then_some(clip);
                whole.ok_or_else(|| "its bytes do not have their hash".to_owned())
            });
            Ok((hash, intact))
        })
    }

    /// The bytes of a row.
    ///
    /// # Errors
    /// When the store fails, or there is no such row.
    pub(in crate::shard) fn row_bytes(&self, shard: &str, row: i64) -> Result<u64, ShardError> {
        let span = self.footer(shard)?.span(&self.shown.join(shard), row)?;
        Ok(span.end - span.start)
    }

    /// Fetches a row as it is.
    fn row(&self, shard: &str, row: i64) -> Result<Arrival<StoredClip>, ShardError> {
        let path = self.shown.join(shard);
        let footer = self.footer(shard)?;
        let span = footer.span(&path, row)?;
        let end = span.end.min(self.bytes(shard)?);
        let bytes = read_range(&self.client, shard, span.start..end)?;
        let hash = blake3::hash(&bytes);
        let clip = footer.clip(&path, row, &Bytes::from(bytes), span.start);
        Ok((hash, clip.map_err(|e| e.to_string())))
    }

    fn footer(&self, shard: &str) -> Result<Arc<Footer>, ShardError> {
        if let Some(footer) = lock(&self.footers).get(shard) {
            return Ok(Arc::clone(footer));
        }
        let total = self.bytes(shard)?;
        let path = self.shown.join(shard);
        let footer = self.intact(shard, || {
            let mut from = total.saturating_sub(TAIL_BYTES);
            let mut tail = read_range(&self.client, shard, from..total)?;
            let needed = Footer::tail_bytes(&tail).unwrap_or(0).min(total);
            if needed > tail.len() as u64 {
                from = total - needed;
                tail = read_range(&self.client, shard, from..total)?;
            }
            let footer = Footer::read_tail(&path, &tail);
            Ok((blake3::hash(&tail), footer.map_err(|e| e.to_string())))
        })?;
        let footer = Arc::new(footer);
        lock(&self.footers).insert(shard.to_owned(), Arc::clone(&footer));
        Ok(footer)
    }

    /// Fetches again what arrives damaged, until it arrives twice the same: then it is the store
    /// that has it so.
    fn intact<T>(
        &self,
        shard: &str,
        mut fetch: impl FnMut() -> Result<Arrival<T>, ShardError>,
    ) -> Result<T, ShardError> {
        let mut before = Vec::new();
        loop {
            let (hash, reason) = match fetch()? {
                (_, Ok(whole)) => return Ok(whole),
                (hash, Err(reason)) => (hash, reason),
            };
            let path = self.shown.join(shard);
            if before.contains(&hash) {
                lock(&self.replaced).insert(shard.to_owned());
                return Err(ShardError::Replaced { path, reason });
            }
            before.push(hash);
            if before.len() == MAX_ARRIVALS {
                return Err(self.fault(
                    shard,
                    Fault::Connection(format!("it arrives damaged each time: {reason}")),
                ));
            }
            tracing::warn!("{}: {reason}; fetching it once more", path.display());
        }
    }

    /// Writes what the store has under this name into `draft`, and gives its hash.
    pub(in crate::shard) fn copy(
        &self,
        shard: &str,
        draft: &mut Draft,
    ) -> Result<blake3::Hash, ShardError> {
        let path = draft.path().to_owned();
        let writing = |e| ArtifactError::at("write", &path)(e);
        draft.file().rewind().map_err(writing)?;
        let (mut hasher, mut bytes) = (blake3::Hasher::new(), 0);
        read_pieces(&self.client, shard, |piece| {
            hasher.update(piece);
            bytes += piece.len() as u64;
            let written = draft.file().write_all(piece);
            written.map_err(|e| ShardError::from(writing(e)))
        })?;
        draft.file().set_len(bytes).map_err(writing)?;
        Ok(hasher.finalize())
    }

    /// Whether the file is the shard that the index describes, row by row.
    fn compare(&self, shard: &str, path: &Path) -> Result<(), String> {
        let file = Shard::open(path).map_err(|e| damage(&e))?;
        for (row, indexed) in self.index.rows_of(shard) {
            let clip = file.clip(row).map_err(|e| damage(&e))?;
            if let Some(reason) = clip.differs_from(Some(indexed)) {
                return Err(format!("row {row}: {reason}"));
            }
        }
        Ok(())
    }

    fn absence(&self, shard: &str) -> ShardError {
        let gone = Fault::Status {
            code: 404,
            retry_after: None,
        };
        self.fault(shard, gone)
    }

    fn fault(&self, shard: &str, kind: Fault) -> ShardError {
        let url = Link::from(self.shown.join(shard).display().to_string());
        RemoteError { url, kind }.into()
    }
}

/// What an error about a file under another name says is wrong.
fn damage(error: &ShardError) -> String {
    match error {
        ShardError::Damaged { reason, .. } => reason.clone(),
        ShardError::DamagedRow { row, reason, .. } => format!("row {row}: {reason}"),
        ShardError::NoSuchRow { row, rows, .. } => format!("it has {rows} rows, and no row {row}"),
        other => other.to_string(),
    }
}

/// The size of a file of the store; none where there is no such file.
fn size(client: &Client, name: &str) -> Result<Option<u64>, RemoteError> {
    match client.patiently(|| client.remote.facts(name)) {
        Ok(Facts {
            bytes: Some(bytes), ..
        }) => Ok(Some(bytes)),
        Ok(_) => Err(RemoteError {
            url: Link::from(format!("{}/{name}", client.source)),
            kind: Fault::Protocol("the answer does not say how large the file is".into()),
        }),
        Err(error) if error.kind.is_absence() => Ok(None),
        Err(error) => Err(error),
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What lies behind these locks is whole between any two statements.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
