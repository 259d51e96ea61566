//! Stored rows that the index does not name: clips that left the label tables, and older copies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::ShardError;
use super::folder::shard_files;
use super::reader::Shard;
use crate::foreign::printable;
use crate::tables::IndexRow;

/// A stored row that the index does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stray {
    /// The shard's file name.
    pub shard: String,
    /// The row in the shard.
    pub row: i64,
    /// The clip that lies there.
    pub clip_id: String,
}

/// The stored rows of `folder` that `index` does not name, sorted by shard and row. Only the shards
/// that have more rows than the index names are looked into; one that cannot be read is passed over
/// with a warning.
///
/// # Errors
/// When the folder cannot be listed.
pub fn strays(folder: &Path, index: &[IndexRow]) -> Result<Vec<Stray>, ShardError> {
    let mut named: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for row in index {
        if let (Some(shard), Some(shard_row)) = (row.shard.as_deref(), row.shard_row) {
            named.entry(shard).or_default().insert(shard_row);
        }
    }
    let none = BTreeSet::new();
    let mut found = Vec::new();
    for name in shard_files(folder)?.into_values() {
        let rows = named.get(name.as_str()).unwrap_or(&none);
        match strays_of(folder, &name, rows) {
            Ok(strays) => found.extend(strays),
            Err(e) => tracing::warn!("{} is not looked into: {e}", printable(&name)),
        }
    }
    Ok(found)
}

fn strays_of(folder: &Path, name: &str, named: &BTreeSet<i64>) -> Result<Vec<Stray>, ShardError> {
    let shard = Shard::open(&folder.join(name))?;
    if shard.len() <= named.len() {
        return Ok(Vec::new());
    }
    let rows = i64::try_from(shard.len()).unwrap_or(i64::MAX);
    (0..rows)
        .filter(|row| !named.contains(row))
        .map(|row| {
            Ok(Stray {
                shard: name.to_owned(),
                row,
                clip_id: shard.clip(row)?.clip_id.to_owned(),
            })
        })
        .collect()
}
