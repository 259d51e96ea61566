//! The tasks' lists joined with the places of their clips' frames.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{DataError, Sample};
use crate::clip::Split;
use crate::shard::IndexRow;
use crate::tables::AvailabilityRow;

/// The list of one split in one task.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct List {
    /// Its clips that have frames, by position.
    pub samples: Vec<Sample>,
    /// Listed clips of which the availability table knows that they have none: they are passed
    /// over.
    pub unusable: usize,
}

/// The lists of all tasks.
#[derive(Clone, Debug, Default)]
pub struct Lists(BTreeMap<(i32, Split), List>);

impl Lists {
    /// Finds the clips of every list in the shards' `index`.
    ///
    /// # Errors
    /// When clips that the availability table calls usable have no frames there, however few: the
    /// two belong to different data, and lists that silently lack clips are other tasks.
    pub fn join(availability: &[AvailabilityRow], index: &[IndexRow]) -> Result<Self, DataError> {
        let stored: HashMap<&str, (&str, i64)> = index
            .iter()
            .filter(|row| row.status.is_usable())
            .filter_map(|row| {
                let place = (row.shard.as_deref()?, row.shard_row?);
                Some((row.clip_id.as_str(), place))
            })
            .collect();
        let mut lists = Self::default();
        let mut lacking = Vec::new();
        for row in availability {
            let Some(position) = row.position else {
                continue;
            };
            let list = lists.0.entry((row.task, row.split)).or_default();
            if !row.usable {
                list.unusable += 1;
                continue;
            }
            let Some(&(shard, shard_row)) = stored.get(row.clip_id.as_str()) else {
                lacking.push(row);
                continue;
            };
            list.samples.push(Sample {
                clip_id: row.clip_id.clone(),
                position,
                label: i64::from(row.label),
                subcategory: row.subcategory.clone(),
                shard: shard.to_owned(),
                shard_row,
            });
        }
        if let Some(first) = lacking.first() {
            let clips: BTreeSet<&str> = lacking.iter().map(|row| row.clip_id.as_str()).collect();
            return Err(DataError::NotStored {
                clips: clips.into_iter().map(str::to_owned).collect(),
                task: first.task,
                split: first.split,
            });
        }
        for list in lists.0.values_mut() {
            list.samples.sort_by_key(|sample| sample.position);
        }
        Ok(lists)
    }

    /// Takes one list out; an empty one where the table has none.
    pub fn take(&mut self, task: i32, split: Split) -> List {
        self.0.remove(&(task, split)).unwrap_or_default()
    }
}
