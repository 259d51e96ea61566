//! The index of shards in memory.

use std::collections::BTreeMap;
use std::path::Path;

use super::ShardError;
use super::folder::parse_shard_name;
use crate::parquet_file::{self, Provenance};
use crate::tables::IndexRow;

/// An index, and which of its rows lie in which shard.
#[derive(Debug, Default)]
pub(super) struct Index {
    pub(super) rows: Vec<IndexRow>,
    pub(super) provenance: Provenance,
    /// Of each shard's rows the place in the index.
    named: BTreeMap<String, BTreeMap<i64, usize>>,
}

impl Index {
    /// Reads the index at `path`; errors name `folder` as the place of its shards.
    pub(super) fn read(path: &Path, folder: &Path) -> Result<Self, ShardError> {
        let provenance =
            parquet_file::provenance(path, &<IndexRow as parquet_file::Table>::FORMAT)?;
        let rows: Vec<IndexRow> = parquet_file::read(path)?;
        let mut named = BTreeMap::<String, BTreeMap<i64, usize>>::new();
        for (place, row) in rows.iter().enumerate() {
            let Some((name, shard_row)) = row.shard.as_deref().zip(row.shard_row) else {
                continue;
            };
            if parse_shard_name(name).is_none() {
                return Err(ShardError::NoSuchShard {
                    folder: folder.to_owned(),
                    name: name.to_owned(),
                });
            }
            let shard = named.entry(name.to_owned()).or_default();
            if shard.insert(shard_row, place).is_some() {
                return Err(ShardError::Damaged {
                    path: path.to_owned(),
                    reason: format!("two clips in row {shard_row} of {name}"),
                });
            }
        }
        Ok(Self {
            rows,
            provenance,
            named,
        })
    }

    /// The shards that it names, sorted.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.named.keys().map(String::as_str)
    }

    /// Whether it names this shard.
    pub(super) fn has(&self, shard: &str) -> bool {
        self.named.contains_key(shard)
    }

    /// The row of the index for a row of a shard.
    pub(super) fn row(&self, shard: &str, shard_row: i64) -> Option<&IndexRow> {
        let place = self.named.get(shard)?.get(&shard_row)?;
        Some(&self.rows[*place])
    }

    /// The rows of a shard that it names, in order.
    pub(super) fn rows_of(&self, shard: &str) -> impl Iterator<Item = (i64, &IndexRow)> {
        let rows = self.named.get(shard).into_iter().flatten();
        rows.map(|(&row, &place)| (row, &self.rows[place]))
    }
}
