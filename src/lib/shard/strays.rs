//! Stored rows that the index does not name: clips that left the label tables, and older copies.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::ShardError;
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

/// What was found in shards that were looked into.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Strays {
    /// The rows that the index does not name, in the order of the shards and of their rows.
    pub found: Vec<Stray>,
    /// The shards that cannot be read.
    pub passed_over: Vec<String>,
}

/// What lies in these shards of `folder` that `index` does not name. Only a shard that has more rows
/// than the index names is read row by row; one that cannot be read is passed over with a warning.
pub(super) fn strays(folder: &Path, shards: &[String], index: &[IndexRow]) -> Strays {
    let mut named: BTreeMap<&str, BTreeSet<i64>> = BTreeMap::new();
    for row in index {
        if let (Some(shard), Some(shard_row)) = (row.shard.as_deref(), row.shard_row) {
            named.entry(shard).or_default().insert(shard_row);
        }
    }
    let none = BTreeSet::new();
    let mut looked = Strays::default();
    for name in shards {
        let rows = named.get(name.as_str()).unwrap_or(&none);
        match strays_of(folder, name, rows) {
            Ok(strays) => looked.found.extend(strays),
            Err(e) => {
                tracing::warn!("{} is not looked into: {e}", printable(name));
                looked.passed_over.push(name.clone());
            }
        }
    }
    looked
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
                clip_id: shard.clip(row)?.clip_id,
            })
        })
        .collect()
}
