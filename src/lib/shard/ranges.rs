//! How label tables are cut: which rows share a shard.

use std::num::NonZeroU32;

use crate::clip::Split;
use crate::labels::Labels;

/// Rows of a label table that share a shard, where nothing else is asked for.
pub const DEFAULT_CLIPS_PER_SHARD: NonZeroU32 = match NonZeroU32::new(512) {
    Some(clips) => clips,
    None => NonZeroU32::MIN,
};

/// The ranges of rows into which the label tables are cut, by the rows alone and whatever clips there are. A shard holds
/// clips of one range.
///
/// Range r of a split has the shard of number r. Where that is taken, by clips that were stored before, it has the lowest
/// free one of r + n, r + 2 n, ... with n the split's ranges. So a number belongs to one range, and several processes that
/// each store other ranges never give the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ranges {
    clips_per_shard: NonZeroU32,
    rows: [usize; 3],
}

impl Default for Ranges {
    /// One range for each split.
    fn default() -> Self {
        Self {
            clips_per_shard: NonZeroU32::MAX,
            rows: [0; 3],
        }
    }
}

impl Ranges {
    /// Label tables of these many rows, in the order of [`Split::ALL`], cut after every `clips_per_shard` rows.
    #[must_use]
    pub fn new(clips_per_shard: NonZeroU32, rows: [usize; 3]) -> Self {
        Self {
            clips_per_shard,
            rows,
        }
    }

    /// The label tables, cut after every `clips_per_shard` rows.
    #[must_use]
    pub fn of(labels: &Labels, clips_per_shard: NonZeroU32) -> Self {
        Self::new(clips_per_shard, Split::ALL.map(|s| labels.of(s).len()))
    }

    /// The range of a row of a split's table.
    #[must_use]
    pub fn range(&self, row: usize) -> u32 {
        // Tables have far fewer rows than that.
        u32::try_from(row / self.clips_per_shard.get() as usize).unwrap_or(u32::MAX)
    }

    /// The ranges of a split, at least one.
    #[must_use]
    pub fn count(&self, split: Split) -> u32 {
        self.range(self.rows[split as usize].saturating_sub(1)) + 1
    }

    /// The place of a row's range among those of all splits, in the order of the splits.
    #[must_use]
    pub fn place(&self, split: Split, row: usize) -> usize {
        let before = Split::ALL.into_iter().take_while(|s| *s != split);
        let before: usize = before.map(|s| self.count(s) as usize).sum();
        before + self.range(row) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_cut_evenly_and_every_range_has_its_place() {
        let two = NonZeroU32::new(2).unwrap();
        let ranges = Ranges::new(two, [5, 0, 2]);
        let of = |split, rows: usize| -> Vec<usize> {
            (0..rows).map(|row| ranges.place(split, row)).collect()
        };
        assert_eq!(of(Split::Train, 5), [0, 0, 1, 1, 2]);
        assert_eq!(of(Split::Test, 2), [4, 4]);
        assert_eq!(Split::ALL.map(|s| ranges.count(s)), [3, 1, 1]);
        assert_eq!(Ranges::default().place(Split::Validation, 1_000_000), 1);
    }
}
